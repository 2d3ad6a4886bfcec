"""The write path: batches of rows pushed to Feast's online store, in one thread.

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
from features.feast_layout import entity_key, view_fields
from features.ports import FeatureRow
from features.redis_client import RedisClient, RedisConfig, redis_errors
from features.views import View
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

T = TypeVar("T")
BATCH = 500
"""Most rows in one push; Feast's cost for each row hardly falls beyond."""


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
    """`FeatureWriter` over Feast. Make one for each process; Feast is imported at the first push."""

    def __init__(self, config: FeastConfig, client: RedisClient) -> None:
        """Write where ``config`` says; ``client`` (the caller's) reaches the same Redis and deletes."""
        self._config = config
        self._client = client
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feast")
        self._store: Any = None

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
        for start in range(0, len(checked), BATCH):
            await self._in_thread(self._push, declared, checked[start : start + BATCH])

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

    def _push(self, view: View, rows: list[FeatureRow]) -> None:
        store = self._opened()
        from features.feast_views import push_source

        with self._errors():
            store.push(push_source(view.name), _frame(view, rows))

    def _errors(self) -> AbstractContextManager[None]:
        return feast_errors(self._config, self._forget)

    def _forget(self) -> None:
        # the registry was read before the views were applied
        self._store = None


@contextmanager
def feast_errors(config: FeastConfig, missing: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn what Feast and its stores raise into `UnavailableError`; ``missing`` is called where a view is absent."""
    from feast.errors import FeastError, FeastObjectNotFoundException, PushSourceNotFoundException
    from redis.exceptions import RedisError
    from sqlalchemy.exc import SQLAlchemyError

    redis = config.redis.address
    try:
        yield
    except (FeastObjectNotFoundException, PushSourceNotFoundException) as error:
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


def _frame(view: View, rows: list[FeatureRow]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {
        f"{view.entity}_id": [row.entity_id for row in rows],
        "event_timestamp": pd.to_datetime([row.at for row in rows], utc=True),
    }
    for name in view.fields:
        # object columns: pandas would turn integers beside a None into floats
        columns[name] = pd.Series([row.values.get(name) for row in rows], dtype=object)
    return pd.DataFrame(columns)


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
