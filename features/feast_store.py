"""The write path: batches of rows in Feast's online store, in the bytes that Feast itself would write.

Feast's own ``push`` makes a data frame, an Arrow table and protobuf messages of each batch, which takes longer than
all else that is done to count plays (measured). So Feast is asked once whether a view was applied, and the rows are
written by its documented layout; a contract test holds them equal to what Feast reads and writes.

Feast keeps the newest event time of each entity and view: a row whose event time is older **or equal** changes
nothing. The check is read-then-write, so the rows of one entity must come from one writer at a time; our topics are
partitioned by entity.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from features.checks import checked_row, known_view
from features.feast_layout import (
    entity_key,
    feature_field,
    format_time,
    format_value,
    parse_time,
    time_field,
    view_fields,
)
from features.ports import FeatureRow
from features.redis_client import RedisClient, RedisConfig, redis_errors
from features.views import View
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
BATCH = 500
"""Most rows in one round trip."""


@dataclass(frozen=True)
class FeastConfig:
    """Where Feast keeps what.

    Attributes:
        redis: The online store.
        folder: Local files: the registry if ``registry`` is empty.
        registry: SQL URL of the registry, kept out of ``repr``.
        project: Feast project; part of every Redis key.
    """

    redis: RedisConfig
    folder: Path
    registry: str = field(default="", repr=False)
    project: str = "overture"


class FeastWriter:
    """`FeatureWriter` over Feast's Redis. Make one for each process; Feast is imported at the first push."""

    def __init__(self, config: FeastConfig, client: RedisClient) -> None:
        """Write where ``config`` says; ``client`` (the caller's) reaches the same Redis and deletes."""
        self._config = config
        self._client = client
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feast")
        self._store: Any = None
        self._applied: set[str] = set()
        self._turn = asyncio.Lock()

    async def push(self, view: str, rows: Sequence[FeatureRow]) -> None:
        """Write rows online, whole: a field that ``values`` lacks (or gives as None) has no value afterwards.

        An event time older than or equal to the stored one changes nothing. Of several rows of one entity in a call,
        the newest counts.

        Raises:
            ValueError: an unknown view or field, a naive event time, a number that is not finite, a vector that is
                not one-dimensional, or a row without any value.
            UnavailableError: Redis or the registry does not answer, or the views were not applied.
        """
        declared = known_view(view)
        checked = [checked_row(declared, row) for row in rows]
        if rows and view not in self._applied:
            await self._in_thread(self._look_up, declared)
        newest: dict[bytes, FeatureRow] = {}
        for row in checked:
            key = entity_key(self._config.project, f"{declared.entity}_id", row.entity_id)
            if key not in newest or row.at > newest[key].at:
                newest[key] = row
        keys = list(newest)
        # what is read must still hold when it is written
        async with self._turn:
            for start in range(0, len(keys), BATCH):
                await self._write(declared, {key: newest[key] for key in keys[start : start + BATCH]})

    async def delete(self, view: str, entity_ids: Sequence[str]) -> None:
        """Forget entities of a view; unknown ids are no error.

        Their event time is forgotten too, so a later push of any age brings them back.

        Raises:
            ValueError: an unknown view.
            UnavailableError: Redis does not answer.
        """
        declared = known_view(view)
        if not entity_ids:
            return
        fields = view_fields(declared)
        with redis_errors(self._config.redis.address):
            pipe: Any = self._client.pipeline(transaction=False)
            for each in entity_ids:
                pipe.hdel(entity_key(self._config.project, f"{declared.entity}_id", each), *fields)
            await pipe.execute()

    async def warm(self) -> None:
        """Import Feast and open the registry now instead of at the first push.

        Raises:
            UnavailableError: as `push`.
        """
        await self._in_thread(self._opened)

    def close(self) -> None:
        """Let the push in hand finish."""
        self._thread.shutdown(wait=True)

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    def _opened(self) -> Any:
        if self._store is None:
            from features.feast_views import open_store

            config = self._config
            with feast_errors(config):
                store = open_store(config.redis, config.registry, config.project, config.folder)
                store.registry.refresh(config.project)
            self._store = store
        return self._store

    def _look_up(self, view: View) -> None:
        store = self._opened()
        with self._errors():
            store.get_feature_view(view.name)
        self._applied.add(view.name)

    async def _write(self, view: View, rows: dict[bytes, FeatureRow]) -> None:
        """Rows by key, as Feast's own Redis store writes them: those newer than what is there."""
        names, time = [feature_field(view.name, name) for name in view.fields], time_field(view.name)
        with redis_errors(self._config.redis.address):
            pipe: Any = self._client.pipeline(transaction=False)
            for key in rows:
                pipe.hget(key, time)
            stored: list[bytes | None] = await pipe.execute()
            for (key, row), known in zip(rows.items(), stored, strict=True):
                if known is not None and row.at <= parse_time(known):
                    continue
                items: list[bytes] = [time, format_time(row.at)]
                for name, (feature, kind) in zip(names, view.fields.items(), strict=True):
                    items += (name, format_value(row.values.get(feature), kind))
                pipe.hset(key, items=items)
            await pipe.execute()

    def _errors(self) -> AbstractContextManager[None]:
        return feast_errors(self._config, self._forget)

    def _forget(self) -> None:
        # the registry was read before the views were applied
        self._store = None


@contextmanager
def feast_errors(config: FeastConfig, missing: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn what Feast and its stores raise into `UnavailableError`; ``missing`` is called where a view is absent."""
    from feast.errors import FeastError, FeastObjectNotFoundException
    from redis.exceptions import RedisError
    from sqlalchemy.exc import SQLAlchemyError

    redis = config.redis.address
    try:
        yield
    except FeastObjectNotFoundException as error:
        missing()
        raise UnavailableError(f"Feast project {config.project}: {error}", code="feast-unapplied") from error
    except RedisError as error:
        raise UnavailableError(f"Redis at {redis}: {error}", code="redis-unavailable") from error
    except SQLAlchemyError as error:
        # its message can hold the statement and the URL
        text = f"registry of Feast project {config.project}: {type(error).__name__}"
        raise UnavailableError(text, code="feast-unavailable") from error
    except (FeastError, OSError) as error:
        raise UnavailableError(f"Feast project {config.project}: {error}", code="feast-unavailable") from error


def connection_string(redis: RedisConfig) -> str:
    """Feast's notation of a Redis URL: ``host:port,option=JSON value,...``.

    Raises:
        ValueError: an IPv6 address, which Feast's notation cannot express.
    """
    url = urlsplit(redis.url)
    host = url.hostname or "localhost"
    if ":" in host:
        raise ValueError("Feast cannot be given the IPv6 address of Redis; use a name")
    options: dict[str, Any] = dict(parse_qsl(url.query))
    options |= {"socket_timeout": redis.timeout_s, "socket_connect_timeout": redis.timeout_s}
    if url.scheme == "rediss":
        options["ssl"] = True
    if url.username:
        options["username"] = unquote(url.username)
    if url.password:
        options["password"] = unquote(url.password)
    if not redis.cluster:
        options["db"] = int(url.path.strip("/") or 0)
    return ",".join([f"{host}:{url.port or 6379}", *(f"{name}={_quoted(value)}" for name, value in options.items())])


def _quoted(value: object) -> str:
    # Feast splits at each comma and reads each value as JSON: a password 1e5 would become a number
    return json.dumps(value).replace(",", "\\u002c")
