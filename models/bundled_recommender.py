"""A bundle of the recommender as the `Recommender` that recall, ranking and mapping work with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.cb2cf import ContentMapper, Layout
from models.dataset import GENDERS
from models.ranker import GatedRanker, RankingWeights
from models.ranking_features import (
    DENSE,
    GROUPS,
    ItemColumns,
    RankingInputError,
    RankingLayout,
    UserColumns,
    user_columns,
)
from models.recommender import ItemContent, MappedItems, Person
from models.recommender_bundle import HISTORY, Bundle
from models.semantic_id import SemanticIds


class BundledRecommender:
    """A bundle as a `Recommender`. May be used by several threads at once.

    Args:
        bundle: The opened bundle.
        weights: What a click, a like, a finished play and the time played are worth.

    Raises:
        RankingInputError: the manifest's ranking layout is not one, or not that of this release.
    """

    def __init__(self, bundle: Bundle, weights: RankingWeights) -> None:
        manifest = bundle.manifest
        self._bundle = bundle
        self._layout = RankingLayout.from_manifest(manifest.ranking)
        told = tuple((each.name, each.size) for each in manifest.fields)
        if told != self._layout.fields or manifest.dense != DENSE or manifest.groups != GROUPS:
            raise RankingInputError(f"version {manifest.version}: the ranker's inputs are not those of this release")
        self._mapper = ContentMapper(
            bundle.map_content, Layout(manifest.parts, manifest.tags, manifest.content_version)
        )
        self._codes = SemanticIds(bundle.codebooks)
        self._ranker = GatedRanker(bundle, self._layout, weights)

    @property
    def version(self) -> str:
        return self._bundle.version

    @property
    def dim(self) -> int:
        return self._bundle.manifest.dim

    @property
    def parts(self) -> tuple[str, ...]:
        return self._bundle.manifest.parts

    @property
    def occupations(self) -> tuple[str, ...]:
        return self._bundle.manifest.occupations

    def map(self, content: ItemContent) -> MappedItems:
        """See `Recommender`; an item that training placed stays there, whatever its content.

        Raises:
            ValueError: a joint vector that is not finite.
        """
        items, count = self._bundle.items, len(content.ids)
        trained = np.array([self._bundle.row_of.get(item, -1) for item in content.ids], np.int32)
        known = trained >= 0
        mapped = self._mapper.map(content.joint, content.version, content.labels)
        vectors = np.where(known[:, None], items.vectors[trained], mapped.vectors).astype(np.float32)
        found = known | mapped.found
        codes = np.full((count, self._codes.levels), -1, np.int16)
        codes[found] = self._codes.encode(vectors[found])
        codes[known] = items.codes[trained[known]]
        tags = self._layout.tags
        tagged = np.array([[tag in labels for tag in tags] for labels in content.labels], np.bool_)
        return MappedItems(
            found,
            vectors,
            trained,
            np.where(known[:, None], np.float32(0), mapped.gates),
            codes,
            tagged.reshape(count, len(tags)),
        )

    def user(self, person: Person) -> tuple[NDArray[np.float32], float]:
        """See `Recommender`; the mean of the vectors of the last plays that have one, and demographics."""
        manifest = self._bundle.manifest
        vectors = person.heard.vector[:HISTORY]
        heard = vectors[vectors.any(axis=1)]
        history = heard.mean(axis=0) if len(heard) else np.zeros(manifest.dim, np.float32)
        found = self._bundle.user_vectors(
            history[None].astype(np.float32),
            np.array([[np.log1p(len(heard))]], np.float32),
            np.array([manifest.age_bucket(person.age)]),
            np.array([_number(person.gender, GENDERS)]),
            np.array([_number(person.occupation, manifest.occupations)]),
        )
        return found.vectors[0], float(found.boundaries[0])

    def rank(self, person: Person, items: ItemColumns) -> NDArray[np.float32]:
        """See `Recommender`, and `models.ranker.RankingWeights` for what the score means."""
        return self._ranker.rank(self._columns(person), items)

    def likelihood(self, score: NDArray[np.float32], boundary: float, mapped: NDArray[np.bool_]) -> NDArray[np.float32]:
        """See `Recommender`; by the manifest's calibration."""
        trained, placed = self._bundle.manifest.calibration.warm, self._bundle.manifest.calibration.cold
        slope = np.where(mapped, placed.slope, trained.slope)
        offset = np.where(mapped, placed.offset, trained.offset)
        likely: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-slope * (score - boundary) - offset))).astype(np.float32)
        return likely

    def _columns(self, person: Person) -> UserColumns:
        return user_columns(
            self._layout,
            -1 if person.age is None else person.age,
            _number(person.gender, GENDERS),
            _number(person.occupation, self._layout.occupations),
            person.plays,
            person.completion_rate,
            person.heard,
            person.completion,
        )


def _number(name: str, names: Sequence[str]) -> int:
    """Place of a name; 0, which stands for unknown, for one that is not there."""
    return names.index(name) if name in names else 0
