"""Which closed cases of reviews are old enough to be let go.

No clock: how old a case is comes from the facts that follow it, so that the same facts give the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime

from models.review_queue import OPEN
from schemas.review import ReviewCase


def last_heard(case: ReviewCase) -> datetime:
    """The newest time that a case names: of its last change, or of when it was asked for.

    Content may be judged anew long after it was sent; the request then lies in its topic from that time on.
    """
    return case.changed_at if case.request is None else max(case.changed_at, case.request.produced_at)


class ClosedCases:
    """Cases that are in nobody's queue, the one that was heard of longest ago first.

    A heap in which nothing is searched: a case that changes is noted again, and its old place says nothing more.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._named: list[tuple[datetime, str]] = []

    def note(self, case: ReviewCase) -> None:
        """Remember a case, if it is closed, until it is old enough."""
        if case.state not in OPEN:
            heapq.heappush(self._heap, (last_heard(case), case.review_id))

    def before(self, time: datetime, find: Callable[[str], ReviewCase | None], spared: str) -> list[str]:
        """Review ids of cases last heard of before ``time``, the oldest first.

        A case is named once, and again if ``find`` still knows it the next time: it could not be forgotten then.

        Args:
            time: Cases heard of then or later stay.
            find: The case of an id as it is now; None: there is none.
            spared: Review id of a case that stays for now.
        """
        # those that find no longer knows are passed over below
        for place in self._named:
            heapq.heappush(self._heap, place)
        old: dict[tuple[datetime, str], None] = {}
        while self._heap and self._heap[0][0] < time:
            place = heapq.heappop(self._heap)
            case = find(place[1])
            if case is not None and case.state not in OPEN and last_heard(case) == place[0]:
                old[place] = None
        self._named = list(old)
        return [review_id for _, review_id in self._named if review_id != spared]
