"""The published items, in this process: what recall searches and the only list of what may be answered.

Fed by followers of ``item.catalogue.changed`` and of the counts of plays and exposures. Reads and writes take
one short lock; reads are a few numpy calls over columns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from features.ports import Vector
from features.views import CONTENT_JOINT
from models.ranking_features import ItemColumns
from models.recommender import SURE, ItemContent, MappedItems, known_year
from processors.serving.candidates import Candidates
from processors.serving.decoding import Decoder
from processors.serving.item_table import KIND_CODE, PLACE_CODE, ItemTable, Rows
from processors.serving.learned_space import LearnedSpace, Placed, Waiting
from processors.serving.popularity import HOUR_MS, Counted, ItemCounts, item_of, require_possible
from processors.serving.search_space import EXACT_BELOW, SearchSpace, put_in_index, top
from processors.serving.where import TableFilter, Where
from schemas.interaction import ExposuresCounted
from schemas.item import ItemChanged
from schemas.play import PlayAggregate, SongCounted
from schemas.topics import EXPOSURES_COUNTED, ITEM_CHANGED, PLAY_AGGREGATED, SONG_COUNTED

FRESH_HALF_LIFE_H = 72.0
COLD_EXPOSURES = 100
COLD_QUALITY_WEIGHT = 0.3
QUALITY_PRIOR_PLAYS = 5.0
TOTAL_PREFIX = "total:"
UNIT_TOLERANCE = 1e-3
NO_VECTOR = -1

log = structlog.get_logger(__name__)


class CatalogueSnapshot:
    """Published items with vectors and popularity.

    An item is published as long as its newest ``ItemChanged`` (by ``seq``) says so; only vectors of one
    version are searched. Items without a searchable vector are still found by popularity and freshness.

    Args:
        decoder: Decodes the followed topics.
        cold_plays: Plays from which an item is no longer cold.
        cold_exposures: Exposures from which it is not either.
        half_life_h: Hours after which a play counts half.
        vector_version: The version that is searched; None: that of the newest item seen.
        dim: Length of the vectors.
        exact_below: See ``search_space.EXACT_BELOW``.
        refused: Told of each item whose vector cannot be searched.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        cold_plays: int,
        half_life_h: float,
        cold_exposures: int = COLD_EXPOSURES,
        vector_version: str | None = None,
        dim: int = CONTENT_JOINT.dim,
        exact_below: int = EXACT_BELOW,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._decoder = decoder
        self._refused = refused
        self._cold_plays = cold_plays
        self._half_life_ms = half_life_h * HOUR_MS
        self._pinned = vector_version is not None
        self._version = vector_version or ""
        self._version_at_ms = 0
        self._lock = threading.Lock()
        self._table = ItemTable()
        self._content = SearchSpace(dim, exact_below=exact_below)
        self._learned: list[LearnedSpace] = []
        self._in_use: LearnedSpace | None = None
        self._fence: dict[str, int] = {}
        self._uploaders: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._counts = ItemCounts(half_life_h, cold_exposures)
        self._changed_at = time.monotonic()
        self.changed = threading.Event()

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
        elif topic == EXPOSURES_COUNTED.name and value is not None:
            self._apply_counts([self._decoder.decode(value, ExposuresCounted)])

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

    def _apply_counts(self, counts: Collection[Counted]) -> None:
        for counted in counts:
            require_possible(counted)
        with self._lock:
            for counted in counts:
                row = self._table.row(item_of(counted)) if self._counts.apply(counted) else None
                if row is not None:
                    was_cold = self._table.columns.cold[row]
                    self._set_counts(row, item_of(counted))
                    if self._table.columns.cold[row] != was_cold:
                        for space in self._spaces():
                            space.touch(row)

    def _put(self, change: ItemChanged) -> None:
        row = self._table.claim(change.item_id)
        columns = self._table.columns
        columns.kind[row] = KIND_CODE[change.kind]
        columns.uploader[row] = _number(self._uploaders, change.uploader)
        columns.published_ms[row] = int(change.occurred_at.timestamp() * 1000)
        columns.alive[row] = True
        columns.labels[row] = tuple(label.name for label in change.labels if label.score >= SURE)
        columns.year[row] = known_year(change.release_year)
        columns.place[row] = PLACE_CODE[change.surface]
        columns.changes[row] += 1
        self.changed.set()
        self._set_counts(row, change.item_id)
        vector = self._unit(change)
        columns.version[row] = NO_VECTOR if vector is None else _number(self._versions, change.vector_version)
        if vector is not None:
            self._adopt(change)
        if vector is not None and change.vector_version == self._version:
            self._content.set(row, vector)
        elif vector is not None:
            self._content.keep(row, vector)
        else:
            self._content.set(row, None)

    def _unit(self, change: ItemChanged) -> Vector | None:
        if not change.vector:
            return None
        vector = np.asarray(change.vector, np.float32)
        # in float64: the square of a large float32 is none
        norm = float(np.linalg.norm(vector.astype(np.float64)))
        if vector.shape != (self._content.dim,) or not np.isfinite(norm) or abs(norm - 1.0) > UNIT_TOLERANCE:
            self._refused()
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
        current = _number(self._versions, change.vector_version)
        self._content.restrict(columns.alive[:size] & (columns.version[:size] == current))

    def _set_counts(self, row: int, item_id: str) -> None:
        plays, columns = self._counts.plays(item_id), self._table.columns
        columns.plays[row] = plays.plays
        columns.completions[row] = plays.completions
        columns.measured[row] = plays.measured
        columns.completion_sum[row] = plays.completion_sum
        columns.decayed[row] = plays.decayed
        columns.played_ms[row] = plays.last_ms
        columns.cold[row] = plays.plays < self._cold_plays and not self._counts.shown_often(item_id)

    def _remove(self, item_id: str) -> None:
        row = self._table.release(item_id)
        if row is not None:
            self._content.set(row, None)
            for learned in self._learned:
                learned.release(row)

    # -- what the keepers' threads call ----------------------------------------------------------

    def index_stale(self, batch: int) -> int:
        """Bring at most ``batch`` changed rows of each space into its index; how many there were.

        Does nothing for a space while the exact product is used anyway. The slow part holds no lock of the table.
        """
        done = 0
        for space in self._spaces():
            with self._lock:
                taken = space.take_stale(batch, self._table.columns.cold.__getitem__)
            if taken is not None:
                put_in_index(taken)
                with self._lock:
                    space.indexed(taken)
                done += len(taken.rows)
        return done

    def keep_learned(self, space: LearnedSpace) -> None:
        """Keep a space up from now on, beside that in use; it takes the place of one that was never used."""
        with self._lock:
            self._learned = [each for each in self._learned if each is self._in_use] + [space]

    def use_learned(self, space: LearnedSpace) -> None:
        """Answer from this space. The one before is kept up for the requests that have it in hand."""
        with self._lock:
            self._learned = [each for each in (self._in_use, space) if each is not None]
            self._in_use = space

    def unmapped(self, space: LearnedSpace, limit: int) -> Waiting:
        """At most ``limit`` published items that the space does not hold as they are."""
        with self._lock:
            columns, size = self._table.columns, self._table.size
            rows = space.behind(columns.changes[:size], columns.alive[:size], limit)
            names = {number: name for name, number in self._versions.items()}
            has = columns.version[rows] != NO_VECTOR
            joint = np.zeros((len(rows), self._content.dim), np.float32)
            joint[has] = self._content.vectors[rows[has]]
            content = ItemContent(
                columns.ids[rows].tolist(),
                joint,
                [names.get(number, "") for number in columns.version[rows].tolist()],
                columns.labels[rows].tolist(),
                columns.year[rows],
            )
            return Waiting(rows, columns.changes[rows], content)

    def take_mapped(self, space: LearnedSpace, waiting: Waiting, mapped: MappedItems) -> None:
        """Take what was computed for them; an item that changed meanwhile waits again."""
        with self._lock:
            columns = self._table.columns
            still = columns.alive[waiting.rows] & (columns.changes[waiting.rows] == waiting.changes)
            space.put(waiting, mapped, still)

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

    @property
    def learned(self) -> LearnedSpace | None:
        """The space of the bundle in use; None before the first is filled."""
        return self._in_use

    def vector_of(self, item_id: str) -> Vector | None:
        """The published item's vector [D], unit length; None if it is not searchable."""
        with self._lock:
            row = self._table.row(item_id)
            return None if row is None else self._content.vector_of(row)

    def nearest(self, vector: Vector, limit: int, where: Where) -> Candidates:
        """Items nearest to ``vector`` [D], unit length, best first; score = similarity."""
        with self._lock:
            rows, scores = self._content.search(vector, limit, self._filter(where))
            return self._candidates(rows, scores, scores)

    def nearest_learned(
        self, space: LearnedSpace, vector: Vector, asked: Sequence[tuple[int, Where]], compare: Vector | None
    ) -> list[Candidates]:
        """For each limit and filter the items of the largest inner product with ``vector`` [D of the space].

        Best first; score = that product; similarity = that with ``compare``, in the space of the content; reason =
        ``learned`` where training placed the item, ``mapped`` where its content did.
        """
        with self._lock:
            found = space.vectors.search_each(vector, [(limit, self._filter(where)) for limit, where in asked])
            return [
                replace(self._candidates(rows, self._likeness(rows, compare), scores), reason=space.reasons(rows))
                for rows, scores in found
            ]

    def columns_of(self, space: LearnedSpace, item_ids: Sequence[str], now_ms: int) -> tuple[Rows, ItemColumns]:
        """What ranking is told of items.

        Returns:
            Places in ``item_ids`` of those that are published, int64 [n], and their columns.
        """
        with self._lock:
            places, rows = self._table.places(item_ids)
            return places, space.columns(self._table, rows, now_ms)

    def vectors_of(self, space: LearnedSpace | None, item_ids: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of items [n, D] in a space; None: those of their content. Zeros for an item that has none."""
        with self._lock:
            vectors = self._content if space is None else space.vectors
            places, rows = self._table.places(item_ids)
            found = np.zeros((len(item_ids), vectors.dim), np.float32)
            found[places] = vectors.rows(rows)
            return found

    def placed(self, space: LearnedSpace, item_id: str) -> Placed | None:
        """How the space holds a published item; None if it does not."""
        with self._lock:
            row = self._table.row(item_id)
            space.reach(self._table.size)
            return None if row is None else space.placed(row, cold=bool(self._table.columns.cold[row]))

    def popular(self, limit: int, where: Where, now_ms: int) -> Candidates:
        """Items most played of late, best first; score = decayed plays as of ``now_ms``."""
        with self._lock:
            rows = np.flatnonzero(self._filter(where).mask())
            columns = self._table.columns
            age_ms = np.maximum(0, now_ms - columns.played_ms[rows])
            return self._best(rows, columns.decayed[rows] * np.exp2(-age_ms / self._half_life_ms), limit)

    def freshest(self, limit: int, where: Where, now_ms: int) -> Candidates:
        """New items first, well listened ones before others of the same age.

        score = (1 - w) * 2^(-age / 72 h) + w * smoothed completion rate, w = 0.3, the rate smoothed with
        5 plays at one half.
        """
        with self._lock:
            rows = np.flatnonzero(self._filter(where).mask())
            columns = self._table.columns
            age_h = np.maximum(0, now_ms - columns.published_ms[rows]) / HOUR_MS
            rate = (columns.completions[rows] + 0.5 * QUALITY_PRIOR_PLAYS) / (columns.plays[rows] + QUALITY_PRIOR_PLAYS)
            fresh = np.exp2(-age_h / FRESH_HALF_LIFE_H)
            return self._best(rows, (1 - COLD_QUALITY_WEIGHT) * fresh + COLD_QUALITY_WEIGHT * rate, limit)

    def pick(self, item_ids: list[str], vector: Vector | None) -> Candidates:
        """The published ones of ``item_ids`` in the order asked, each once, compared with ``vector``."""
        with self._lock:
            rows = self._table.rows(item_ids)
            similarity = self._likeness(rows, vector)
            return self._candidates(rows, similarity, similarity)

    # -- under the lock --------------------------------------------------------------------------

    def _spaces(self) -> list[SearchSpace]:
        return [self._content, *(learned.vectors for learned in self._learned)]

    def _likeness(self, rows: Rows, vector: Vector | None) -> NDArray[np.float32]:
        return np.zeros(len(rows), np.float32) if vector is None else self._content.products(rows, vector)

    def _filter(self, where: Where) -> TableFilter:
        uploader = -1 if where.exclude_uploader is None else self._uploaders.get(where.exclude_uploader, -1)
        return TableFilter(where, self._table, uploader)

    def _best(self, rows: Rows, scores: NDArray[np.float64], limit: int) -> Candidates:
        best = top(scores, limit)
        return self._candidates(rows[best], np.zeros(len(best), np.float32), scores[best].astype(np.float32))

    def _candidates(self, rows: Rows, similarity: NDArray[np.float32], score: NDArray[np.float32]) -> Candidates:
        columns = self._table.columns
        return Candidates(
            ids=columns.ids[rows],
            kind=columns.kind[rows],
            cold=columns.cold[rows],
            similarity=similarity,
            score=score,
            reason=np.zeros(len(rows), np.int8),
            published_ms=columns.published_ms[rows],
            plays=columns.plays[rows],
            completions=columns.completions[rows],
            decayed=columns.decayed[rows],
            played_ms=columns.played_ms[rows],
        )


def _number(known: dict[str, int], name: str) -> int:
    return known.setdefault(name, len(known))
