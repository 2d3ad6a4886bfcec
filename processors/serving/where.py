"""Which items a search may return."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from processors.serving.item_table import KIND_CODE, ItemTable, Mask, Rows


@dataclass(frozen=True)
class Where:
    """A filter as requests say it.

    Attributes:
        kind: Only this kind; None: any.
        cold: Only cold (True) or only warm (False) ones; None: both.
        exclude: Item ids left out.
        exclude_uploader: Uploader whose items are left out.
        kinds: Only these kinds; empty: any.
    """

    kind: str | None = None
    cold: bool | None = None
    exclude: Collection[str] = ()
    exclude_uploader: str | None = None
    kinds: Collection[str] = ()


class TableFilter:
    """`Where` over an item table: a ``search_space.RowFilter``.

    Args:
        where: What is asked.
        table: The items.
        cold_plays: Plays from which an item is no longer cold.
        uploader: Number of the uploader who is left out; -1: nobody.
    """

    def __init__(self, where: Where, table: ItemTable, cold_plays: int, uploader: int) -> None:
        self._where = where
        self._table = table
        self._cold_plays = cold_plays
        self._uploader = uploader
        self._kinds = [KIND_CODE[kind] for kind in ((where.kind,) if where.kind else where.kinds)]

    @property
    def cold(self) -> bool | None:
        return self._where.cold

    @property
    def excluded(self) -> int:
        return len(self._where.exclude)

    def mask(self) -> Mask:
        """Bool [rows of the table]."""
        columns, size = self._table.columns, self._table.size
        mask: Mask = columns.alive[:size].copy()
        if self._kinds:
            mask &= np.isin(columns.kind[:size], self._kinds)
        if self._where.cold is not None:
            mask &= (columns.plays[:size] < self._cold_plays) == self._where.cold
        if self._uploader >= 0:
            mask &= columns.uploader[:size] != self._uploader
        if self._where.exclude:
            mask[self._table.rows(list(self._where.exclude))] = False
        return mask

    def among(self, rows: Rows) -> Mask:
        """The same for some rows, bool [n]."""
        columns = self._table.columns
        mask: Mask = columns.alive[rows].copy()
        if self._kinds:
            mask &= np.isin(columns.kind[rows], self._kinds)
        if self._where.cold is not None:
            mask &= (columns.plays[rows] < self._cold_plays) == self._where.cold
        if self._uploader >= 0:
            mask &= columns.uploader[rows] != self._uploader
        if self._where.exclude:
            excluded = np.zeros(self._table.size, np.bool_)
            excluded[self._table.rows(list(self._where.exclude))] = True
            mask &= ~excluded[rows]
        return mask
