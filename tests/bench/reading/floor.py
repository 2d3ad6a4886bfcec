"""What recommending costs at least: one Redis read, hnswlib, the same score, JSON; no service around it.

Runs in the peers' environment, so it imports nothing of ours that is not light.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import hnswlib
import numpy as np
import orjson
from numpy.typing import NDArray
from redis import Redis

from features.feast_layout import entity_key, feature_field, vector_header
from features.views import CONTENT_JOINT, USER_TASTE
from tests.bench.reading.synthetic import Population, item_id, population, user_id
from tests.bench.reading.turns import Turn, clocked, options, serve

M, EF_CONSTRUCTION = 16, 200
"""hnswlib's own defaults."""
HOUR_MS = 3_600_000.0
Rows = NDArray[np.int64]
Found = tuple[Rows, NDArray[np.float32]]


class Floor:
    """The loop that nobody would run: no filters, no freshness, nothing may change.

    Args:
        people: What is searched.
        redis: Holds Feast's rows.
        weights: Constants of ``BaselineRanker``.
        half_life_h: Hours after which a play counts half.
        places: Candidates taken of cold and of warm items; each search looks at just so many nodes.
    """

    def __init__(
        self, people: Population, redis: Redis, weights: dict[str, float], half_life_h: float, places: dict[str, int]
    ) -> None:
        self._redis = redis
        self._weights = weights
        self._half_life_ms = half_life_h * HOUR_MS
        self._field = feature_field(USER_TASTE.name, "vector")
        self._skip = len(vector_header(CONTENT_JOINT.dim))
        self._indexes = {
            name: (self._index(people, rows, places[name]), places[name])
            for name, rows in (("warm", people.plays > 0), ("cold", people.plays == 0))
        }
        self._ids = [item_id(number) for number in range(len(people.vectors))]
        now_ms = int(people.now.timestamp() * 1000)
        self._published_ms = now_ms - people.age_ms
        self._played_ms = np.where(people.plays > 0, now_ms - people.idle_ms, 0)
        self._plays = people.plays
        self._completions = people.completions
        self._decayed = people.decayed

    @staticmethod
    def _index(people: Population, mask: NDArray[np.bool_], places: int) -> Any:
        rows = np.flatnonzero(mask)
        index: Any = hnswlib.Index(space="ip", dim=CONTENT_JOINT.dim)
        index.init_index(len(rows), ef_construction=EF_CONSTRUCTION, M=M)
        index.add_items(people.vectors[rows], rows)
        index.set_num_threads(1)
        index.set_ef(places)
        return index

    def near(self, taste: NDArray[np.float32], name: str) -> Found:
        """Rows and cosines of the nearest of one partition."""
        index, places = self._indexes[name]
        labels, distances = index.knn_query(taste, places)
        return labels[0].astype(np.int64), 1.0 - distances[0]

    def answer(self, user: str, ranked: int, answered: int) -> bytes:
        """The best ``answered`` of the nearest ``ranked`` of all candidates, as JSON."""
        value: Any = self._redis.hget(entity_key("overture", "user_id", user), self._field)
        taste = np.frombuffer(value, "<f4", offset=self._skip)
        (warm, warm_cosines), (cold, cold_cosines) = self.near(taste, "warm"), self.near(taste, "cold")
        rows, cosines = np.concatenate([warm, cold]), np.concatenate([warm_cosines, cold_cosines])
        nearest = np.argpartition(-cosines, ranked - 1)[:ranked]
        rows = rows[nearest]
        scores = self._scores(rows, cosines[nearest])
        best = np.argsort(-scores)[:answered]
        items = [
            {"item_id": self._ids[row], "score": round(score, 6)}
            for row, score in zip(rows[best].tolist(), scores[best].tolist(), strict=True)
        ]
        return orjson.dumps({"items": items})

    def _scores(self, rows: Rows, cosines: NDArray[np.float32]) -> NDArray[np.float64]:
        rule = self._weights
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        decayed = self._decayed[rows] * np.exp2(-np.maximum(0, now_ms - self._played_ms[rows]) / self._half_life_ms)
        prior = rule["PRIOR_PLAYS"]
        rate = (self._completions[rows] + 0.5 * prior) / (self._plays[rows] + prior)
        age_h = np.maximum(0, now_ms - self._published_ms[rows]) / HOUR_MS
        scores: NDArray[np.float64] = (
            rule["TASTE"] * cosines
            + rule["POPULARITY"] * np.minimum(1.0, np.log1p(decayed) / np.log1p(rule["REFERENCE_PLAYS"]))
            + rule["FRESHNESS"] * np.exp2(-age_h / rule["FRESH_HALF_LIFE_H"])
            + rule["QUALITY"] * (rate - 0.5)
        )
        return scores


def main() -> None:
    told = options()
    people = population(told["items"], told["users"], datetime.fromisoformat(told["now"]))
    floor = Floor(people, Redis.from_url(told["redis"]), told["weights"], told["half_life_h"], told["places"])

    def answers(users: list[int]) -> Turn:
        names = [user_id(each) for each in users]
        wall, cpu = time.perf_counter(), time.process_time()
        for name in names:
            floor.answer(name, told["ranked"], told["answered"])
        return clocked(len(users), time.perf_counter() - wall, time.process_time() - cpu)

    def nearest(users: list[int], partition: str) -> Turn:
        return {"rows": [floor.near(people.tastes[each], partition)[0].tolist() for each in users]}

    def answered(users: list[int]) -> Turn:
        found = [orjson.loads(floor.answer(user_id(u), told["ranked"], told["answered"]))["items"] for u in users]
        return {"ids": [[item["item_id"] for item in items] for items in found]}

    serve({"answers": answers, "nearest": nearest, "answered": answered})


if __name__ == "__main__":
    main()
