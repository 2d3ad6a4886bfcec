"""Which vectors are alike, exactly, kept up as vectors come and go.

The search is a plain blocked product with everything held. It is exact and the same on every machine: unit vectors
are rounded to whole numbers of length ``SCALE``, and since ``SCALE ** 2`` stays below 2 ** 24, no sum of products on
the way to an inner product leaves the whole numbers that float32 holds (Cauchy-Schwarz bounds every partial sum by
the product of the lengths). So the order in which a BLAS adds, its blocks, threads and fused operations change no bit.

Each vector keeps its ``neighbours`` nearest among those alike; ties go by a hash of the vector. A crowd of thousands,
say a celebrity's face, costs so many links a member and not their square.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

SCALE = 4000
"""Length of a rounded unit vector: (4000 + 23 / 2) ** 2 < 2 ** 24 up to 512 numbers; a cosine is off by some 1e-4."""
COSINE_UNIT = SCALE * SCALE
LONGEST = 512
"""Most numbers of a vector for which the above holds."""
TIE_BITS = 38
_BLOCK, _TILE = 512, 16_384
_CHUNK = 2048

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def rounded(vector: npt.ArrayLike) -> npt.NDArray[np.int16]:
    """A unit vector in whole numbers, int16 [D].

    Raises:
        ValueError: it is empty, longer than ``LONGEST``, not finite or not of unit length.
    """
    exact = np.asarray(vector, dtype=np.float64)
    if exact.ndim != 1 or not 0 < len(exact) <= LONGEST:
        raise ValueError(f"a vector of shape {exact.shape}, not of 1 to {LONGEST} numbers")
    length = math.sqrt(math.fsum(exact * exact))
    if not abs(length - 1.0) < 1e-2:
        raise ValueError(f"a vector of length {length}, not 1")
    return np.rint(exact * (SCALE / length)).astype(np.int16)


class LikenessGraph:
    """Vectors of one length in numbered rows, and which of them are alike.

    Attributes:
        links: Of each row the rows it is linked to, with a whole number that orders them: `likeness` reads the cosine
            from it. A row that is not ``crowded`` is linked to all that are alike.
    """

    def __init__(self, size: int, likeness: float, neighbours: int) -> None:
        """
        Args:
            size: Numbers of a vector.
            likeness: Cosine from which two vectors are alike, above 0.
            neighbours: Links that a row keeps at most.
        """
        self.links: list[dict[int, int]] = []
        self._least = np.float32(np.ceil(likeness * COSINE_UNIT))
        self._most = neighbours
        self._vectors: Floats = np.zeros((_CHUNK, size), np.float32)
        self._ties: Ints = np.zeros(_CHUNK, np.int64)
        self._weakest: Ints = np.full(_CHUNK, -1, np.int64)
        self._free: list[int] = []

    def crowded(self, row: int) -> bool:
        """Whether the row may be alike to more than it is linked to."""
        return len(self.links[row]) >= self._most

    def replace(self, gone: Iterable[int], new: Sequence[npt.NDArray[np.int16]]) -> tuple[list[int], set[int]]:
        """Take rows out and put vectors in; none of them may be there already.

        Args:
            gone: Rows.
            new: Rounded vectors, int16 [D] each, all different.

        Returns:
            Rows of the new vectors, and every row whose links have changed, those of ``gone`` left out.
        """
        touched = self._remove(list(gone))
        rows: list[int] = []
        for first in range(0, len(new), _CHUNK):
            rows += self._add(np.stack(new[first : first + _CHUNK]), touched)
        return rows, touched

    def _remove(self, gone: Sequence[int]) -> set[int]:
        leaving, short, touched = set(gone), set(), set()
        crowd = [row for row in gone if self.crowded(row)]
        holders = {row: list(self.links[row]) for row in gone if not self.crowded(row)}
        holders |= {row: found.tolist() for row, (found, _) in zip(crowd, self._alike(np.array(crowd)), strict=True)}
        for row, others in holders.items():
            for other in others:
                if other in leaving or row not in self.links[other]:
                    continue
                if self.crowded(other):
                    short.add(other)
                del self.links[other][row]
                self._weakest[other] = -1
                touched.add(other)
        for row in gone:
            self.links[row] = {}
            self._vectors[row], self._weakest[row] = 0.0, -1
            self._free.append(row)
        again = sorted(short)
        for row, found in zip(again, self._alike(np.array(again)), strict=True):
            self._keep(row, *found)
        return touched

    def _add(self, vectors: npt.NDArray[np.int16], touched: set[int]) -> list[int]:
        rows = [self._free.pop() if self._free else self._append() for _ in vectors]
        places = np.array(rows)
        self._vectors[places] = vectors
        self._ties[places] = [_tie(vector) for vector in vectors]
        added = set(rows)
        touched |= added
        for row, (found, dots) in zip(rows, self._alike(places), strict=True):
            self._keep(row, found, dots)
            key = (dots.astype(np.int64) << TIE_BITS) | self._ties[row]
            wanted = key > self._weakest[found]
            for other, each in zip(found[wanted].tolist(), key[wanted].tolist(), strict=True):
                if other not in added:
                    self._offer(other, row, each)
                    touched.add(other)
        return rows

    def _append(self) -> int:
        row = len(self.links)
        self.links.append({})
        if row == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
            self._ties = np.concatenate([self._ties, np.zeros_like(self._ties)])
            self._weakest = np.concatenate([self._weakest, np.full_like(self._weakest, -1)])
        return row

    def _keep(self, row: int, found: Ints, dots: Ints) -> None:
        """Link a row to the nearest of all that are alike to it."""
        keys = (dots.astype(np.int64) << TIE_BITS) | self._ties[found]
        if len(found) > self._most:
            nearest = np.argpartition(keys, -self._most)[-self._most :]
            found, keys = found[nearest], keys[nearest]
        self.links[row] = dict(zip(found.tolist(), keys.tolist(), strict=True))
        self._weakest[row] = keys.min() if len(found) == self._most else -1

    def _offer(self, row: int, other: int, key: int) -> None:
        links = self.links[row]
        links[other] = key
        if len(links) > self._most:
            del links[min(links, key=links.__getitem__)]
        self._weakest[row] = min(links.values()) if len(links) == self._most else -1

    def _alike(self, rows: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Of each row all others that are alike, in growing order, and their inner products."""
        for first in range(0, len(rows), _BLOCK):
            asked = rows[first : first + _BLOCK]
            found = [self._tile(asked, start) for start in range(0, len(self.links), _TILE)]
            block, others, dots = (np.concatenate(parts) for parts in zip(*found, strict=True))
            # rows grow from tile to tile and within each, so keeping their order is enough
            order = np.argsort(block, kind="stable")
            ends = np.searchsorted(block[order], np.arange(1, len(asked)))
            yield from zip(np.split(others[order], ends), np.split(dots[order], ends), strict=True)

    def _tile(self, asked: Ints, start: int) -> tuple[Ints, Ints, Ints]:
        """Places in ``asked``, rows alike to these from ``start`` on, and their inner products."""
        held = self._vectors[start : min(start + _TILE, len(self.links))]
        products = self._vectors[asked] @ held.T
        products[asked[:, None] == np.arange(start, start + len(held))] = 0.0
        block, others = np.nonzero(products >= self._least)
        return block.astype(np.int16), (others + start).astype(np.int32), products[block, others].astype(np.int32)


def likeness(key: int) -> int:
    """Cosine of a link in units of 1 / ``COSINE_UNIT``."""
    return key >> TIE_BITS


def _tie(vector: npt.NDArray[np.int16]) -> int:
    digest = blake2b(vector.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - TIE_BITS)
