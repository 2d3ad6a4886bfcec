"""How often a search in the gallery errs, by threshold, and the threshold that errs as seldom as wanted.

A search compares one face with every row, so a stranger's chance to be taken for somebody grows with the gallery; all
shares here are of searches. Impostors: one picture of each person, as if by lot, against all other persons; not more,
because pictures of one person err together. Genuine: each picture against the person's others, their mean included;
those kept are the ones that differ most, so that everyday pictures are found more often.

What happens once in a thousand searches, a few hundred persons do not show. So the upper tail of the impostors'
likenesses is taken for exponential (peaks over threshold, Pickands 1975, with shape 0). Likenesses are bounded, which
makes true tails shorter than that: the threshold errs on the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.face_gallery import GalleryError
from models.face_gallery import DIGITS, GallerySnapshot
from processors.tools.gallery.selection import centroid

Floats = NDArray[np.float64]
LEAST_PERSONS = 50
"""Persons from which a gallery's own likenesses decide."""
LEAST_TAIL = 20
LEAST_GENUINE = 20
"""Comparisons of pictures of one person from which their median says how alike one person's pictures are."""
SHIPPED_EMBEDDER = "face-resnet@1.0/1"
STEPS = tuple(range(-8, 9))
STEP = 0.005
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """A counted share with its Clopper-Pearson interval at 95 %.

    Attributes:
        count: How many.
        of: Of how many.
    """

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share; 0 of nothing."""
        return self.count / self.of if self.of else 0.0

    @property
    def low(self) -> float:
        """Lower end."""
        return 1.0 - _beyond(self.of - self.count, self.of)

    @property
    def high(self) -> float:
        """Upper end; 3.7 / n for none of many."""
        return _beyond(self.count, self.of)


@dataclass(frozen=True, eq=False, slots=True)
class Likenesses:
    """What a gallery's own faces tell.

    Attributes:
        impostors: float64 [P]: for each person with a stranger's face, the greatest likeness to anybody else.
        genuine: float64 [G]: likeness of a picture to the others of its person.
        same_face: Pairs of names whose faces are as alike as those of one person, and their likeness; they count as
            impostors of nobody.
    """

    impostors: Floats
    genuine: Floats
    same_face: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold of the curve.

    Attributes:
        threshold: Likeness.
        false_accepts: Searches with a stranger's face that find somebody.
        modelled: Their share by the model of the tail; None under it.
        false_rejects: Searches with a member's face that do not find him.
    """

    threshold: float
    false_accepts: Share
    modelled: float | None
    false_rejects: Share


@dataclass(frozen=True, slots=True)
class Tail:
    """Upper tail of the impostors' likenesses.

    Attributes:
        start: Likeness from which it reaches.
        share: Share of searches in it.
        scale: Mean excess, on the safe side.
        count: Searches that it was fitted to.
    """

    start: float
    share: float
    scale: float
    count: int

    def beyond(self, threshold: float) -> float | None:
        """Share of searches at or over a threshold; None under the tail."""
        if threshold < self.start:
            return None
        return self.share * math.exp(-(threshold - self.start) / self.scale)

    def threshold(self, share: float) -> float:
        """Likeness that so small a share of searches reaches."""
        return self.start + self.scale * math.log(self.share / min(share, self.share))


SHIPPED = Tail(start=0.94534, share=0.03667, scale=0.00512, count=110)
"""Of galleries of `LEAST_PERSONS` generated persons whose likenesses are those of real faces;
`python -m tests.bench.gallery` prints it."""


def likenesses(gallery: GallerySnapshot, same_person: float) -> Likenesses:
    """Compare everybody in a gallery with everybody.

    Args:
        gallery: The gallery; each person has a centroid.
        same_person: Likeness from which two persons count as one, where the gallery has too few pictures to tell.
    """
    spans = gallery.spans()
    exemplars = [[at for at in range(*span) if gallery.rows[at].kind == "exemplar"] for span in spans]
    genuine = _genuine([gallery.vectors[own] for own in exemplars])
    least = float(np.median(genuine)) if len(genuine) >= LEAST_GENUINE else same_person
    middles = gallery.vectors[[at for at, row in enumerate(gallery.rows) if row.kind == "centroid"]]
    alike = middles @ middles.T
    one, other = np.nonzero(np.triu(alike, 1) >= least)
    # ids are hashes: the first is one by lot
    impostors = gallery.likenesses(gallery.vectors[[own[0] for own in exemplars]]).astype(np.float64)
    np.fill_diagonal(impostors, -1.0)
    impostors[one, other] = impostors[other, one] = -1.0
    pairs = [
        (gallery.persons[a], gallery.persons[b], round(float(alike[a, b]), DIGITS))
        for a, b in zip(one.tolist(), other.tolist(), strict=True)
    ]
    strangers = impostors.max(axis=1) if len(spans) > 1 else np.zeros(0)
    return Likenesses(strangers, genuine, tuple(pairs))


def fit_tail(impostors: Floats) -> Tail:
    """The exponential tail of likenesses, fitted to the 2 sqrt(P) greatest; its scale is raised by a standard error.

    On generated persons (`tests.bench.gallery`) nine in ten galleries of 50 to 3,000 so got a threshold that errs at
    most half as often as wanted.

    Args:
        impostors: float64 [P], P > `LEAST_TAIL`.
    """
    count = max(LEAST_TAIL, round(2 * math.sqrt(len(impostors))))
    descending = np.sort(impostors)[::-1]
    start = float(descending[count])
    scale = float((descending[:count] - start).mean())
    return Tail(start, count / len(impostors), scale * (1 + 1 / math.sqrt(count)), count)


def has_curve(found: Likenesses, embedder: str) -> bool:
    """Whether there is a curve to take a threshold from: the gallery's own, or the shipped one of its embedder."""
    return len(found.impostors) >= LEAST_PERSONS or embedder == SHIPPED_EMBEDDER


def threshold_for(found: Likenesses, embedder: str, share: float) -> tuple[float, bool]:
    """Least threshold at which at most a share of searches with a stranger's face finds somebody.

    Args:
        found: What the gallery's own faces tell; used from `LEAST_PERSONS` persons on.
        embedder: Version of the embedder.
        share: Share of searches.

    Returns:
        The threshold, four digits, at most 1, and whether it is by the gallery's own faces.

    Raises:
        GalleryError: too few persons, and the shipped curve is of another embedder.
    """
    own = len(found.impostors) >= LEAST_PERSONS
    if not has_curve(found, embedder):
        raise GalleryError(
            f"{len(found.impostors)} persons: a curve needs {LEAST_PERSONS}, and the one that comes with the source is "
            f"of {SHIPPED_EMBEDDER}, not of {embedder}"
        )
    tail = fit_tail(found.impostors) if own else SHIPPED
    return min(1.0, math.ceil(tail.threshold(share) * 1e4) / 1e4), own


def curve(found: Likenesses, threshold: float) -> list[Point]:
    """Points round a threshold, the lowest first."""
    tail = fit_tail(found.impostors) if len(found.impostors) > LEAST_TAIL else None
    return [point(found, tail, round(threshold + step * STEP, 4)) for step in STEPS]


def point(found: Likenesses, tail: Tail | None, threshold: float) -> Point:
    """What happens at one threshold."""
    return Point(
        threshold,
        Share(int((found.impostors >= threshold).sum()), len(found.impostors)),
        None if tail is None else tail.beyond(threshold),
        Share(int((found.genuine < threshold).sum()), len(found.genuine)),
    )


def _genuine(exemplars: Sequence[NDArray[np.float32]]) -> Floats:
    scores: list[float] = []
    for own in exemplars:
        for left_out in range(len(own) if len(own) > 1 else 0):
            others = np.delete(own, left_out, axis=0)
            scores.append(float((np.vstack([others, centroid(others)]) @ own[left_out]).max()))
    return np.asarray(scores, np.float64)


def _beyond(count: int, of: int) -> float:
    """Upper end of the exact interval for ``count`` of ``of``: where so few would be seen with 2.5 % chance."""
    if count >= of:
        return 1.0
    low, high = count / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(count, of, middle) > (1.0 - CONFIDENCE) / 2:
            low = middle
        else:
            high = middle
    return high


def _at_most(count: int, of: int, share: float) -> float:
    """Chance that at most ``count`` of ``of`` have what each has with chance ``share``."""
    if not 0.0 < share < 1.0:
        return float(count >= of * share)
    if 2 * count > of:
        # the other side has fewer terms
        return 1.0 - _at_most(of - count - 1, of, 1.0 - share)
    terms = [
        math.lgamma(of + 1)
        - math.lgamma(k + 1)
        - math.lgamma(of - k + 1)
        + k * math.log(share)
        + (of - k) * math.log1p(-share)
        for k in range(count + 1)
    ]
    greatest = max(terms)
    return math.exp(greatest) * sum(math.exp(term - greatest) for term in terms)
