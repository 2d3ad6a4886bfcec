"""Cases of the review queue, materialised from their topic, and how many wait."""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.review_queue import OPEN, Weights, age_s, priority
from processors.serving.decoding import Decoder
from schemas.common import Decision
from schemas.review import CaseState, ReviewCase, Subject
from schemas.topics import REVIEW_CASE

STATES: tuple[CaseState, ...] = tuple(state for state in get_args(CaseState) if state != "unknown")
SUBJECTS: tuple[Subject, ...] = tuple(subject for subject in get_args(Subject) if subject != "unknown")


class _Closed(NamedTuple):
    state: CaseState
    subject: Subject
    changed_at: datetime
    decision: Decision
    value: bytes


class CaseView(Collector):
    """Fed by a ``Follower``, read by the routes and by Prometheus; every process of the service has all cases.

    Open ones are kept decoded, closed ones as bytes. A case without a request is one that was erased, or whose request
    has not come: it is not here.

    Args:
        decoder: Decodes the topic.
        weights: What comes first.
        now: Clock, UTC.
    """

    TOPICS = (REVIEW_CASE.name,)

    def __init__(self, decoder: Decoder, weights: Weights, now: Callable[[], datetime]) -> None:
        self._decoder = decoder
        self._weights = weights
        self._now = now
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._open: dict[str, ReviewCase] = {}
        self._closed: dict[str, _Closed] = {}

    def apply(self, _topic: str, key: str, value: bytes | None) -> None:
        """Take one record; one with a lower ``seq`` than seen is ignored.

        Raises:
            BadEventError: the record does not decode.
            UnavailableError: its schema cannot be fetched at the moment.
        """
        case = None if value is None else self._decoder.decode(value, ReviewCase)
        with self._lock:
            if case is not None and case.seq < self._seen.get(key, 0):
                return
            self._open.pop(key, None)
            self._closed.pop(key, None)
            if case is None:
                self._seen.pop(key, None)
                return
            self._seen[key] = case.seq
            if case.request is None or value is None:
                return
            if case.state in OPEN:
                self._open[key] = case
            else:
                self._closed[key] = _Closed(case.state, case.request.subject, case.changed_at, case.decision, value)

    def get(self, review_id: str) -> ReviewCase | None:
        """A case; None if there is none, or none any more."""
        with self._lock:
            found, closed = self._open.get(review_id), self._closed.get(review_id)
        return found if closed is None else self._decoder.decode(closed.value, ReviewCase)

    def ordered(self, states: Iterable[CaseState], subjects: Iterable[Subject]) -> list[ReviewCase]:
        """Open cases of the given states and subjects, the most important first."""
        wanted, of = set(states), set(subjects)
        with self._lock:
            cases = list(self._open.values())
        now = self._now()
        chosen = [case for case in cases if case.request and case.state in wanted and case.request.subject in of]
        return sorted(chosen, key=lambda case: (-priority(case, now, self._weights), case.review_id))

    def closed(self, state: CaseState, subjects: Iterable[Subject], limit: int) -> list[ReviewCase]:
        """At most ``limit`` closed cases of a state, the newest change first."""
        of = set(subjects)
        with self._lock:
            found = [each for each in self._closed.values() if each.state == state and each.subject in of]
        newest = heapq.nlargest(limit, found, key=lambda each: each.changed_at)
        return [self._decoder.decode(each.value, ReviewCase) for each in newest]

    def counts(self) -> dict[CaseState, int]:
        """Cases by state; every state is there."""
        found: Counter[CaseState] = Counter()
        for (state, _subject), number in self._numbers().items():
            found[state] += number
        return {state: found[state] for state in STATES}

    def priority(self, case: ReviewCase) -> float:
        """See ``models.review_queue.priority``."""
        return priority(case, self._now(), self._weights)

    def age_s(self, case: ReviewCase) -> float:
        """Seconds since the content was sent."""
        return age_s(case, self._now())

    def collect(self) -> Iterable[Metric]:
        """Prometheus metric families."""
        cases = GaugeMetricFamily(
            "overture_review_cases", "Cases of the review queue, erased ones aside.", labels=("state", "subject")
        )
        numbers = self._numbers()
        for state in STATES:
            for subject in SUBJECTS:
                cases.add_metric((state, subject), numbers[state, subject])
        oldest = GaugeMetricFamily(
            "overture_review_oldest_seconds",
            "Age of the oldest open case; 0: none is open.",
            labels=("subject",),
        )
        with self._lock:
            requests = [case.request for case in self._open.values() if case.request]
        now = self._now()
        for subject in SUBJECTS:
            first = min((each.occurred_at for each in requests if each.subject == subject), default=now)
            oldest.add_metric((subject,), max(0.0, (now - first).total_seconds()))
        decided = GaugeMetricFamily(
            "overture_review_decided", "Cases decided by people, erased ones aside.", labels=("subject", "decision")
        )
        with self._lock:
            outcomes = Counter((each.subject, each.decision) for each in self._closed.values())
        for subject in SUBJECTS:
            for decision in ("approve", "reject"):
                decided.add_metric((subject, decision), outcomes[subject, decision])
        return (cases, oldest, decided)

    def _numbers(self) -> Counter[tuple[CaseState, Subject]]:
        with self._lock:
            closed = Counter((each.state, each.subject) for each in self._closed.values())
            return closed + Counter((case.state, case.request.subject) for case in self._open.values() if case.request)
