"""Empties stores, fills them from a source, and goes over them until they hold what the topics say.

It may run while workers write the same rows: whatever a worker and this do to one row at the same moment is found and
mended in a later round. Each round looks at the stores after the workers have done all events that were there when it
began. What changed since the round before is left to the workers; this ends when there was nothing else to mend and
every row that was written here has been seen right since. See docs/rebuild-and-backfill.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from features.ports import FeatureRow
from processors.tools.rebuild.fingerprints import Prints, Row, Target, fingerprint
from processors.tools.rebuild.sources import Source
from processors.tools.rebuild.stores import Stores
from schemas.errors import UnavailableError

ROUNDS = 20
BATCH = 200
log = structlog.get_logger(__name__)
Advance = Callable[[str, int, int], None]
"""What is done, how much of it, of how much."""


@dataclass
class Filled:
    """What a refill has come to.

    Attributes:
        stored: Fingerprints in the stores at the end, by target.
        moved: Row ids by target that changed in the topics meanwhile.
        failed: Why a key could not be written, by key.
        mended: Rows that were put right after the first writing.
        rounds: Times the stores were gone over.
    """

    stored: dict[str, Prints] = field(default_factory=dict)
    moved: dict[str, set[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    mended: int = 0
    rounds: int = 0


class Refill:
    """One source's stores.

    Args:
        source: What they should hold; its topic was read already.
        stores: The stores.
        emptied: Targets to empty first.
        checked: Targets to go over: those emptied, and perhaps more.
        workers_passed: Waits until the workers have done all events that are there now.
        tell: Takes the progress.
    """

    def __init__(
        self,
        source: Source,
        stores: Stores,
        *,
        emptied: Sequence[Target],
        checked: Sequence[Target],
        workers_passed: Callable[[], Awaitable[None]],
        tell: Advance,
    ) -> None:
        self._source = source
        self._stores = stores
        self._emptied = emptied
        self._checked = checked
        self._workers_passed = workers_passed
        self._tell = tell
        self._wanted: dict[str, Prints] = {target.name: {} for target in checked}
        self._found = Filled(moved={target.name: set() for target in checked})
        # rows written here and not seen right since, as (target, row id)
        self._unseen: set[tuple[str, str]] = set()

    async def run(self) -> Filled:
        """Empty, fill, go over.

        Raises:
            UnavailableError: a store does not answer, or rows keep changing under it.
        """
        for target in self._emptied:
            await self._stores.delete(target, list(await self._stores.prints(target)))
        await self._derive(list(self._source.known()), write=self._emptied)
        while True:
            self._found.rounds += 1
            mended = await self._round()
            if not mended and not self._unseen:
                return self._found
            log.info("rows mended", rows=mended, unseen=len(self._unseen), round=self._found.rounds)
            self._found.mended += mended
            if self._found.rounds == ROUNDS:
                text = f"rows keep changing: {mended} mended in round {ROUNDS}, {len(self._unseen)} not seen right yet"
                raise UnavailableError(text, code="rebuild-unsettled")

    async def _derive(self, keys: Sequence[str], write: Iterable[Target]) -> None:
        """Note what keys should have, and write it."""
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            for key in batch:
                self._found.failed.pop(key, None)
                for target, row_id in self._source.places(key):
                    self._wanted.get(target.name, {}).pop(row_id, None)
            derived = await self._source.derive(batch)
            self._found.failed |= derived.failed
            for target in self._checked:
                rows = derived.rows.get(target.name, {})
                self._wanted[target.name] |= {i: fingerprint(target, row) for i, row in rows.items()}
                if rows and target in write:
                    await self._stores.write(target, list(rows.values()))
                    self._unseen |= {(target.name, row_id) for row_id in rows}
            self._tell("filling", start + len(batch), len(keys))

    async def _round(self) -> int:
        """Look at the stores, then at the topic, and mend what differs; how many rows."""
        await self._workers_passed()
        self._found.stored = {target.name: await self._stores.prints(target) for target in self._checked}
        # in this order: what a worker stores was in the topic before, so that no row of it looks like nobody's
        changed = self._source.advance()
        fresh: set[tuple[str, str]] = set()
        for key in changed:
            for target, row_id in self._source.places(key):
                self._found.moved.get(target.name, set()).add(row_id)
                fresh.add((target.name, row_id))
        await self._derive(sorted(changed), write=())
        return sum([await self._mend(target, fresh) for target in self._checked])

    async def _mend(self, target: Target, fresh: set[tuple[str, str]]) -> int:
        """Mend what is wrong and not just on its way through the workers; how many rows."""
        wanted, stored = self._wanted[target.name], self._found.stored[target.name]
        wrong = {i for i in wanted.keys() | stored.keys() if wanted.get(i) != stored.get(i)}
        on_their_way = {i for i in wrong if (target.name, i) in fresh}
        doubtful = {(name, i) for name, i in self._unseen if name != target.name or i in on_their_way}
        # what changed while this emptied and filled may have been written by a worker before it was emptied
        first = self._found.rounds == 1
        self._unseen = doubtful | ({(target.name, i) for i in on_their_way} if first else set())
        standing = sorted(wrong - on_their_way)
        mended: list[str] = []
        for start in range(0, len(standing), BATCH):
            mended += await self._mend_batch(target, standing[start : start + BATCH])
        self._unseen |= {(target.name, row_id) for row_id in mended}
        return len(mended)

    async def _mend_batch(self, target: Target, ids: Sequence[str]) -> list[str]:
        keys = {row_id: self._source.key_of(target, row_id) for row_id in ids}
        derived = await self._source.derive(sorted(keys.values()))
        right = derived.rows.get(target.name, {})
        present = await self._stores.read(target, ids)
        bad = [
            row_id
            for row_id in ids
            if keys[row_id] not in derived.failed and self._is_wrong(target, present.get(row_id), right.get(row_id))
        ]
        if not bad:
            return []
        # away first: Feast keeps a row whose event time is not older
        await self._stores.delete(target, [row_id for row_id in bad if row_id in present])
        if rows := [right[row_id] for row_id in bad if row_id in right]:
            await self._stores.write(target, rows)
        return bad

    def _is_wrong(self, target: Target, present: Row | None, right: Row | None) -> bool:
        if present is None or right is None:
            # a row of a key that the topic does not know yet is a worker's, unless the topic leads
            return present is not right and (right is not None or self._source.leads or self._knows(target, present))
        if not self._source.leads and _age(present) > _age(right):
            return False
        return fingerprint(target, present) != fingerprint(target, right)

    def _knows(self, target: Target, present: Row | None) -> bool:
        if present is None:
            return False
        row_id = present.entity_id if isinstance(present, FeatureRow) else present.id
        return self._source.knows(self._source.key_of(target, row_id))


def _age(row: Row) -> float:
    """What is larger for the newer of two rows of one id."""
    return row.at.timestamp() if isinstance(row, FeatureRow) else float(row.scalars["seq"])
