"""The demo's steps, one after the other: upload, watch, play, ask, withdraw."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.demo.client import Answer, Media, Refusal, Service
from infra.demo.errors import DemoError
from infra.demo.journal import Journal
from infra.demo.material import LISTENERS, Item
from infra.demo.pace import Pace
from infra.demo.tracks import Heard, Run, Track, Withdrawal

RECALL_LIMIT = 2000
"""As many as the service gives, so that older items cannot crowd out a new one."""
LIST_LENGTH = 8
FOLLOWING = frozenset({"taste", "learned", "mapped"})
"""Reasons of items that follow from what a listener plays."""
WITHDRAWN = "chelsea"
"""The item taken back at the end, or another that nobody has played if it is not published."""


class Scenario:
    """One run of the demo against a running service.

    Args:
        service: The system from outside.
        items: What is uploaded, in this order.
        journal: Told each event.
        remembered: File with the items that earlier runs left in the catalogue.
        pace: Limits of time.
    """

    def __init__(
        self, service: Service, items: Sequence[Item], journal: Journal, remembered: Path, pace: Pace | None = None
    ) -> None:
        run_id = uuid.uuid4().hex[:8]
        self.run = Run(
            run_id,
            {item.key: Track(item) for item in items},
            [Heard(listener, f"{listener.name}-{run_id}") for listener in LISTENERS],
        )
        self.titles: dict[str, str] = {}
        self.service = service
        self._journal = journal
        self._remembered = remembered
        self._pace = pace or Pace()

    async def wait_ready(self) -> None:
        """Wait until the service can be used.

        Raises:
            DemoError: it cannot be used in time.
        """
        async for _ in self._pace.polls(self._pace.ready):
            unready = await self.service.unready_parts()
            if not unready:
                return
        raise DemoError(f"{self.service.address} is not ready: {', '.join(unready)}; `make up` starts the stack")

    async def tidy(self) -> None:
        """Withdraw what earlier runs have left, so that each run meets the same catalogue."""
        left: list[str] = json.loads(self._remembered.read_text()) if self._remembered.exists() else []
        known = [media_id for media_id in left if await self.service.withdraw(media_id)]
        if known:
            self._journal.note(f"withdrew {len(known)} items of an earlier run")
            async for _ in self._pace.polls(self._pace.withdrawal):
                if not self._recalled(await self._ask_recall()) & set(known):
                    break
        self._remembered.unlink(missing_ok=True)

    async def upload_all(self) -> None:
        """Upload everything and follow it until each item has ended, or time is up.

        Raises:
            DemoError: the service breaks off.
        """
        try:
            await self._upload_and_follow()
        except* DemoError as errors:
            raise errors.exceptions[0] from None

    async def _upload_and_follow(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            recall = tasks.create_task(self._poll_recall())
            watchers = []
            for track in self.run.tracks.values():
                await self._upload(track)
                if track.media_id:
                    watchers.append(tasks.create_task(self._watch(track)))
                await asyncio.sleep(self._pace.between_uploads)
            self._remember()
            async for _ in self._pace.polls(self._pace.uploads):
                if all(track.settled for track in self.run.tracks.values()):
                    break
            for task in (recall, *watchers):
                task.cancel()

    async def wait_labels(self) -> None:
        """Read the published items until all are classified, which publication does not wait for."""
        async for _ in self._pace.polls(self._pace.labels):
            unlabelled = [track for track in self.run.published if track.stage_s("content_classification") is None]
            if not unlabelled:
                return
            for track in unlabelled:
                track.media = await self.service.media(track.media_id)

    async def play(self) -> None:
        """Post the listeners' plays and wait until what they are offered follows them."""
        plays = [play for heard in self.run.heard for play in self._plays(heard)]
        if plays:
            self._journal.note(f"{await self.service.play(plays)} plays accepted")
        start = time.monotonic()
        async for _ in self._pace.polls(self._pace.taste):
            for heard in self.run.heard:
                if heard.reflected_s is None and await self._follows(heard):
                    heard.reflected_s = time.monotonic() - start
                    self._journal.note(f"{heard.user}: recommendations follow after {heard.reflected_s:.2f} s")
            if all(heard.reflected_s is not None for heard in self.run.heard):
                break
        await self._read_lists()

    async def withdraw(self) -> None:
        """Take one item back and wait until it is gone."""
        unplayed = [track for track in self.run.published if track.item.key not in self.run.played]
        if not unplayed:
            return
        track = next((track for track in unplayed if track.item.key == WITHDRAWN), unplayed[-1])
        withdrawal = self.run.withdrawal = Withdrawal(track)
        await self.service.withdraw(track.media_id)
        start = time.monotonic()
        async for _ in self._pace.polls(self._pace.withdrawal):
            if withdrawal.gone_s is None and track.media_id not in self._recalled(await self._ask_recall()):
                withdrawal.gone_s = time.monotonic() - start
                self._journal.note(f"{track.item.title}: gone {withdrawal.gone_s:.2f} s after its withdrawal")
            track.media = await self.service.media(track.media_id)
            withdrawal.state = track.media.state
            if withdrawal.gone_s is not None and withdrawal.state == "deleted":
                return

    # uploads

    async def _upload(self, track: Track) -> None:
        item = track.item
        answer = await self.service.upload(item, f"demo-{self.run.run_id}", f"demo-{self.run.run_id}-{item.key}")
        if isinstance(answer, Refusal):
            track.refusal = answer
            self._journal.note(f"{item.title}: refused with {answer.status} {answer.code}: {answer.detail}")
            return
        track.accepted_at_s = time.monotonic()
        track.media_id = answer
        self._journal.note(f"{item.title}: accepted as {answer}")

    async def _watch(self, track: Track) -> None:
        async for media in self.service.watch(track.media_id):
            self._report(track, media)
            track.media = media

    def _report(self, track: Track, media: Media) -> None:
        known = {(entry.stage, entry.state) for entry in track.media.timeline} if track.media else set()
        for entry in media.timeline:
            if (entry.stage, entry.state) not in known and entry.state != "received":
                self._journal.note(f"{track.item.title}: {entry.stage} {entry.state}")
        if media.settled and media.state != track.state:
            why = "; ".join(f"{reason.code}: {reason.text}" for reason in media.reasons)
            self._journal.note(f"{track.item.title}: {media.state} {why}".rstrip())

    async def _poll_recall(self) -> None:
        last = time.monotonic()
        while True:
            found = self._recalled(await self._ask_recall())
            now = time.monotonic()
            self.run.recall_gaps_s.append(now - last)
            last = now
            for track in self.run.tracks.values():
                if track.media_id not in found or track.accepted_at_s is None:
                    continue
                if track.item.end != "published":
                    track.recalled_wrongly = True
                elif track.recallable_s is None:
                    track.recallable_s = now - track.accepted_at_s
                    self._journal.note(f"{track.item.title}: recallable {track.recallable_s:.2f} s after its 202")
            await asyncio.sleep(self._pace.between_polls)

    async def _ask_recall(self) -> Answer:
        return await self.service.recall(f"nobody-{self.run.run_id}", RECALL_LIMIT)

    @staticmethod
    def _recalled(answer: Answer) -> set[str]:
        return {found.item_id for found in answer.items}

    def _remember(self) -> None:
        self._remembered.parent.mkdir(parents=True, exist_ok=True)
        self._remembered.write_text(
            json.dumps([track.media_id for track in self.run.tracks.values() if track.media_id])
        )

    # listeners

    def _plays(self, heard: Heard) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for key, completion in heard.listener.plays.items():
            track = self.run.tracks[key]
            if track.state != "published":
                continue
            length = track.item.duration_ms
            found.append(
                {
                    "event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{heard.user} {key}")),
                    "user_id": heard.user,
                    "song_id": track.media_id,
                    "played_ms": round(length * completion),
                    "duration_ms": length,
                    "completion": completion,
                    "exposure": {"surface": "demo"},
                }
            )
        return found

    async def _follows(self, heard: Heard) -> bool:
        """Whether all plays of a listener are counted and the answer comes from their taste."""
        counted = (await self.service.features("user_taste_v1", heard.user)).get("plays", 0)
        heard.answer = await self.service.recommendations(heard.user, LIST_LENGTH)
        tasted = any(found.reason in FOLLOWING for found in heard.answer.items)
        return counted >= len(self._plays(heard)) > 0 and tasted and not heard.answer.degraded

    async def _read_lists(self) -> None:
        """The lists as they are once all plays are counted, with the titles of items of other uploads."""
        ours = self.run.by_media_id()
        for heard in self.run.heard:
            heard.answer = await self.service.recommendations(heard.user, LIST_LENGTH)
            for found in heard.answer.items:
                await self._learn_title(found.item_id, ours)
            await self._explain(heard, ours)

    async def _explain(self, heard: Heard, ours: Mapping[str, Track]) -> None:
        """Why the best unplayed item of the list is there, if a recommender placed it."""
        mapped = [found.item_id for found in heard.answer.items if found.reason == "mapped" and found.item_id in ours]
        heard.explained = next((item for item in mapped if ours[item].item.key not in self.run.played), "")
        if heard.explained:
            heard.explanation = await self.service.explain(heard.user, heard.explained)
        if heard.explanation is not None:
            for near in (*heard.explanation.neighbours, *heard.explanation.played):
                await self._learn_title(near.item_id, ours)

    async def _learn_title(self, item_id: str, ours: Mapping[str, Track]) -> None:
        if item_id not in ours and item_id not in self.titles:
            self.titles[item_id] = await self.service.title(item_id)
