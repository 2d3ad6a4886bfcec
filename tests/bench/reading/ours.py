"""The service's own way from a user to JSON, in one process, without HTTP."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys
import time
from datetime import datetime
from pathlib import Path

import orjson
import uvloop

from processors.runtime.settings import Settings
from processors.serving.recommend import RecommendRoutes
from processors.serving.where import Where
from tests.bench.reading.filled import filled
from tests.bench.reading.synthetic import item_number, population, user_id
from tests.bench.reading.turns import Turn, clocked, options, serve


async def answer(routes: RecommendRoutes, user: str, answered: int) -> bytes:
    """The body of ``GET /v1/recommendations``."""
    response = await routes.recommendations(user, answered, None, False)
    return bytes(response.body)


def main() -> None:
    told = options()
    people = population(told["items"], told["users"], datetime.fromisoformat(told["now"]))
    settings = Settings.model_validate({"data_dir": Path(told["folder"]), "redis": {"url": told["redis"]}})
    parts, _ = filled(people, settings)
    routes, limit = RecommendRoutes(parts), told["answered"]

    async def asked(users: list[int]) -> Turn:
        names = [user_id(each) for each in users]
        wall, cpu = time.perf_counter(), time.process_time()
        for name in names:
            await answer(routes, name, limit)
        return clocked(len(users), time.perf_counter() - wall, time.process_time() - cpu)

    async def items(users: list[int]) -> Turn:
        found = [orjson.loads(await answer(routes, user_id(each), limit))["items"] for each in users]
        return {"ids": [[item["item_id"] for item in each] for each in found]}

    def nearest(users: list[int], partition: str) -> Turn:
        where = Where(cold=partition == "cold")
        found = [parts.catalogue.nearest(people.tastes[u], told["places"][partition], where) for u in users]
        return {"rows": [[item_number(each) for each in candidates.ids] for candidates in found]}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        def answers(users: list[int]) -> Turn:
            return runner.run(asked(users))

        def answered(users: list[int]) -> Turn:
            return runner.run(items(users))

        def profile(users: list[int]) -> Turn:
            with cProfile.Profile(time.process_time) as profile:
                turn = runner.run(asked(users))
            pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(40)
            return turn

        serve({"answers": answers, "nearest": nearest, "answered": answered, "profile": profile})


if __name__ == "__main__":
    main()
