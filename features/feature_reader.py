"""The read path: Feast's rows straight from Redis, one round trip a call, old rows left out.

Feast itself reads 500 packed vectors several times slower and ignores a view's TTL (measured, see
docs/adr); the layout is held equal to Feast's by a contract test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.aliases import ViewAliases
from features.checks import known_view
from features.feast_layout import (
    entity_id_of,
    entity_key,
    entity_pattern,
    feature_field,
    parse_time,
    parse_value,
    time_field,
    vector_header,
    view_fields,
)
from features.ports import FeatureRow, Vector
from features.redis_client import RedisClient, redis_errors
from features.views import View
from schemas.errors import BugError

SCAN_KEYS = 5000
"""Keys that Redis walks through in one step of a scan."""
SCAN_BATCH = 500
"""Most rows in one batch of `RedisFeatureReader.scan`."""
_EVER = datetime.min.replace(tzinfo=UTC)


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


class RedisFeatureReader:
    """`FeatureReader` over Feast's Redis layout."""

    def __init__(
        self,
        client: RedisClient,
        project: str,
        *,
        address: str = "",
        now: Callable[[], datetime] = utc_now,
        aliases: ViewAliases | None = None,
    ) -> None:
        """Read through ``client``, which stays the caller's.

        Args:
            client: From `features.redis_client.connect`.
            project: Feast project.
            address: Name of the store in messages.
            now: Clock against which a view's TTL is held, aware.
            aliases: What views without a version stand for; None: only names with one are known.
        """
        self._client = client
        self._project = project
        self._address = address
        self._now = now
        self._aliases = aliases

    async def read(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]:
        """Rows in the order asked; None where missing or older than the view's TTL.

        ``view`` is a view or its alias, which stands for the version in use. A row's ``values`` hold only the fields
        that have a value; vectors are float32 [D].

        Raises:
            ValueError: an unknown view.
            UnavailableError: Redis does not answer.
        """
        declared = await self._declared(view)
        answers = await self._fetch(declared, view_fields(declared), entity_ids)
        oldest = self._now() - declared.ttl
        return [_row(declared, each, answer, oldest) for each, answer in zip(entity_ids, answers, strict=True)]

    async def read_matrix(
        self, view: str, feature: str, entity_ids: Sequence[str], dim: int
    ) -> tuple[Vector, NDArray[np.bool_]]:
        """One vector feature of many entities.

        Args:
            view: Name of the view.
            feature: Field of it with type ``float_vector``.
            entity_ids: N ids.
            dim: Length of each vector, D.

        Returns:
            float32 [N, D] with zeros where nothing is, and bool [N]: whether there is.

        Raises:
            ValueError: an unknown view, or a field that is no vector.
            BugError: a stored vector has another length.
            UnavailableError: Redis does not answer.
        """
        declared = known_view(view)
        if declared.fields.get(feature) != "float_vector":
            raise ValueError(f"{feature!r} is no vector of {view}")
        fields = [feature_field(view, feature), time_field(view)]
        answers = await self._fetch(declared, fields, entity_ids)
        oldest, header = self._now() - declared.ttl, vector_header(dim)
        size, start = len(header) + 4 * dim, len(header)
        empty = bytes(4 * dim)
        parts: list[bytes] = []
        present = np.zeros(len(entity_ids), dtype=np.bool_)
        for index, (value, time) in enumerate(answers):
            if not value or not time or parse_time(time) < oldest:
                parts.append(empty)
            elif len(value) == size and value.startswith(header):
                # the floats are the tail: no parsing
                parts.append(value[start:])
                present[index] = True
            else:
                vector = parse_value(value, "float_vector")
                if vector.shape != (dim,):
                    raise BugError(f"{view}.{feature} of {entity_ids[index]} has {vector.size} values, not {dim}")
                parts.append(vector.tobytes())
                present[index] = True
        matrix = np.frombuffer(b"".join(parts), dtype="<f4").reshape(len(entity_ids), dim)
        return matrix.astype(np.float32), present

    async def read_times(self, view: str, entity_ids: Sequence[str]) -> list[datetime | None]:
        """Event times in the order asked, of rows older than the view's TTL too; None where there is no row.

        ``view`` is a view or its alias.

        Raises:
            ValueError: an unknown view.
            UnavailableError: Redis does not answer.
        """
        declared = await self._declared(view)
        answers = await self._fetch(declared, [time_field(declared.name)], entity_ids)
        return [None if time is None else parse_time(time) for [time] in answers]

    async def scan_ids(self, view: str) -> AsyncIterator[str]:
        """Id of every entity that has a row of the view, in no order; walks through all keys of the store.

        Raises:
            ValueError: an unknown view.
            UnavailableError: Redis does not answer.
        """
        declared = await self._declared(view)
        join_key, seen = f"{declared.entity}_id", set[str]()
        with redis_errors(self._address):
            async for key in self._client.scan_iter(match=entity_pattern(self._project, join_key), count=SCAN_KEYS):
                entity = entity_id_of(key, self._project, join_key)
                if entity is not None:
                    seen.add(entity)
        ids = list(seen)
        for start in range(0, len(ids), SCAN_KEYS):
            batch = ids[start : start + SCAN_KEYS]
            for each, time in zip(batch, await self.read_times(view, batch), strict=True):
                if time is not None:
                    yield each

    async def read_old_too(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]:
        """As `read`, whatever the age of a row."""
        declared = known_view(view)
        answers = await self._fetch(declared, view_fields(declared), entity_ids)
        return [_row(declared, each, answer, _EVER) for each, answer in zip(entity_ids, answers, strict=True)]

    async def scan(self, view: str) -> AsyncIterator[list[FeatureRow]]:
        """Every row of a view, in batches, in no order, old ones too; each once.

        It walks through all keys of the Redis. What is written meanwhile may be among them or not.

        Raises:
            ValueError: an unknown view.
            UnavailableError: Redis does not answer.
        """
        ids = [each async for each in self.scan_ids(view)]
        for start in range(0, len(ids), SCAN_BATCH):
            rows = await self.read_old_too(view, ids[start : start + SCAN_BATCH])
            yield [row for row in rows if row is not None]

    async def _declared(self, view: str) -> View:
        """The view, or the version in use that its alias names."""
        return known_view(view) if self._aliases is None else await self._aliases.view(view)

    async def _fetch(self, view: View, fields: list[bytes], entity_ids: Sequence[str]) -> list[list[bytes | None]]:
        if not entity_ids:
            return []
        with redis_errors(self._address):
            pipe: Any = self._client.pipeline(transaction=False)
            for each in entity_ids:
                pipe.hmget(entity_key(self._project, f"{view.entity}_id", each), fields)
            answers: list[list[bytes | None]] = await pipe.execute()
        return answers


def _row(view: View, entity_id: str, answer: list[bytes | None], oldest: datetime) -> FeatureRow | None:
    *cells, time = answer
    if time is None:
        return None
    at = parse_time(time)
    if at < oldest:
        return None
    values = {}
    for (name, kind), cell in zip(view.fields.items(), cells, strict=True):
        value = parse_value(cell, kind) if cell else None
        if value is not None:
            values[name] = value
    return FeatureRow(entity_id, at, values)
