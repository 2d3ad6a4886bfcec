"""The service's answer path and its floor, without HTTP, in turn, on one Redis."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.local.parts import RedisServer
from processors.runtime.settings import Settings
from processors.serving.ranking import BaselineRanker
from processors.serving.recall import quota
from tests.bench.plays.place import PEERS
from tests.bench.reading.filled import store_users
from tests.bench.reading.synthetic import Population, population
from tests.bench.reading.turns import Candidate, Turn
from tests.bench.report import median_ratio

CANDIDATES, RANKED, ANSWERED = 500, 150, 50
ANSWERS = 500
"""Answers in one turn."""
PROBES = 100
"""Users whose answers are looked at."""
WEIGHTS = ("TASTE", "POPULARITY", "FRESHNESS", "QUALITY", "PRIOR_PLAYS", "REFERENCE_PLAYS", "FRESH_HALF_LIFE_H")


@dataclass(frozen=True)
class Compared:
    """Both sides, round by round.

    Attributes:
        ours: Turns of the answer path.
        floor: Turns of the floor.
        recall: Side -> partition -> share of the true nearest that its search finds; empty if not asked for.
        common: Share of the floor's answers that are ours, too.
        built_cpu_s: Side -> CPU seconds until it was ready.
    """

    ours: list[Turn]
    floor: list[Turn]
    recall: dict[str, dict[str, float]]
    common: float
    built_cpu_s: dict[str, float]

    @property
    def ratio(self) -> float:
        """Ours of the floor, answers a second."""
        return median_ratio(rates(self.ours), rates(self.floor))


def rates(turns: list[Turn]) -> list[float]:
    """Answers a second of each turn."""
    return [turn["rate"] for turn in turns]


def median(turns: list[Turn], what: str) -> float:
    """Median over the turns of what they say."""
    return statistics.median(turn[what] for turn in turns)


@contextmanager
def answer_path(items: int, users: int) -> Iterator[tuple[Population, Candidate, dict[str, Any]]]:
    """The population, our side over a Redis that knows its users, and what a floor must be told."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        redis = stack.enter_context(RedisServer(folder / "redis"))
        settings = Settings.model_validate({"data_dir": folder / "data", "redis": {"url": redis.url}})
        people = population(items, users, datetime.now(UTC).replace(microsecond=0))
        asyncio.run(store_users(settings, people))
        cold = quota(CANDIDATES, settings.recommend.cold_share)
        told = {
            "items": items,
            "users": users,
            "now": people.now.isoformat(),
            "redis": redis.url,
            "folder": str(settings.data_dir),
            "places": {"cold": cold, "warm": CANDIDATES - cold},
            "ranked": RANKED,
            "answered": ANSWERED,
            "half_life_h": settings.recommend.taste_half_life_h,
            "weights": {weight: getattr(BaselineRanker, weight) for weight in WEIGHTS},
        }
        yield people, stack.enter_context(closing(Candidate("ours", told))), told


def compare(items: int, users: int, rounds: int) -> Compared:
    """Rates of both, in turn; the first round is left out."""
    with answer_path(items, users) as (people, ours, told), closing(Candidate("floor", told, PEERS)) as floor:
        sides = {"ours": ours, "floor": floor}
        turns: dict[str, list[Turn]] = {name: [] for name in sides}
        dice = np.random.default_rng(1)
        for _ in range(rounds + 1):
            asked = dice.integers(0, users, ANSWERS).tolist()
            for name, side in sides.items():
                turns[name].append(side.turn("answers", users=asked))
        probed = list(range(min(PROBES, users)))
        answered = {name: side.turn("answered", users=probed)["ids"] for name, side in sides.items()}
        pairs = zip(answered["ours"], answered["floor"], strict=True)
        return Compared(
            turns["ours"][1:],
            turns["floor"][1:],
            {name: _recall(people, side, probed, told["places"]) for name, side in sides.items()},
            statistics.mean(len(set(mine) & set(theirs)) / ANSWERED for mine, theirs in pairs),
            {name: side.built["built_cpu_s"] for name, side in sides.items()},
        )


def _recall(people: Population, side: Candidate, users: list[int], places: dict[str, int]) -> dict[str, float]:
    found = {}
    for partition, count in places.items():
        rows = np.flatnonzero((people.plays == 0) == (partition == "cold"))
        true = [rows[_nearest(people.vectors[rows] @ people.tastes[user], count)] for user in users]
        got = side.turn("nearest", users=users, partition=partition)["rows"]
        shares = [len(set(mine) & set(best.tolist())) / count for mine, best in zip(got, true, strict=True)]
        found[partition] = statistics.mean(shares)
    return found


def _nearest(similarity: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    return np.argpartition(-similarity, count - 1)[:count]
