"""The published items, in this process: what recall searches and the only list of what may be answered.

Fed by followers of ``item.catalogue.changed`` and of the play counts. Reads and writes take one short lock;
reads are a few numpy calls over columns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from features.ports import Vector
from features.views import CONTENT_JOINT
from processors.serving.ann import PartitionIndexes
from processors.serving.candidates import Candidates
from processors.serving.decoding import Decoder
from processors.serving.item_table import KIND_CODE, ItemTable, Mask, Rows
from processors.serving.popularity import HOUR_MS, PlayCounts, require_possible
from schemas.item import ItemChanged
from schemas.play import PlayAggregate, SongCounted
from schemas.topics import ITEM_CHANGED, PLAY_AGGREGATED, SONG_COUNTED

MOST_LATE = 4
"""With a fourth of the rows not in the index yet, gathering them costs more than the product with all (measured)."""
EXACT_BELOW = 15_000
"""Up to so many searchable rows the exact product is used, which misses none: measured for 375 played and 125 other
items it takes 0.24 ms at 8,000 rows of 192 numbers, the index 0.39 ms; it grows with the rows, the index hardly."""
SPARE = 16
"""The index is asked for so many more than are wanted: its order is that of rounded vectors."""
MOST_OF_INDEX = 0.06
"""Share of a partition from which on the index would take longer to find it than the exact product."""
FRESH_HALF_LIFE_H = 72.0
COLD_QUALITY_WEIGHT = 0.3
QUALITY_PRIOR_PLAYS = 5.0
TOTAL_PREFIX = "total:"
UNIT_TOLERANCE = 1e-3

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Where:
    """Which items a search may return.

    Attributes:
        kind: Only this kind; None: any.
        cold: Only cold (True) or only warm (False) ones; None: both.
        exclude: Item ids left out.
        exclude_uploader: Uploader whose items are left out.
    """

    kind: str | None = None
    cold: bool | None = None
    exclude: Collection[str] = ()
    exclude_uploader: str | None = None


class CatalogueSnapshot:
    """Published items with vectors and popularity.

    An item is published as long as its newest ``ItemChanged`` (by ``seq``) says so; only vectors of one
    version are searched. Items without a searchable vector are still found by popularity and freshness.

    Args:
        decoder: Decodes the followed topics.
        cold_plays: Plays from which an item is no longer cold.
        half_life_h: Hours after which a play counts half.
        vector_version: The version that is searched; None: that of the newest item seen.
        dim: Length of the vectors.
        exact_below: See ``EXACT_BELOW``.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        cold_plays: int,
        half_life_h: float,
        vector_version: str | None = None,
        dim: int = CONTENT_JOINT.dim,
        exact_below: int = EXACT_BELOW,
    ) -> None:
        self._decoder = decoder
        self._cold_plays = cold_plays
        self._half_life_ms = half_life_h * HOUR_MS
        self._exact_below = exact_below
        self._pinned = vector_version is not None
        self._version = vector_version or ""
        self._version_at_ms = 0
        self._lock = threading.Lock()
        self._table = ItemTable(dim)
        self._fence: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._counts = PlayCounts(half_life_h)
        self._indexes = PartitionIndexes(dim)
        self._changed_at = time.monotonic()

    # -- what the followers call -----------------------------------------------------------------

    def apply(self, topic: str, key: str, value: bytes | None) -> None:
        """Take one record of a followed topic.

        Raises:
            BadEventError: it does not decode, or its counts are impossible; nothing of it is taken.
            UnavailableError: its schema cannot be fetched at the moment.
        """
        if topic == ITEM_CHANGED.name:
            self._apply_item(key, None if value is None else self._decoder.decode(value, ItemChanged))
        elif topic == SONG_COUNTED.name and value is not None:
            self._apply_counts([self._decoder.decode(value, SongCounted)])
        elif topic == PLAY_AGGREGATED.name and value is not None and key.startswith(TOTAL_PREFIX):
            self._apply_counts(self._decoder.decode(value, PlayAggregate).partials)

    def _apply_item(self, item_id: str, change: ItemChanged | None) -> None:
        with self._lock:
            self._changed_at = time.monotonic()
            if change is None:
                self._fence.pop(item_id, None)
                self._remove(item_id)
                return
            if change.seq < self._fence.get(change.item_id, change.seq):
                return
            self._fence[change.item_id] = change.seq
            if change.change == "published":
                self._put(change)
            else:
                self._remove(change.item_id)

    def _apply_counts(self, counts: Collection[SongCounted]) -> None:
        for counted in counts:
            require_possible(counted)
        with self._lock:
            for counted in counts:
                if self._counts.apply(counted):
                    row = self._table.row(counted.song_id)
                    if row is not None:
                        was_cold = self._is_cold(row)
                        self._set_plays(row, counted.song_id)
                        if self._is_cold(row) != was_cold:
                            self._table.touch(row)

    def _put(self, change: ItemChanged) -> None:
        row = self._table.claim(change.item_id)
        columns = self._table.columns
        columns.kind[row] = KIND_CODE[change.kind]
        columns.uploader[row] = self._number("uploader", change.uploader)
        columns.published_ms[row] = int(change.occurred_at.timestamp() * 1000)
        columns.version[row] = self._number("version", change.vector_version)
        columns.alive[row] = True
        vector = self._unit(change)
        if vector is not None:
            self._table.vectors[row] = vector
            self._adopt(change)
        columns.searchable[row] = vector is not None and change.vector_version == self._version
        self._set_plays(row, change.item_id)
        self._table.touch(row)

    def _unit(self, change: ItemChanged) -> Vector | None:
        if not change.vector:
            return None
        vector = np.asarray(change.vector, np.float32)
        # in float64: the square of a large float32 is none
        norm = float(np.linalg.norm(vector.astype(np.float64)))
        if vector.shape != (self._table.dim,) or not np.isfinite(norm) or abs(norm - 1.0) > UNIT_TOLERANCE:
            log.warning("vector not searchable", item=change.item_id, shape=vector.shape, norm=norm)
            return None
        return vector

    def _adopt(self, change: ItemChanged) -> None:
        """Turn to a newer version of the vectors; items embedded with the old one wait for theirs."""
        at_ms = int(change.changed_at.timestamp() * 1000)
        if self._pinned or change.vector_version == self._version or at_ms < self._version_at_ms:
            return
        log.info("vector version", old=self._version, new=change.vector_version)
        self._version, self._version_at_ms = change.vector_version, at_ms
        columns, size = self._table.columns, self._table.size
        current = self._number("version", change.vector_version)
        columns.searchable[:size] = columns.alive[:size] & (columns.version[:size] == current)
        columns.stale[:size] = True
        columns.changes[:size] += 1
        self._indexes = PartitionIndexes(self._table.dim)

    def _set_plays(self, row: int, item_id: str) -> None:
        plays, columns = self._counts.total(item_id), self._table.columns
        columns.plays[row] = plays.plays
        columns.completions[row] = plays.completions
        columns.decayed[row] = plays.decayed
        columns.played_ms[row] = plays.last_ms

    def _is_cold(self, row: int) -> bool:
        return bool(self._table.columns.plays[row] < self._cold_plays)

    def _remove(self, item_id: str) -> None:
        self._table.release(item_id)

    def _number(self, space: str, text: str) -> int:
        return self._numbers.setdefault(f"{space}:{text}", len(self._numbers))

    # -- what the index's thread calls -----------------------------------------------------------

    def index_stale(self, batch: int) -> int:
        """Bring at most ``batch`` changed rows into the index; how many there were.

        Does nothing while the exact product is used anyway. The slow part holds no lock of the table.
        """
        with self._lock:
            columns, size, indexes = self._table.columns, self._table.size, self._indexes
            if np.count_nonzero(columns.searchable[:size]) <= self._exact_below:
                return 0
            rows = np.flatnonzero(columns.stale[:size])[:batch]
            changes = columns.changes[rows]
            searchable, vectors = columns.searchable[rows], self._table.vectors[rows]
            cold = columns.plays[rows] < self._cold_plays
        for place, row in enumerate(rows.tolist()):
            indexes.put(row, vectors[place] if searchable[place] else None, cold=bool(cold[place]))
        with self._lock:
            if indexes is self._indexes:
                columns = self._table.columns
                columns.stale[rows[columns.changes[rows] == changes]] = False
        return len(rows)

    # -- what requests call ----------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._table)

    @property
    def vector_version(self) -> str:
        """Version of the vectors that are searched; empty before the first."""
        return self._version

    @property
    def age_s(self) -> float:
        """Seconds since the last change of an item."""
        return time.monotonic() - self._changed_at

    def known(self, item_id: str) -> bool:
        """Whether the item was ever published or withdrawn here."""
        return item_id in self._fence

    def vector_of(self, item_id: str) -> Vector | None:
        """The published item's vector [D], unit length; None if it is not searchable."""
        with self._lock:
            row = self._table.row(item_id)
            if row is None or not self._table.columns.searchable[row]:
                return None
            found: Vector = self._table.vectors[row].copy()
            return found

    def nearest(self, vector: Vector, limit: int, where: Where) -> Candidates:
        """Items nearest to ``vector`` [D], unit length, best first; score = similarity."""
        with self._lock:
            rows, scores = self._approximate(vector, limit, where) or self._exact(
                vector, limit, self._searchable(where)
            )
            return self._candidates(rows, scores, scores)

    def popular(self, limit: int, where: Where, now_ms: int) -> Candidates:
        """Items most played of late, best first; score = decayed plays as of ``now_ms``."""
        with self._lock:
            rows = np.flatnonzero(self._mask(where))
            columns = self._table.columns
            age_ms = np.maximum(0, now_ms - columns.played_ms[rows])
            return self._best(rows, columns.decayed[rows] * np.exp2(-age_ms / self._half_life_ms), limit)

    def freshest(self, limit: int, where: Where, now_ms: int) -> Candidates:
        """New items first, well listened ones before others of the same age.

        score = (1 - w) * 2^(-age / 72 h) + w * smoothed completion rate, w = 0.3, the rate smoothed with
        5 plays at one half.
        """
        with self._lock:
            rows = np.flatnonzero(self._mask(where))
            columns = self._table.columns
            age_h = np.maximum(0, now_ms - columns.published_ms[rows]) / HOUR_MS
            rate = (columns.completions[rows] + 0.5 * QUALITY_PRIOR_PLAYS) / (columns.plays[rows] + QUALITY_PRIOR_PLAYS)
            fresh = np.exp2(-age_h / FRESH_HALF_LIFE_H)
            return self._best(rows, (1 - COLD_QUALITY_WEIGHT) * fresh + COLD_QUALITY_WEIGHT * rate, limit)

    def pick(self, item_ids: list[str], vector: Vector | None) -> Candidates:
        """The published ones of ``item_ids`` in the order asked, each once, compared with ``vector``."""
        with self._lock:
            rows = self._table.rows(item_ids)
            similarity = np.zeros(len(rows), np.float32)
            if vector is not None:
                searchable = self._table.columns.searchable[rows]
                similarity[searchable] = self._table.vectors[rows[searchable]] @ vector
            return self._candidates(rows, similarity, similarity)

    # -- under the lock --------------------------------------------------------------------------

    def _mask(self, where: Where) -> Mask:
        columns, size = self._table.columns, self._table.size
        mask: Mask = columns.alive[:size].copy()
        if where.kind is not None:
            mask &= columns.kind[:size] == KIND_CODE[where.kind]
        if where.cold is not None:
            mask &= (columns.plays[:size] < self._cold_plays) == where.cold
        if where.exclude_uploader is not None:
            mask &= columns.uploader[:size] != self._uploader(where)
        if where.exclude:
            mask[self._table.rows(list(where.exclude))] = False
        return mask

    def _uploader(self, where: Where) -> int:
        return self._numbers.get(f"uploader:{where.exclude_uploader}", -1)

    def _searchable(self, where: Where) -> Mask:
        return self._mask(where) & self._table.columns.searchable[: self._table.size]

    def _exact(self, vector: Vector, limit: int, allowed: Mask) -> tuple[Rows, NDArray[np.float32]]:
        rows = np.flatnonzero(allowed)
        # A few rows are gathered; for many the whole product is cheaper than the copy.
        if len(rows) * 4 < len(allowed):
            return self._best_of(rows, vector, limit)
        scores = (self._table.vectors[: self._table.size] @ vector)[rows]
        top = _top(scores, limit)
        return rows[top], scores[top]

    def _approximate(self, vector: Vector, limit: int, where: Where) -> tuple[Rows, NDArray[np.float32]] | None:
        """The index for rows it knows as they are, the exact product for the others; looks at rows found, not at all.

        None: the exact product is to be used, because ``where`` leaves little or the index lags.
        """
        if self._indexes.size(None) <= self._exact_below:
            return None
        indexed, fetched = self._indexes.size(where.cold), limit + len(where.exclude) + SPARE
        if indexed <= self._exact_below and fetched > MOST_OF_INDEX * indexed:
            return None
        near = self._found(vector, fetched, where)
        if len(near) < limit:
            # the index knows no filters: as many more are fetched as the filter will take away
            fetched = fetched * limit // max(1, len(near)) + limit // 10 + SPARE
            if fetched > MOST_OF_INDEX * indexed:
                return None
            near = self._found(vector, fetched, where)
            if len(near) < limit:
                return None
        stale = self._table.columns.stale[: self._table.size]
        if stale.any():
            late = np.flatnonzero(self._searchable(where) & stale)
            if len(late) * MOST_LATE > len(stale):
                return None
            near = np.concatenate([near, late])
        return self._best_of(near, vector, limit)

    def _found(self, vector: Vector, count: int, where: Where) -> Rows:
        """Rows that the index finds and ``where`` allows."""
        near = self._indexes.search(vector, count, where.cold)
        columns = self._table.columns
        allowed: Mask = columns.searchable[near] & ~columns.stale[near]
        if where.kind is not None:
            allowed &= columns.kind[near] == KIND_CODE[where.kind]
        if where.exclude_uploader is not None:
            allowed &= columns.uploader[near] != self._uploader(where)
        if where.exclude:
            excluded = np.zeros(self._table.size, np.bool_)
            excluded[self._table.rows(list(where.exclude))] = True
            allowed &= ~excluded[near]
        return near[allowed]

    def _best_of(self, rows: Rows, vector: Vector, limit: int) -> tuple[Rows, NDArray[np.float32]]:
        scores = self._table.vectors[rows] @ vector
        top = _top(scores, limit)
        return rows[top], scores[top]

    def _best(self, rows: Rows, scores: NDArray[np.float64], limit: int) -> Candidates:
        top = _top(scores, limit)
        return self._candidates(rows[top], np.zeros(len(top), np.float32), scores[top].astype(np.float32))

    def _candidates(self, rows: Rows, similarity: NDArray[np.float32], score: NDArray[np.float32]) -> Candidates:
        columns = self._table.columns
        return Candidates(
            ids=columns.ids[rows],
            kind=columns.kind[rows],
            cold=columns.plays[rows] < self._cold_plays,
            similarity=similarity,
            score=score,
            reason=np.zeros(len(rows), np.int8),
            published_ms=columns.published_ms[rows],
            plays=columns.plays[rows],
            completions=columns.completions[rows],
            decayed=columns.decayed[rows],
            played_ms=columns.played_ms[rows],
        )


def _top(scores: NDArray[np.floating], limit: int) -> Rows:
    """Indices of the largest scores, best first; equal ones in order of arrival."""
    if limit < len(scores):
        part = np.argpartition(-scores, limit - 1)[:limit] if limit > 0 else np.empty(0, np.int64)
        part.sort()
        return part[np.argsort(-scores[part], kind="stable")]
    return np.argsort(-scores, kind="stable")
