"""Signals joined into rows: one for each time that an item was shown to a user.

What carries the same request, user and item is one row. What carries no request belongs to the user's row of that item
that began at most ``SESSION_MS`` before, and a second play begins a row of its own. A row's moment is that of its
first signal, its completion that of the longest play, its place the first one told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from models.dataset import Interactions
from processors.tools.dataset.history import PLAYED, Signal

SESSION_MS = 30 * 60_000
LAST_PLACE = int(np.iinfo(np.int16).max)
MOST_MS = int(np.iinfo(np.int32).max)


def joined(signals: Sequence[Signal], user_row: Mapping[str, int], item_row: Mapping[str, int]) -> Interactions:
    """Rows in order of time, then user, then item; the same whatever the order of the signals.

    Args:
        signals: Each of a known user and item.
        user_row: Row by user id.
        item_row: Row by item id.
    """
    ordered = sorted(signals, key=attrgetter("at_ms", "user", "item", "kind", "request", "position"))
    group = _groups(ordered)
    count = int(group.max()) + 1 if len(group) else 0
    kinds = np.array([signal.kind for signal in ordered], dtype="U8")
    first = np.zeros(count, np.int64)
    first[group[::-1]] = np.arange(len(ordered))[::-1]  # the earliest is written last
    position = np.full(count, -1, np.int16)
    told = np.array([min(signal.position, LAST_PLACE) for signal in ordered], dtype=np.int64)
    place = np.flatnonzero(told >= 0)[::-1]
    position[group[place]] = told[place]

    def any_of(*wanted: str) -> NDArray[np.bool_]:
        found = np.zeros(count, np.bool_)
        found[group[np.isin(kinds, wanted)]] = True
        return found

    completion = np.zeros(count, np.float32)
    np.maximum.at(completion, group, np.array([signal.completion for signal in ordered], dtype=np.float32))
    played_ms = np.zeros(count, np.int64)
    np.add.at(played_ms, group, np.array([signal.played_ms for signal in ordered], dtype=np.int64))
    rows = Interactions(
        np.array([user_row[ordered[place].user] for place in first], np.int32),
        np.array([item_row[ordered[place].item] for place in first], np.int32),
        np.array([ordered[place].at_ms for place in first], np.int64),
        any_of("clicked", PLAYED),
        any_of("liked"),
        completion,
        np.minimum(played_ms, MOST_MS).astype(np.int32),
        position,
    )
    return rows.take(np.lexsort((rows.item, rows.user, rows.at_ms)))


def _groups(ordered: Sequence[Signal]) -> NDArray[np.int64]:
    """Number of each signal's row, from 0."""
    of_request: dict[tuple[str, str, str], int] = {}
    open_rows: dict[tuple[str, str], tuple[int, int, bool]] = {}
    count, found = 0, np.empty(len(ordered), np.int64)
    for index, signal in enumerate(ordered):
        pair = signal.user, signal.item
        if signal.request:
            number = of_request.setdefault((*pair, signal.request), count)
        else:
            number, began, played = open_rows.get(pair, (count, signal.at_ms, False))
            is_play = signal.kind == PLAYED
            if signal.at_ms - began > SESSION_MS or (played and is_play):
                number, began, played = count, signal.at_ms, False
            open_rows[pair] = number, began, played or is_play
        count = max(count, number + 1)
        found[index] = number
    return found
