"""Every port of ``features.ports`` in memory; held to the behaviour of the real ones by ``tests/contract/features``."""

from __future__ import annotations

import ast
import hashlib
import io
import operator
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from features.aliases import FIRST
from features.checks import check_query, check_row, checked_row, known_collection, known_view
from features.feature_reader import utc_now
from features.objects.common import check_folder, check_key, content_key
from features.ports import FeatureRow, Hit, StoredObject, Vector, VectorRow
from schemas.common import ObjectRef
from schemas.errors import BadEventError, BadMediaError, BugError


class MemoryObjects:
    """`ObjectStore` in a dict.

    Attributes:
        data: Key -> bytes.
    """

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        self.data[check_key(key)] = data
        digest = hashlib.sha256(data).hexdigest()
        return ObjectRef(key=key, sha256=digest, size_bytes=len(data), content_type=content_type)

    async def put_new(self, key: str, data: bytes) -> bool:
        return self.data.setdefault(check_key(key), data) is data

    async def put_stream(
        self, chunks: AsyncIterator[bytes], *, prefix: str, max_bytes: int, content_type: str
    ) -> ObjectRef:
        check_key(prefix)
        whole = io.BytesIO()
        async for chunk in chunks:
            whole.write(chunk)
            if whole.tell() > max_bytes:
                raise BadMediaError("too large", code="upload-too-large")
        if not whole.tell():
            raise BadMediaError("empty", code="media-empty")
        data = whole.getvalue()
        return await self.put(content_key(prefix, hashlib.sha256(data).hexdigest()), data, content_type)

    async def get(self, key: str) -> bytes:
        return self.data[check_key(key)]

    async def size(self, key: str) -> int:
        return len(self.data[check_key(key)])

    async def open_file(self, ref: ObjectRef) -> IO[bytes]:
        data = self.data[check_key(ref.key)]
        if (len(data), hashlib.sha256(data).hexdigest()) != (ref.size_bytes, ref.sha256):
            raise BadEventError("other bytes", code="object-mismatch")
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
        file.write(data)
        file.seek(0)
        return file

    async def delete(self, key: str) -> None:
        self.data.pop(check_key(key), None)

    async def move(self, key: str, target: str) -> None:
        self.data[check_key(target)] = self.data.pop(check_key(key))

    async def walk(self, folder: str = "") -> AsyncIterator[StoredObject]:
        check_folder(folder)
        for key, data in sorted(self.data.items()):
            if key.startswith(f"{folder}/" if folder else ""):
                yield StoredObject(key, len(data), utc_now())

    async def sweep(self, idle: timedelta) -> int:
        return 0


class MemoryFeatures:
    """`FeatureWriter` and `FeatureReader` in a dict.

    Attributes:
        rows: (view, entity id) -> row.
    """

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.rows: dict[tuple[str, str], FeatureRow] = {}
        self._now = now

    async def push(self, view: str, rows: Sequence[FeatureRow]) -> None:
        declared = known_view(view)
        for row in [checked_row(declared, row) for row in rows]:
            stored = self.rows.get((view, row.entity_id))
            if stored is None or row.at > stored.at:
                self.rows[view, row.entity_id] = row

    async def delete(self, view: str, entity_ids: Sequence[str]) -> None:
        known_view(view)
        for each in entity_ids:
            self.rows.pop((view, each), None)

    async def read(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]:
        declared = FIRST.get(view) or known_view(view)
        oldest = self._now() - declared.ttl
        found = [self.rows.get((declared.name, each)) for each in entity_ids]
        return [row if row is not None and row.at >= oldest else None for row in found]

    async def read_times(self, view: str, entity_ids: Sequence[str]) -> list[datetime | None]:
        known_view(view)
        found = [self.rows.get((view, each)) for each in entity_ids]
        return [None if row is None else row.at for row in found]

    async def scan_ids(self, view: str) -> AsyncIterator[str]:
        known_view(view)
        for name, each in list(self.rows):
            if name == view:
                yield each

    async def read_old_too(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]:
        known_view(view)
        return [self.rows.get((view, each)) for each in entity_ids]

    async def scan(self, view: str) -> AsyncIterator[list[FeatureRow]]:
        known_view(view)
        if rows := [row for (of, _), row in self.rows.items() if of == view]:
            yield rows

    async def read_matrix(
        self, view: str, feature: str, entity_ids: Sequence[str], dim: int
    ) -> tuple[Vector, NDArray[np.bool_]]:
        if known_view(view).fields.get(feature) != "float_vector":
            raise ValueError(f"{feature!r} is no vector of {view}")
        matrix = np.zeros((len(entity_ids), dim), dtype=np.float32)
        present = np.zeros(len(entity_ids), dtype=np.bool_)
        for index, row in enumerate(await self.read(view, entity_ids)):
            vector = row.values.get(feature) if row else None
            if vector is None:
                continue
            if vector.shape != (dim,):
                raise BugError("another length")
            matrix[index], present[index] = vector, True
        return matrix, present


class MemoryVectors:
    """`VectorIndex` in a dict; exact search, and the part of Milvus' filters that reads like Python.

    Attributes:
        rows: Collection name -> id -> row.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, VectorRow]] = {}

    async def upsert(self, collection: str, rows: Sequence[VectorRow]) -> None:
        declared = known_collection(collection)
        for row in rows:
            check_row(declared, row)
        stored = self._stored(collection)
        for row in rows:
            if row.id not in stored or row.scalars["seq"] >= stored[row.id].scalars["seq"]:
                stored[row.id] = row

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        stored = self._stored(collection)
        for each in ids:
            stored.pop(each, None)

    async def fetch(self, collection: str, ids: Sequence[str]) -> dict[str, VectorRow]:
        stored = self._stored(collection)
        return {each: stored[each] for each in ids if each in stored}

    async def scan(self, collection: str) -> AsyncIterator[list[VectorRow]]:
        if rows := list(self._stored(collection).values()):
            yield rows

    async def search(self, collection: str, vector: Vector, limit: int, where: str = "") -> list[Hit]:
        check_query(collection, vector, limit)
        keep = ast.parse(where, mode="eval").body if where else ast.Constant(value=True)
        hits = [
            Hit(row.id, float(row.vector @ vector))
            for row in self._stored(collection).values()
            if _holds(keep, row.scalars)
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def _stored(self, collection: str) -> dict[str, VectorRow]:
        return self.rows.setdefault(known_collection(collection).name, {})


_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


def _holds(node: ast.expr, scalars: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return scalars[name]
        case ast.List(elts=items):
            return [_holds(item, scalars) for item in items]
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_holds(part, scalars) for part in parts)
        case ast.BoolOp(op=ast.Or(), values=parts):
            return any(_holds(part, scalars) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not _holds(part, scalars)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPARE[type(op)](_holds(left, scalars), _holds(right, scalars))
    raise ValueError(f"the fake does not know the filter {ast.unparse(node)}")


class MemoryAttempts:
    """`AttemptLog` in a dict.

    Attributes:
        starts: (capability, event) -> starts without an end.
    """

    def __init__(self) -> None:
        self.starts: dict[tuple[str, str], int] = {}

    async def begin(self, capability: str, event: str) -> int:
        self.starts[capability, event] = self.starts.get((capability, event), 0) + 1
        return self.starts[capability, event]

    async def abandon(self, capability: str, event: str) -> None:
        self.starts[capability, event] -= 1

    async def finish(self, capability: str, event: str) -> None:
        self.starts.pop((capability, event), None)
