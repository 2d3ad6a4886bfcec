"""Which items a search may return."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from processors.serving.item_table import KIND_CODE, PLACE_CODE, ItemTable, Mask, Rows


@dataclass(frozen=True)
class Where:
    """A filter as requests say it.

    Attributes:
        kind: Only this kind; None: any.
        cold: Only cold (True) or only warm (False) ones; None: both.
        exclude: Item ids left out.
        exclude_uploader: Uploader whose items are left out.
        kinds: Only these kinds; empty: any.
        places: Only posts that stand in these places; empty: any item.
    """

    kind: str | None = None
    cold: bool | None = None
    exclude: Collection[str] = ()
    exclude_uploader: str | None = None
    kinds: Collection[str] = ()
    places: Collection[str] = ()


class TableFilter:
    """`Where` over an item table: a ``search_space.RowFilter``.

    Args:
        where: What is asked.
        table: The items.
        uploader: Number of the uploader who is left out; -1: nobody.
    """

    def __init__(self, where: Where, table: ItemTable, uploader: int) -> None:
        self._where = where
        self._table = table
        self._uploader = uploader
        self._kinds = [KIND_CODE[kind] for kind in ((where.kind,) if where.kind else where.kinds)]
        self._places = [PLACE_CODE[place] for place in where.places]

    @property
    def cold(self) -> bool | None:
        return self._where.cold

    @property
    def excluded(self) -> int:
        return len(self._where.exclude)

    def mask(self) -> Mask:
        """Bool [rows of the table]."""
        mask = self._passing(slice(self._table.size))
        if self._where.exclude:
            mask[self._excluded_rows()] = False
        return mask

    def among(self, rows: Rows) -> Mask:
        """The same for some rows, bool [n]."""
        mask = self._passing(rows)
        if self._where.exclude:
            excluded = np.zeros(self._table.size, np.bool_)
            excluded[self._excluded_rows()] = True
            mask &= ~excluded[rows]
        return mask

    def _passing(self, rows: Rows | slice) -> Mask:
        """Rows that pass all but the list of single items."""
        columns = self._table.columns
        mask: Mask = columns.alive[rows].copy()
        if self._kinds:
            mask &= np.isin(columns.kind[rows], self._kinds)
        if self._places:
            mask &= np.isin(columns.place[rows], self._places)
        if self._where.cold is not None:
            mask &= columns.cold[rows] == self._where.cold
        if self._uploader >= 0:
            mask &= columns.uploader[rows] != self._uploader
        return mask

    def _excluded_rows(self) -> Rows:
        return self._table.rows(list(self._where.exclude))
