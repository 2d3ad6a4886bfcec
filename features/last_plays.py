"""A user's last plays in one run of bytes: hundreds of them cost a state record or a feature row hardly more than one.

``count`` (uint16), then a column each, the oldest play first: when (int64 [n], Unix time in ms), completion
(float32 [n]), the items' ids as a JSON array. Numbers are little-endian. 200 plays of items whose ids have 36
characters are 10.2 kB.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from schemas.errors import BugError

LAST_PLAYS = 200
"""Plays of a user that are kept one by one."""
TASTE_PLAYS = 50
"""The newest of them, whose items' contents make up a taste: their vectors are read anew for each batch."""
COUNT = struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class LastPlays:
    """Plays of one user, the oldest first.

    Attributes:
        items: Ids, [n].
        completion: Share of each that was played, float32 [n], 0..1.
        at_ms: When, Unix time in ms, int64 [n].
    """

    items: list[str]
    completion: NDArray[np.float32]
    at_ms: NDArray[np.int64]

    @staticmethod
    def of(items: list[str], completion: list[float], at_ms: list[int]) -> LastPlays:
        """The same of lists."""
        return LastPlays(items, np.array(completion, "<f4"), np.array(at_ms, "<i8"))

    def __len__(self) -> int:
        return len(self.items)

    def then(self, newer: LastPlays) -> LastPlays:
        """These and newer ones, at most `LAST_PLAYS`."""
        return LastPlays(
            (self.items + newer.items)[-LAST_PLAYS:],
            np.concatenate([self.completion, newer.completion])[-LAST_PLAYS:],
            np.concatenate([self.at_ms, newer.at_ms])[-LAST_PLAYS:],
        )

    def last(self, count: int) -> LastPlays:
        """The newest ``count``, or as many as there are."""
        first = max(len(self) - count, 0)
        return LastPlays(self.items[first:], self.completion[first:], self.at_ms[first:])

    def packed(self) -> bytes:
        """As they are kept."""
        return b"".join(
            (COUNT.pack(len(self)), self.at_ms.tobytes(), self.completion.tobytes(), orjson.dumps(self.items))
        )


NONE = LastPlays.of([], [], [])


def unpacked(data: bytes) -> LastPlays:
    """What `LastPlays.packed` gave.

    Raises:
        BugError: these bytes are something else.
    """
    try:
        (count,) = COUNT.unpack_from(data)
        at_ms = np.frombuffer(data, "<i8", count, COUNT.size)
        completion = np.frombuffer(data, "<f4", count, COUNT.size + at_ms.nbytes)
        items = orjson.loads(data[COUNT.size + at_ms.nbytes + completion.nbytes :])
    except (ValueError, struct.error) as error:
        raise BugError(f"{len(data)} bytes are no last plays: {error}") from error
    if not isinstance(items, list) or len(items) != count:
        raise BugError(f"last plays: {count} plays, but not as many items")
    return LastPlays(items, completion, at_ms)
