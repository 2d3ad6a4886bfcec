"""Counts starts of work, so that an event that kills its process is given up.

The count is written to Redis before the work and removed after it; what is left over was never finished.
"""

from __future__ import annotations

from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.errors import UnavailableError

KEPT = timedelta(days=1)


class RedisAttemptLog:
    """``AttemptLog`` on Redis; one key for each event in work, gone after a day."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @classmethod
    def from_url(cls, url: str) -> RedisAttemptLog:
        """On the server of a ``redis://`` URL."""
        return cls(Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2))

    async def begin(self, capability: str, event: str) -> int:
        key = _key(capability, event)
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.incr(key)
                pipeline.expire(key, KEPT)
                starts, _ = await pipeline.execute()
        except RedisError as error:
            raise UnavailableError(f"Redis does not count attempts: {error}", code="redis-unavailable") from error
        return int(starts)

    async def finish(self, capability: str, event: str) -> None:
        try:
            await self._redis.delete(_key(capability, event))
        except RedisError as error:
            raise UnavailableError(f"Redis does not count attempts: {error}", code="redis-unavailable") from error


def _key(capability: str, event: str) -> str:
    return f"attempts:{capability}:{event}"
