"""A recommender whose answers can be foretold: three axes, named by labels."""

from __future__ import annotations

import numpy as np

from models.ranking_features import ItemColumns
from models.recommender import ItemContent, MappedItems, Person

AXES = ("rock", "jazz", "folk")


class FakeRecommender:
    """Places items by their labels, at the axes these name; trained ones by their id.

    Args:
        version: Its version.
        trained: Vector by item id.
        boundary: Of every user.
        dim: Length of its vectors; beyond the axes there are zeros.
    """

    parts = ("tags", "audio")
    occupations = ("", "student")

    def __init__(
        self, version: str = "r-1", trained: dict[str, tuple] | None = None, boundary: float = 0.0, dim: int = len(AXES)
    ) -> None:
        self.dim = dim
        self.version = version
        self.trained = trained or {}
        self.boundary = boundary
        self.mapped: list[str] = []

    def map(self, content: ItemContent) -> MappedItems:
        count = len(content.ids)
        vectors = np.zeros((count, self.dim), np.float32)
        trained = np.full(count, -1, np.int32)
        for place, (item, labels) in enumerate(zip(content.ids, content.labels, strict=True)):
            self.mapped.append(item)
            for label in labels:
                vectors[place, AXES.index(label)] = 1.0
            if item in self.trained:
                trained[place] = list(self.trained).index(item)
                vectors[place, : len(AXES)] = self.trained[item]
        found = vectors.any(axis=1)
        gates = np.where((found & (trained < 0))[:, None], np.float32([1.5, 0.0]), np.float32(0))
        tagged = np.array([[axis in labels for axis in AXES] for labels in content.labels], np.bool_)
        tagged = tagged.reshape(count, len(AXES))
        return MappedItems(found, vectors, trained, gates, np.zeros((count, 1), np.int16), tagged)

    def user(self, person: Person) -> tuple[np.ndarray, float]:
        prior = np.float32([0, 0, 1]) if person.gender == "female" else np.float32([0, 1, 0])
        known = person.heard.vector[person.heard.vector.any(axis=1)]
        return (known.mean(axis=0) if len(known) else prior), self.boundary

    def rank(self, person: Person, items: ItemColumns) -> np.ndarray:
        """Like recall, and a little better for what is of a tag that was played to its end."""
        liked = (person.heard.tagged[person.completion > 0.9]).any(axis=0)
        return items.vector @ self.user(person)[0] + 0.1 * (items.tagged & liked).any(axis=1)

    def likelihood(self, score: np.ndarray, boundary: float, mapped: np.ndarray) -> np.ndarray:
        return (1.0 / (1.0 + np.exp(boundary - score))).astype(np.float32)
