"""The Redis that holds features and counts: address, connection, errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError

from schemas.errors import UnavailableError

RedisClient: TypeAlias = Redis | RedisCluster

_ATTEMPTS, _FIRST_DELAY_S, _MOST_DELAY_S = 2, 0.05, 0.5


@dataclass(frozen=True)
class RedisConfig:
    """Where Redis is.

    Attributes:
        url: ``redis://`` or ``rediss://`` URL, with password if there is one; kept out of ``repr``.
        cluster: Whether the URL names a node of a Redis Cluster.
        timeout_s: Seconds that a connection or an answer may take.
    """

    url: str = field(repr=False)
    cluster: bool = False
    timeout_s: float = 5.0

    @property
    def address(self) -> str:
        """Scheme, host and port: what messages may show."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or 'localhost'}:{parts.port or 6379}"


def connect(config: RedisConfig) -> RedisClient:
    """A client with a pool of its own; connects at the first command, close it with ``aclose``.

    A command is sent again up to twice when the connection breaks, so callers only use commands that may be repeated.
    """
    retry = Retry(ExponentialWithJitterBackoff(_MOST_DELAY_S, _FIRST_DELAY_S), _ATTEMPTS)
    kind = RedisCluster if config.cluster else Redis
    return kind.from_url(
        config.url,
        socket_timeout=config.timeout_s,
        socket_connect_timeout=config.timeout_s,
        health_check_interval=30,
        retry=retry,
    )


@contextmanager
def redis_errors(address: str) -> Iterator[None]:
    """Turn what redis-py raises into `UnavailableError`; ``address`` is shown, the message is redis-py's own."""
    try:
        yield
    except (RedisError, OSError) as error:
        # redis-py names host and port and the server's answer; neither holds the password
        raise UnavailableError(f"Redis at {address}: {error}", code="redis-unavailable") from error
