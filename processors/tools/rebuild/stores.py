"""Reading, emptying and filling a view or a collection, whichever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from features.ports import FeatureReader, FeatureRow, FeatureWriter, VectorIndex, VectorRow
from features.views import View
from processors.tools.rebuild.fingerprints import Prints, Row, Target, fingerprint

BATCH = 500


class WholeReader(FeatureReader, Protocol):
    """A feature reader that can walk through a view."""

    def scan(self, view: str) -> AsyncIterator[list[FeatureRow]]: ...

    async def read_old_too(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]: ...


class WholeIndex(VectorIndex, Protocol):
    """A vector index that can walk through a collection."""

    def scan(self, collection: str) -> AsyncIterator[list[VectorRow]]: ...


@dataclass(frozen=True)
class Stores:
    """The stores that are rebuilt."""

    reader: WholeReader
    writer: FeatureWriter
    index: WholeIndex

    async def prints(self, target: Target) -> Prints:
        """Fingerprint of every row."""
        found: Prints = {}
        if isinstance(target, View):
            async for rows in self.reader.scan(target.name):
                found.update((row.entity_id, fingerprint(target, row)) for row in rows)
        else:
            async for vectors in self.index.scan(target.name):
                found.update((row.id, fingerprint(target, row)) for row in vectors)
        return found

    async def read(self, target: Target, ids: Sequence[str]) -> dict[str, Row]:
        """Rows by id, of any age."""
        if isinstance(target, View):
            rows = await self.reader.read_old_too(target.name, ids)
            return {row.entity_id: row for row in rows if row is not None}
        return dict(await self.index.fetch(target.name, ids))

    async def write(self, target: Target, rows: Sequence[Row]) -> None:
        """Write rows; older ones than stored change nothing."""
        if isinstance(target, View):
            await self.writer.push(target.name, cast(Sequence[FeatureRow], rows))
        else:
            await self.index.upsert(target.name, cast(Sequence[VectorRow], rows))

    async def delete(self, target: Target, ids: Sequence[str]) -> None:
        """Remove rows."""
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            if isinstance(target, View):
                await self.writer.delete(target.name, batch)
            else:
                await self.index.delete(target.name, batch)
