"""What was known of users and items after each play: the columns of the online views, with their moments.

The same numbers as `processors.play_aggregation` keeps in `user_taste_v1` and `item_plays_v1`, by the same formula. A
late play counts from when it happened, not from when it arrived; plays of erased users do not count for songs either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from models.dataset import FINISHED
from processors.tools.dataset.history import PLAYED, Signal

MICROSECOND = timedelta(microseconds=1)
COMPLETED = np.float32(FINISHED)
"""Completion from which a play counts as complete; as `play_aggregation` reads it from Avro's float."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """One row for each entity and moment at which it was played, [N], by entity and then time.

    Attributes:
        entity: Row of the user or item, int32.
        at_ms: Moment from which the values hold, Unix ms, int64.
        plays: Plays so far, int64.
        completion_rate: Share of them that were complete, float64.
        played_ms: Time listened in all, ms, int64.
        decayed_plays: Plays weighted by 2^(-age / half-life), float64.
    """

    entity: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    plays: NDArray[np.int64]
    completion_rate: NDArray[np.float64]
    played_ms: NDArray[np.int64]
    decayed_plays: NDArray[np.float64]

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The columns by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def statistics(
    signals: Sequence[Signal], row_of: Mapping[str, int], name_of: Callable[[Signal], str], half_life: timedelta
) -> Statistics:
    """After each play, for each entity that ``name_of`` names and ``row_of`` knows.

    Args:
        signals: Plays and others, in any order; each once.
        row_of: Row by id.
        name_of: The user, or the item.
        half_life: Age at which a play weighs half.
    """
    plays = [signal for signal in signals if signal.kind == PLAYED and name_of(signal) in row_of]
    entity = np.array([row_of[name_of(signal)] for signal in plays], np.int32)
    at_ms = np.array([signal.at_ms for signal in plays], np.int64)
    complete = np.array([signal.completion for signal in plays], np.float32) >= COMPLETED
    played_ms = np.array([signal.played_ms for signal in plays], np.int64)
    order = np.lexsort((at_ms, entity))
    entity, at_ms, complete, played_ms = entity[order], at_ms[order], complete[order], played_ms[order]
    begins = np.diff(entity, prepend=-1) != 0
    start = np.flatnonzero(begins)[np.cumsum(begins) - 1]  # where each play's entity begins
    count = np.arange(len(entity)) - start + 1

    def so_far(values: NDArray[np.int64]) -> NDArray[np.int64]:
        total = np.cumsum(values)
        since: NDArray[np.int64] = total - total[start] + values[start]
        return since

    since_us = np.where(begins, 0, np.diff(at_ms, prepend=0)) * 1000
    found = Statistics(
        entity,
        at_ms,
        count,
        so_far(complete.astype(np.int64)) / count,
        so_far(played_ms),
        _decayed(begins, 0.5 ** (since_us / (half_life / MICROSECOND))),
    )
    # of several plays in one moment the last says what holds from then on
    last = (np.diff(entity, append=-1) != 0) | (np.diff(at_ms, append=0) != 0)
    return Statistics(*(column[last] for column in found.columns().values()))


def _decayed(begins: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running sum in which what was before is weighted anew with each play; 0 before the first of an entity."""
    total, found = 0.0, np.empty(len(weight))
    for index, (begin, factor) in enumerate(zip(begins.tolist(), weight.tolist(), strict=True)):
        total = 1.0 if begin else total * factor + 1.0
        found[index] = total
    return found
