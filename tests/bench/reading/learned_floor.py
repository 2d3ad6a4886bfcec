"""What a recommendation by the learned models costs at least: one Redis read, the networks, one matrix product, JSON.

Everything that a request could find prepared is prepared: each user's inputs of the networks, each item's features, and
the vectors in one matrix. Nothing is filtered, checked, counted or noted, and nothing may change.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from features.feast_layout import entity_key, feature_field
from features.redis_client import RedisClient
from features.views import USER_TASTE
from models.onnx import open_network
from models.ranker import RankingWeights, combined
from models.ranking_features import ItemColumns, RankingLayout, UserColumns, ranking_rows, user_columns
from models.recommender_bundle import Bundle
from models.recommender_files import RANKER, USER_TOWER
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_space import LearnedSpace
from tests.bench.reading.synthetic import Population, item_id, user_id

BLOCK = 10_000
HEADERS = [(b"content-type", b"application/json")]


class LearnedFloor:
    """An ASGI application: ``GET ?user=`` gives the best ``answered`` of the ``ranked`` nearest, ``POST`` ranks ids.

    Args:
        people: Items and users.
        catalogue: Holds them, in the space too.
        space: Of the bundle.
        bundle: The version.
        folder: Its files.
        redis: Holds the users' rows.
        ranked: Items that the ranker scores.
        answered: Items in an answer.
    """

    def __init__(
        self,
        people: Population,
        catalogue: CatalogueSnapshot,
        space: LearnedSpace,
        bundle: Bundle,
        folder: Path,
        redis: RedisClient,
        ranked: int,
        answered: int,
    ) -> None:
        self._redis, self._ranked, self._answered = redis, ranked, answered
        self._field = feature_field(USER_TASTE.name, "last_plays")
        self._tower, self._ranker = (open_network((folder / name).read_bytes()) for name in (USER_TOWER, RANKER))
        self._weights = RankingWeights()
        self._ids = [item_id(number) for number in range(len(people.vectors))]
        self._row = {each: row for row, each in enumerate(self._ids)}
        columns = _columns(catalogue, space, self._ids)
        self._vectors = np.ascontiguousarray(columns.vector)
        self._history = {user_id(user): self._vectors[played].mean(axis=0) for user, played in enumerate(people.recent)}
        self._plays = np.full((1, 1), np.log1p(people.recent.shape[1]), np.float32)
        self._unknown = np.zeros(1, np.int64)
        layout = RankingLayout.from_manifest(bundle.manifest.ranking)
        user = _user(layout, columns.take(people.recent[0]))
        blocks = [np.arange(start, min(start + BLOCK, len(columns))) for start in range(0, len(columns), BLOCK)]
        rows = [ranking_rows(layout, user, columns.take(block)) for block in blocks]
        self._fields = np.concatenate([each.fields for each in rows])
        self._dense = np.concatenate([each.dense for each in rows])
        self._group = rows[0].group[:1].repeat(ranked)

    async def recommend(self, user: str) -> bytes:
        """The answer's body."""
        await self._read(user)
        told: dict[str, NDArray[Any]] = {
            "history": self._history[user][None],
            "plays": self._plays,
            "age": self._unknown,
            "gender": self._unknown,
            "occupation": self._unknown,
        }
        (vectors,) = self._tower.run(["vector"], told)
        near = np.argpartition(-(self._vectors @ vectors[0]), self._ranked - 1)[: self._ranked]
        return self._rank(near)

    async def rank(self, user: str, items: list[str]) -> bytes:
        """Body of the same for given items, at most ``ranked``."""
        await self._read(user)
        return self._rank(np.array([self._row[each] for each in items]))

    async def _read(self, user: str) -> None:
        await self._redis.hget(entity_key("overture", "user_id", user), self._field)

    def _rank(self, rows: NDArray[np.int64]) -> bytes:
        given = {"fields": self._fields[rows], "dense": self._dense[rows], "group": self._group[: len(rows)]}
        (logits,) = self._ranker.run(["logits"], given)
        scores = combined(1.0 / (1.0 + np.exp(-logits)), self._weights)
        best = np.argsort(-scores)[: self._answered]
        pairs = zip(rows[best].tolist(), scores[best].tolist(), strict=True)
        return orjson.dumps({"items": [{"item_id": self._ids[row], "score": score} for row, score in pairs]})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if scope["method"] == "POST":
            asked = orjson.loads((await receive())["body"])
            body = await self.rank(asked["user"], asked["item_ids"])
        else:
            body = await self.recommend(scope["query_string"].partition(b"user=")[2].decode())
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
        await send({"type": "http.response.body", "body": body})


def _columns(catalogue: CatalogueSnapshot, space: LearnedSpace, ids: list[str]) -> ItemColumns:
    places, columns = catalogue.columns_of(space, ids, int(datetime.now(UTC).timestamp() * 1000))
    if len(places) != len(ids):
        raise RuntimeError(f"{len(ids) - len(places)} items are not in the snapshot")
    return columns


def _user(layout: RankingLayout, heard: ItemColumns) -> UserColumns:
    return user_columns(layout, 30, 1, 0, len(heard), 0.5, heard, np.full(len(heard), 0.5, np.float32))
