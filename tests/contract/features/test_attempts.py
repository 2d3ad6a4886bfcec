from __future__ import annotations

import pytest

from features.ports import AttemptLog


async def test_starts_are_counted_until_the_end(attempts: AttemptLog, fresh: str) -> None:
    assert [await attempts.begin("analyse", fresh) for _ in range(3)] == [1, 2, 3]
    assert await attempts.begin("moderate", fresh) == 1
    await attempts.abandon("analyse", fresh)
    assert await attempts.begin("analyse", fresh) == 3
    assert await attempts.begin("analyse", fresh + "x") == 1
    await attempts.finish("analyse", fresh)
    await attempts.finish("analyse", fresh)
    assert await attempts.begin("analyse", fresh) == 1
    assert await attempts.begin("moderate", fresh) == 2


@pytest.mark.real
async def test_forgotten_after_a_day(redis_server, fresh: str) -> None:
    from features.attempts import RedisAttemptLog

    log = RedisAttemptLog.from_url(redis_server.url)
    await log.begin("analyse", fresh)
    assert 86_000 < await log._client.ttl(f"attempts:analyse:{fresh}") <= 86_400
    await log._client.aclose()
