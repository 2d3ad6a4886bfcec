"""The demo's avatars: sent one after the other, watched to their end; then the ring that three of them make."""

from __future__ import annotations

import time

from infra.demo.client import Refusal, Service
from infra.demo.journal import Journal
from infra.demo.pace import Pace
from infra.demo.tracks import Portrait, RingCase, Run


class AvatarScenario:
    """Avatars of one run.

    Args:
        service: The system from outside.
        run: Holds the avatars; takes what becomes of them.
        journal: Told each event.
        pace: Limits of time.
    """

    def __init__(self, service: Service, run: Run, journal: Journal, pace: Pace) -> None:
        self._service = service
        self._run = run
        self._journal = journal
        self._pace = pace

    async def send_all(self) -> None:
        """Send each avatar when the one before has ended, so that its time is that of one alone."""
        deadline = time.monotonic() + self._pace.avatars
        for portrait in self._run.portraits:
            await self._send(portrait, deadline - time.monotonic())

    async def find_ring(self) -> None:
        """Wait until the accounts that show one face are a case for people."""
        users = frozenset(each.avatar.user for each in self._run.portraits if each.avatar.ring)
        if not users:
            return
        ring = self._run.ring = RingCase(users)
        start = time.monotonic()
        async for _ in self._pace.polls(self._pace.ring):
            cases = await self._service.rings()
            if cases is None:
                ring.hidden = True
                return
            ring.case = next((case for case in cases if users <= set(case.members)), None)
            if ring.case is not None:
                ring.seen_s = time.monotonic() - start
                self._journal.note(f"a ring of {len(ring.case.members)} accounts is a case of review")
                return

    async def _send(self, portrait: Portrait, limit_s: float) -> None:
        avatar = portrait.avatar
        key = f"demo-{self._run.run_id}-{avatar.key}"
        answer = await self._service.change_avatar(avatar.user, avatar.file, key)
        if isinstance(answer, Refusal):
            portrait.refusal = answer
            self._journal.note(f"{avatar.title}: refused with {answer.status} {answer.code}: {answer.detail}")
            return
        start = time.monotonic()
        async for _ in self._pace.polls(limit_s):
            status = await self._service.avatar(avatar.user)
            # an earlier run's avatar of this user stands until this one is heard of
            if status is not None and status.event_id == answer:
                portrait.status = status
                if status.settled:
                    portrait.decided_s = time.monotonic() - start
                    codes = ", ".join(reason.code for reason in status.reasons)
                    self._journal.note(f"{avatar.title}: {status.state} {codes}".rstrip())
                    return
