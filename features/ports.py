"""What the memory offers; no store is imported here.

Adapters live beside this file (``feast_store``, ``milvus_index``, ``objects`` ...) and are built only by
``processors/runtime/wiring.py``. Every method raises ``UnavailableError`` when its store does not answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.common import ObjectRef

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class StoredObject:
    """What a listing says of one object.

    Attributes:
        key: Its key.
        size_bytes: Length, bytes.
        changed_at: When it was last written, UTC.
    """

    key: str
    size_bytes: int
    changed_at: datetime


class ObjectStore(Protocol):
    """Bytes by content-addressed key, written atomically."""

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        """Write ``data`` under ``key``; the same bytes twice change nothing."""
        ...

    async def put_new(self, key: str, data: bytes) -> bool:
        """Write only if ``key`` is free; whether it was. Atomic, so one of two writers wins."""
        ...

    async def put_stream(
        self, chunks: AsyncIterator[bytes], *, prefix: str, max_bytes: int, content_type: str
    ) -> ObjectRef:
        """Write a stream under ``<prefix>/<first two hex digits>/<sha256>``.

        Raises:
            BadMediaError: more than ``max_bytes`` (code ``upload-too-large``) or no byte at all
                (``media-empty``); nothing stays behind.
        """
        ...

    async def get(self, key: str) -> bytes:
        """Bytes under ``key``.

        Raises:
            KeyError: nothing is there.
        """
        ...

    async def size(self, key: str) -> int:
        """Length of the object under ``key``, bytes, without reading it.

        Raises:
            KeyError: nothing is there.
        """
        ...

    async def open_file(self, ref: ObjectRef) -> Any:
        """A read-only binary file object with a real descriptor (a local temporary copy if the store is
        remote), its length and SHA-256 checked against ``ref``.

        Raises:
            KeyError: nothing is there.
            BadEventError: the bytes are not those of ``ref`` (code ``object-mismatch``).
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove; a missing key is no error."""
        ...

    async def move(self, key: str, target: str) -> None:
        """Give the object another key, in place of what lies there.

        Raises:
            KeyError: nothing is under ``key``.
        """
        ...

    def walk(self, folder: str = "") -> AsyncIterator[StoredObject]:
        """Every object whose key begins with ``<folder>/``; all, unfinished uploads included, if it is empty."""
        ...

    async def sweep(self, idle: timedelta) -> int:
        """Remove unfinished uploads that nobody has written to for so long; how many there were."""
        ...


@dataclass(frozen=True)
class FeatureRow:
    """One entity's values of one view.

    Attributes:
        entity_id: User or item id.
        at: Event time, UTC; never the clock of the writer.
        values: Field name -> value; vectors as float32 arrays.
    """

    entity_id: str
    at: datetime
    values: Mapping[str, Any]


class FeatureWriter(Protocol):
    """The write path: Feast, batched."""

    async def push(self, view: str, rows: Sequence[FeatureRow]) -> None:
        """Write rows online. An older or equal event time than stored changes nothing."""
        ...

    async def delete(self, view: str, entity_ids: Sequence[str]) -> None:
        """Forget entities of a view; unknown ids are no error."""
        ...


class FeatureReader(Protocol):
    """The read path: straight from Redis, TTL enforced."""

    async def read(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]:
        """Rows in the order asked; None where missing or older than the view's TTL."""
        ...


@dataclass(frozen=True)
class VectorRow:
    """One vector with its scalars.

    Attributes:
        id: Primary key, the item id.
        vector: float32 [D], unit length.
        scalars: Filterable fields of the collection.
    """

    id: str
    vector: Vector
    scalars: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """One neighbour: item id and inner product, larger is nearer."""

    id: str
    score: float


class VectorIndex(Protocol):
    """Vectors by collection alias; own primary keys, upsert only."""

    async def upsert(self, collection: str, rows: Sequence[VectorRow]) -> None: ...

    async def delete(self, collection: str, ids: Sequence[str]) -> None: ...

    async def fetch(self, collection: str, ids: Sequence[str]) -> dict[str, VectorRow]:
        """Rows by id; missing ids are left out."""
        ...

    async def search(self, collection: str, vector: Vector, limit: int, where: str = "") -> list[Hit]:
        """Nearest rows, best first; ``where`` is a Milvus filter expression built by us, never by users."""
        ...


class AttemptLog(Protocol):
    """How often work on an event was started without an end, recorded before the work."""

    async def begin(self, capability: str, event: str) -> int:
        """Count one start; returns the starts so far, this one included."""
        ...

    async def abandon(self, capability: str, event: str) -> None:
        """The work was stopped on purpose: uncount one start."""
        ...

    async def finish(self, capability: str, event: str) -> None:
        """The work ended (well or with a handled error): forget the starts."""
        ...
