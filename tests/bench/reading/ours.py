"""The service's own way from a user to JSON, in one process, without HTTP."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson
import uvloop

from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from processors.serving.gate import Gate
from processors.serving.measured import MeasuredFeatures
from processors.serving.metrics import ServiceMetrics
from processors.serving.parts import ServiceParts, utc_now
from processors.serving.recommend import RecommendRoutes
from processors.serving.where import Where
from schemas.topics import ITEM_CHANGED, SONG_COUNTED
from tests.bench.reading.synthetic import Population, item_number, population, user_id
from tests.bench.reading.turns import Turn, clocked, options, serve
from tests.fakes.serving import numbered_codec

BATCH = 256


class AnswerPath:
    """`RecommendRoutes` over a filled snapshot and the real Redis.

    Args:
        people: What the snapshot holds.
        settings: Names the Redis.
    """

    def __init__(self, people: Population, settings: Settings) -> None:
        codec = numbered_codec()
        metrics = ServiceMetrics()
        self.catalogue = CatalogueSnapshot(
            Decoder(codec, _no_registry),
            cold_plays=settings.recommend.cold_plays,
            half_life_h=settings.recommend.taste_half_life_h,
        )
        for item in people.items():
            self.catalogue.apply(ITEM_CHANGED.name, item.item_id, codec.encode(item))
        for count in people.counts():
            self.catalogue.apply(SONG_COUNTED.name, count.song_id, codec.encode(count))
        while self.catalogue.index_stale(BATCH):
            pass
        wiring = Wiring(settings)
        missing: Any = None
        self._routes = RecommendRoutes(
            ServiceParts(
                settings=settings,
                gate=Gate(None),
                publisher=missing,
                objects=missing,
                features=MeasuredFeatures(wiring.feature_reader, metrics, utc_now),
                vectors=missing,
                status=missing,
                catalogue=self.catalogue,
                metrics=metrics,
                served=lambda _served: None,
            )
        )

    async def answer(self, user: str, answered: int) -> bytes:
        """The body of ``GET /v1/recommendations``."""
        response = await self._routes.recommendations(user, answered, None, False)
        return bytes(response.body)


def _no_registry(_schema_id: int) -> NoReturn:
    raise LookupError("every schema is known")


def main() -> None:
    told = options()
    people = population(told["items"], told["users"], datetime.fromisoformat(told["now"]))
    settings = Settings.model_validate({"data_dir": Path(told["folder"]), "redis": {"url": told["redis"]}})
    path, limit = AnswerPath(people, settings), told["answered"]

    async def asked(users: list[int]) -> Turn:
        names = [user_id(each) for each in users]
        wall, cpu = time.perf_counter(), time.process_time()
        for name in names:
            await path.answer(name, limit)
        return clocked(len(users), time.perf_counter() - wall, time.process_time() - cpu)

    async def items(users: list[int]) -> Turn:
        found = [orjson.loads(await path.answer(user_id(each), limit))["items"] for each in users]
        return {"ids": [[item["item_id"] for item in answer] for answer in found]}

    def nearest(users: list[int], partition: str) -> Turn:
        where = Where(cold=partition == "cold")
        found = [path.catalogue.nearest(people.tastes[u], told["places"][partition], where) for u in users]
        return {"rows": [[item_number(each) for each in candidates.ids] for candidates in found]}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        def answers(users: list[int]) -> Turn:
            return runner.run(asked(users))

        def answered(users: list[int]) -> Turn:
            return runner.run(items(users))

        def profile(users: list[int]) -> Turn:
            with cProfile.Profile() as profile:
                turn = runner.run(asked(users))
            pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(40)
            return turn

        serve({"answers": answers, "nearest": nearest, "answered": answered, "profile": profile})


if __name__ == "__main__":
    main()
