"""Faces tied to each other, directly or through others, kept up as faces come and go; see `rings` for the rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.fraud_clustering.likeness_graph import COSINE_UNIT, LikenessGraph, likeness
from schemas.user import FaceEmbedded

Vector = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Cluster:
    """At least two accounts.

    Attributes:
        number: Never given twice.
        rows: Where their vectors are.
        faces: Their faces, in no order, without the vectors.
        likeness: Mean cosine of the pairs that are tied, -1..1.
    """

    number: int
    rows: frozenset[int]
    faces: tuple[FaceEmbedded, ...]
    likeness: float


class Clusters:
    """All clusters among faces whose vectors can be compared; accounts with equal vectors share a row of the graph."""

    def __init__(self, size: int, alike: float, neighbours: int, overlap: float) -> None:
        """
        Args:
            size: Numbers of a vector.
            alike: Cosine from which two faces are alike.
            neighbours: Likenesses that a face keeps.
            overlap: Structural similarity from which a likeness ties.
        """
        self._graph = LikenessGraph(size, alike, neighbours)
        self._overlap = overlap
        self._row_of: dict[str, int] = {}
        self._row_with: dict[bytes, int] = {}
        self._vector_in: dict[int, bytes] = {}
        self._faces: dict[int, dict[str, FaceEmbedded]] = {}
        self._cluster_of: dict[int, Cluster] = {}
        self._next = 0

    def update(
        self, gone: Iterable[str], come: Iterable[tuple[FaceEmbedded, Vector]]
    ) -> tuple[list[Cluster], list[Cluster]]:
        """Forget the faces of users and take others in, given without and with their vectors; a user has one at most.

        Returns:
            Clusters that end by it, and clusters that begin.
        """
        touched = {self._forget(user) for user in gone}
        new: dict[bytes, tuple[Vector, list[FaceEmbedded]]] = {}
        for face, vector in come:
            content = vector.tobytes()
            if content in self._row_with:
                self._hold(face, self._row_with[content])
                touched.add(self._row_with[content])
            else:
                new.setdefault(content, (vector, []))[1].append(face)
        ended = self._end(touched)
        empty = [row for row in touched if not self._faces[row]]
        for row in empty:
            del self._faces[row], self._row_with[self._vector_in.pop(row)]
        affected = touched.union(*(cluster.rows for cluster in ended)).difference(empty)
        rows, relinked = self._graph.replace(empty, [vector for vector, _ in new.values()])
        for row, (content, (_, faces)) in zip(rows, new.items(), strict=True):
            self._vector_in[row], self._row_with[content], self._faces[row] = content, row, {}
            for face in faces:
                self._hold(face, row)
        parted = self._end(relinked)
        affected.update(relinked, *(cluster.rows for cluster in parted))
        return self._join(affected, ended + parted)

    def _forget(self, user: str) -> int:
        row = self._row_of.pop(user)
        del self._faces[row][user]
        return row

    def _hold(self, face: FaceEmbedded, row: int) -> None:
        self._faces[row][face.user_id] = face
        self._row_of[face.user_id] = row

    def _end(self, rows: Iterable[int]) -> list[Cluster]:
        """The clusters of these rows, which are none from now on."""
        ended = {cluster.number: cluster for row in rows if (cluster := self._cluster_of.get(row)) is not None}
        for cluster in ended.values():
            for row in cluster.rows:
                del self._cluster_of[row]
        return list(ended.values())

    def _join(self, affected: set[int], ended: list[Cluster]) -> tuple[list[Cluster], list[Cluster]]:
        """Clusters of the rows that a change may have tied or parted.

        A cluster without such a row that one of them is tied to now is itself as it was, so it is reached as a whole.
        """
        begun, seen = [], set()
        for start in affected:
            if start in seen:
                continue
            rows, total, pairs = [start], 0, 0
            seen.add(start)
            for row in rows:
                held = len(self._faces[row])
                pairs += held * (held - 1) // 2
                total += held * (held - 1) // 2 * COSINE_UNIT
                for other, each in self._ties(row):
                    if row < other:
                        pairs += held * len(self._faces[other])
                        total += held * len(self._faces[other]) * each
                    if other not in seen:
                        seen.add(other)
                        rows.append(other)
            if pairs:
                ended += self._end(rows)
                begun.append(self._begin(rows, total / pairs / COSINE_UNIT))
        return ended, begun

    def _begin(self, rows: Sequence[int], mean: float) -> Cluster:
        faces = tuple(face for row in rows for face in self._faces[row].values())
        cluster = Cluster(self._next, frozenset(rows), faces, mean)
        self._next += 1
        self._cluster_of |= dict.fromkeys(rows, cluster)
        return cluster

    def _ties(self, row: int) -> Iterator[tuple[int, int]]:
        """Rows tied to this one, with the cosine in units of 1 / ``COSINE_UNIT``."""
        links = self._graph.links
        mine = links[row]
        for other, key in mine.items():
            theirs = links[other]
            if row in theirs and (
                (self._graph.crowded(row) and self._graph.crowded(other)) or self._close(row, other, mine, theirs)
            ):
                yield other, likeness(key)

    def _close(self, row: int, other: int, mine: dict[int, int], theirs: dict[int, int]) -> bool:
        common = len(mine.keys() & theirs.keys())
        if (common + 2) ** 2 < self._overlap**2 * (len(mine) + 1) * (len(theirs) + 1):
            return False
        one, two = self._faces[row], self._faces[other]
        return common + len(one) + len(two) > 2 or _share_device(one, two)


def _share_device(one: dict[str, FaceEmbedded], two: dict[str, FaceEmbedded]) -> bool:
    """Whether an account here and one there were used on one device."""
    return bool({face.device for face in one.values() if face.device} & {face.device for face in two.values()})
