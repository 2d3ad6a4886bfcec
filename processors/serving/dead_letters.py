"""How many dead letters wait for somebody, and how old the oldest is.

A letter waits from the notice that it was given up until an operator's replay or purge, or until its topic's retention
has removed it. Given up again after a replay, it waits again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from processors.runtime.topics_admin import DEAD_LETTER_RETENTION
from processors.serving.decoding import Decoder
from schemas.pipeline import DeadLettered, LetterHandled
from schemas.topics import DEAD_LETTERED, LETTER_HANDLED


class WaitingLetters(Collector):
    """Fed by a ``Follower``, read by Prometheus. Every process of the service counts the same letters: take the
    maximum over processes, not the sum.

    Args:
        decoder: Decodes the topics.
        capabilities: Names of all, so that one without letters is shown as 0.
        now: Clock, UTC.
    """

    TOPICS = (DEAD_LETTERED.name, LETTER_HANDLED.name)

    def __init__(self, decoder: Decoder, capabilities: Iterable[str], now: Callable[[], datetime]) -> None:
        self._decoder = decoder
        self._capabilities = tuple(capabilities)
        self._now = now
        self._lock = threading.Lock()
        self._given_up: dict[tuple[str, str], datetime] = {}
        self._handled: dict[tuple[str, str], datetime] = {}

    def apply(self, topic: str, _key: str, value: bytes | None) -> None:
        """Take one record; the order between the two topics does not matter.

        Raises:
            BadEventError: the record does not decode.
            UnavailableError: its schema cannot be fetched at the moment.
        """
        if topic == LETTER_HANDLED.name:
            handled = self._decoder.decode(value, LetterHandled)
            self._put(self._handled, (handled.capability, handled.origin), handled.occurred_at)
        else:
            letter = self._decoder.decode(value, DeadLettered)
            origin = f"{letter.origin_topic}/{letter.origin_partition}/{letter.origin_offset}"
            self._put(self._given_up, (letter.capability, origin), letter.occurred_at)

    def waiting(self) -> dict[str, list[datetime]]:
        """When each waiting letter was given up, by capability."""
        found: dict[str, list[datetime]] = {name: [] for name in self._capabilities}
        oldest = self._now() - DEAD_LETTER_RETENTION
        with self._lock:
            for known in (self._given_up, self._handled):
                for key in [key for key, at in known.items() if at < oldest]:
                    del known[key]
            for key, at in self._given_up.items():
                if key not in self._handled or self._handled[key] < at:
                    found.setdefault(key[0], []).append(at)
        return found

    def collect(self) -> Iterable[Metric]:
        """Prometheus metric families."""
        count = GaugeMetricFamily(
            "overture_dead_letters", "Dead letters that nobody has replayed or purged.", labels=("capability",)
        )
        age = GaugeMetricFamily(
            "overture_dead_letter_age_seconds",
            "Age of the oldest dead letter that waits; 0: there is none.",
            labels=("capability",),
        )
        now = self._now()
        for capability, times in self.waiting().items():
            count.add_metric((capability,), len(times))
            age.add_metric((capability,), max(0.0, (now - min(times, default=now)).total_seconds()))
        return (count, age)

    def _put(self, known: dict[tuple[str, str], datetime], key: tuple[str, str], at: datetime) -> None:
        with self._lock:
            known[key] = max(at, known.get(key, at))
