"""Starts of work without an end, counted in Redis before the work, so that a killed process is counted too."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from typing import Any, cast

from features.redis_client import RedisClient, RedisConfig, connect, redis_errors

KEEP_S = 24 * 60 * 60
"""Seconds after the last start in which an unfinished event is remembered."""


class RedisAttemptLog:
    """`AttemptLog` in Redis: a set of start tokens for each capability and event.

    A set and not a counter: the client sends a command again when the connection breaks after the server has run it,
    and one start counted twice is one delivery less before the dead letter.
    """

    def __init__(self, client: RedisClient, *, address: str = "") -> None:
        """Count through ``client``, which stays the caller's; ``address`` names it in messages."""
        self._client = client
        self._address = address

    @classmethod
    def from_url(cls, url: str) -> RedisAttemptLog:
        """On the server of a ``redis://`` URL, with a client of its own."""
        config = RedisConfig(url)
        return cls(connect(config), address=config.address)

    async def begin(self, capability: str, event: str) -> int:
        """Count one start; returns the starts so far, this one included.

        Raises:
            UnavailableError: Redis does not answer; the start may have been counted.
        """
        key = _key(capability, event)
        with redis_errors(self._address):
            pipe: Any = self._client.pipeline(transaction=True)
            pipe.sadd(key, uuid.uuid4().bytes)
            pipe.expire(key, KEEP_S)
            pipe.scard(key)
            answers = await pipe.execute()
        return int(answers[-1])

    async def abandon(self, capability: str, event: str) -> None:
        """Uncount one start.

        Raises:
            UnavailableError: Redis does not answer.
        """
        with redis_errors(self._address):
            # the tokens are alike: which of them goes does not matter
            await cast(Awaitable[Any], self._client.spop(_key(capability, event)))

    async def finish(self, capability: str, event: str) -> None:
        """Forget the starts.

        Raises:
            UnavailableError: Redis does not answer.
        """
        with redis_errors(self._address):
            await self._client.delete(_key(capability, event))


def _key(capability: str, event: str) -> str:
    return f"attempts:{capability}:{event}"
