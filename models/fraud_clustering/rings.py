"""Rings of accounts with one face, by rules that do not chain strangers together.

Among 100,000 people thousands of pairs look alike by chance, and joining all that is alike makes one ring of half of
them. So a likeness ties two faces only if

- each is among the nearest of the other (`LikenessGraph` keeps 64), and
- they are alike to the same faces: (common + 2) / sqrt((n + 1)(m + 1)) >= ``overlap`` for n and m likenesses of the two
  (structural similarity: Xu, Yuruk, Feng, Schweiger, "SCAN: A Structural Clustering Algorithm for Networks", KDD 2007),
  and
- something supports it: a third face that both are alike to, a third account with one of the two pictures, or a
  device in common.

Between two faces that have more likenesses than are kept the first alone decides: so many are not there by chance.
Faces tied to each other, directly or through others, are a cluster. It is a ring with ``accounts`` accounts, or with
``accounts_with_signal`` of them if at least half have the picture or the device in common.

The score of n accounts is 1 - (1 - size) * prod(1 - weight * share) with size = 1 - 2 ** (-(n - 1) / 2) and, of each
signal, its weight in ``SIGNAL_WEIGHTS`` and the greatest share of the accounts that have one value in common.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import prod

import numpy as np

from models.fraud_clustering.clusters import Cluster, Clusters, Vector
from models.fraud_clustering.likeness_graph import rounded
from schemas.errors import BadEventError
from schemas.ids import stable_id
from schemas.user import FaceEmbedded

VERSION = "1"
SIGNAL_WEIGHTS = {"picture": 0.5, "device": 0.7, "network": 0.3}
"""How much a signal that all share says of a ring. A network may be a household's or a whole city's."""
_BINDING = ("picture", "device")
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a ring.

    Attributes:
        likeness: Cosine from which two faces are alike, 0..1.
        overlap: Structural similarity from which a likeness ties, 0..1.
        neighbours: Likenesses that a face keeps.
        accounts: Accounts that make a ring.
        accounts_with_signal: Accounts that make one if half of them share a picture or a device.
        listed: Accounts that a ring names; the earliest of a larger one.

    Raises:
        ValueError: a share outside 0..1, or a ring of less than two accounts.
    """

    likeness: float = 0.96
    overlap: float = 0.5
    neighbours: int = 64
    accounts: int = 3
    accounts_with_signal: int = 2
    listed: int = 1000

    def __post_init__(self) -> None:
        if not (0 < self.likeness <= 1 and 0 <= self.overlap <= 1):
            raise ValueError(f"likeness {self.likeness} and overlap {self.overlap} must lie in 0..1, likeness above 0")
        if not 2 <= self.accounts_with_signal <= self.accounts <= self.listed or self.neighbours < 1:
            raise ValueError("2 <= accounts_with_signal <= accounts <= listed, and at least one neighbour")

    @property
    def version(self) -> str:
        """Label: the rules' version and every number that decides which rings there are."""
        return (
            f"rings-{VERSION}-{self.likeness:g}-{self.overlap:g}-{self.neighbours}-{self.accounts}-"
            f"{self.accounts_with_signal}-{self.listed}"
        )


@dataclass(frozen=True, slots=True)
class Ring:
    """Accounts that show one face.

    Attributes:
        ring_id: Follows from the earliest account.
        accounts: How many.
        members: User ids, sorted; of a large ring the earliest.
        first_at: Earliest avatar, UTC.
        last_at: Newest avatar, UTC.
        likeness: Mean cosine of the pairs that are tied, -1..1; a float32's value.
        shared: Signal -> greatest share of the accounts with one value in common, where two have; float32s' values.
        score: 0..1; a float32's value.
        version: Of the vectors and of the rules.
    """

    ring_id: str
    accounts: int
    members: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    likeness: float
    shared: Mapping[str, float]
    score: float
    version: str


def vector_of(face: FaceEmbedded) -> Vector:
    """The face's vector as the search takes it, int16 [D].

    Raises:
        BadEventError: it is none, or nobody knows of which space.
    """
    if not face.vector_version:
        raise BadEventError("a face's vector has no version", code="vector-impossible")
    try:
        return rounded(face.vector)
    except ValueError as error:
        raise BadEventError(f"a face has {error}", code="vector-impossible") from error


class FaceRings:
    """The faces held and the rings among them.

    Attributes:
        standing: Rings by id.
    """

    def __init__(self, rules: Rules) -> None:
        self.standing: dict[str, Ring] = {}
        self._rules = rules
        self._spaces: dict[tuple[str, int], _Space] = {}
        self._space_of: dict[str, _Space] = {}

    def __len__(self) -> int:
        """Faces held."""
        return len(self._space_of)

    def update(self, faces: Mapping[str, FaceEmbedded | None]) -> None:
        """Hold these faces in place of those of the same users; None: none.

        Raises:
            BadEventError: a vector is none; then nothing has changed.
        """
        vectors = {user: vector_of(face) for user, face in faces.items() if face is not None}
        gone: defaultdict[_Space, list[str]] = defaultdict(list)
        come: defaultdict[_Space, list[tuple[FaceEmbedded, Vector]]] = defaultdict(list)
        for user, face in faces.items():
            if user in self._space_of:
                gone[self._space_of.pop(user)].append(user)
            if face is not None:
                name = (face.vector_version, len(vectors[user]))
                if name not in self._spaces:
                    self._spaces[name] = _Space(name, self._rules)
                self._space_of[user] = self._spaces[name]
                # 128 floats of Python are 4 KiB; the vector is held once, in its row
                come[self._spaces[name]].append((replace(face, vector=()), vectors[user]))
        changed = [space.update(gone[space], come[space]) for space in {**gone, **come}]
        for dropped, _ in changed:
            for ring in dropped:
                del self.standing[ring.ring_id]
        for _, made in changed:
            self.standing |= {ring.ring_id: ring for ring in made}


class _Space:
    """Faces whose vectors can be compared."""

    def __init__(self, name: tuple[str, int], rules: Rules) -> None:
        version, size = name
        self._version = f"{version}+{rules.version}"
        self._rules = rules
        self._clusters = Clusters(size, rules.likeness, rules.neighbours, rules.overlap)
        self._rings: dict[int, Ring] = {}

    def update(self, gone: Iterable[str], come: Iterable[tuple[FaceEmbedded, Vector]]) -> tuple[list[Ring], list[Ring]]:
        """Rings that are no more, and rings that are new or changed."""
        ended, begun = self._clusters.update(gone, come)
        dropped = [self._rings.pop(cluster.number) for cluster in ended if cluster.number in self._rings]
        made = {cluster.number: ring for cluster in begun if (ring := ring_of(cluster, self._rules, self._version))}
        self._rings |= made
        return dropped, list(made.values())


def ring_of(cluster: Cluster, rules: Rules, version: str) -> Ring | None:
    """The cluster as a ring; None: it is none.

    Args:
        cluster: Accounts whose faces are tied.
        rules: What makes a ring.
        version: Label of vectors and rules.
    """
    faces = sorted(cluster.faces, key=lambda face: (face.occurred_at, face.user_id))
    shared = {
        "picture": _share([face.picture_sha256 for face in faces]),
        "device": _share([face.device for face in faces]),
        "network": _share([face.network for face in faces]),
    }
    bound = any(shared[signal] >= _HALF for signal in _BINDING)
    if len(faces) < (rules.accounts_with_signal if bound else rules.accounts):
        return None
    size = 1.0 - 2.0 ** (-(len(faces) - 1) / 2)
    doubt = (1.0 - size) * prod(1.0 - SIGNAL_WEIGHTS[signal] * share for signal, share in shared.items())
    return Ring(
        ring_id=stable_id("ring", faces[0].occurred_at.isoformat(), faces[0].user_id),
        accounts=len(faces),
        members=tuple(sorted(face.user_id for face in faces[: rules.listed])),
        first_at=faces[0].occurred_at,
        last_at=faces[-1].occurred_at,
        likeness=_single(cluster.likeness),
        shared={signal: _single(share) for signal, share in shared.items() if share},
        score=_single(1.0 - doubt),
        version=version,
    )


def _share(values: list[str]) -> float:
    """Greatest share that one value has, empty ones left out; 0 if no two have the same."""
    counts = Counter(value for value in values if value)
    most = max(counts.values(), default=0)
    return most / len(values) if most > 1 else 0.0


def _single(value: float) -> float:
    """As Avro's float says it."""
    return float(np.float32(value))
