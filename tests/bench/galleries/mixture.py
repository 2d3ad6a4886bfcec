"""Generated face vectors: a hierarchical von Mises-Fisher mixture whose likenesses are those of real faces.

Strangers are not spread evenly: two young women resemble each other more than a young woman and an old man, and
siblings more than either. So a picture is drawn around its person, a person around a family, a family around a kind of
people, a kind around the mean of all faces, each time from a von Mises-Fisher distribution (Wood 1994, by scipy). All
of it happens on a sphere of fewer dimensions than the vectors have, turned into the whole space: with all 128 at work
likenesses would spread far less than those of real faces do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import vonmises_fisher

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
DIM = 128


@dataclass(frozen=True)
class Mixture:
    """Mean likenesses, from which the concentrations follow.

    Attributes:
        dims: Dimensions at work.
        kinds: Kinds of people.
        siblings: Mean size of a family.
        same_person: Of two pictures of one person.
        same_family: Of pictures of two persons of a family.
        same_kind: Of pictures of two persons of a kind.
        anybody: Of pictures of two persons of different kinds.
    """

    dims: int = 44
    kinds: int = 8
    siblings: float = 1.5
    same_person: float = 0.9735
    same_family: float = 0.92
    same_kind: float = 0.885
    anybody: float = 0.831


class World:
    """People of a mixture; the same seed gives the same people.

    Args:
        mixture: Their likenesses.
        seed: Of all that is drawn.
    """

    def __init__(self, mixture: Mixture, seed: int = 0) -> None:
        self.mixture = mixture
        self._rng = np.random.default_rng(seed)
        basis, _ = np.linalg.qr(self._rng.standard_normal((DIM, mixture.dims)))
        self._basis: Floats = basis
        middle = np.zeros((1, mixture.dims))
        middle[0, 0] = 1.0
        self._kinds = self._around(np.repeat(middle, mixture.kinds, 0), mixture.anybody / mixture.same_kind)
        self._families = np.zeros((0, mixture.dims))

    def people(self, count: int) -> Floats:
        """Centres of so many persons, float64 [count, dims]; later ones may be siblings of earlier ones."""
        mixture = self.mixture
        wanted = round(count / mixture.siblings)
        kinds = self._kinds[self._rng.integers(len(self._kinds), size=wanted)]
        made = self._around(kinds, mixture.same_kind / mixture.same_family)
        self._families = np.concatenate([self._families, made])
        families = self._families[self._rng.integers(len(self._families), size=count)]
        return self._around(families, mixture.same_family / mixture.same_person)

    def pictures(self, people: Floats, each: int, same_person: float | None = None) -> Vectors:
        """Pictures of persons, float32 [P, each, 128] of unit length.

        Args:
            people: Their centres.
            each: Pictures of each.
            same_person: Mean likeness of two of them, in place of the mixture's.
        """
        drawn = self._around(np.repeat(people, each, 0), same_person or self.mixture.same_person)
        whole = (drawn @ self._basis.T).astype(np.float32)
        whole /= np.linalg.norm(whole, axis=1, keepdims=True)
        return whole.reshape(len(people), each, DIM)

    def _around(self, centres: Floats, likeness: float) -> Floats:
        """One draw around each centre; two draws around one centre have that mean likeness."""
        dims = centres.shape[1]
        pole = np.zeros(dims)
        pole[0] = 1.0
        drawn = vonmises_fisher(pole, concentration(likeness, dims)).rvs(len(centres), random_state=self._rng)
        # the reflection that takes the pole to the centre
        axis = pole - centres
        length = np.square(axis).sum(axis=1, keepdims=True)
        length[length < 1e-12] = np.inf
        moved: Floats = drawn - 2.0 * axis * ((axis * drawn).sum(axis=1, keepdims=True) / length)
        return moved


def concentration(likeness: float, dims: int) -> float:
    """Concentration at which two draws around one centre have a mean likeness (Banerjee et al. 2005, equation 4.4)."""
    length = np.sqrt(likeness)
    return float(length * (dims - likeness) / (1.0 - likeness))
