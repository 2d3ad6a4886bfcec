"""Content of the films of ml-100k as modalities of at most 64 numbers, learnt from the warm items alone.

Four parts, each zero padded to 64 with a mask that says whether the item has it:

- ``tags``: the genres;
- ``year``: the year of release on Gaussian bumps whose centres are quantiles of the warm years;
- ``entities``: people, companies, countries and subjects (`ml100k.entities`) that some warm items share, each relation
  of the same weight, compressed by a truncated singular value decomposition (latent semantic analysis, Deerwester et
  al. 1990) to 48;
- ``title``: the title by multilingual e5, centred and compressed by principal components to 48.

Narrow on purpose: with some 1,350 warm items, thousands of sparse columns cost a third of the recall of every method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import normalize

from models.dataset import Dataset, DatasetError
from models.training.encoding import CACHE, cached, in_blocks

WIDTH = 64
"""Numbers of a part in the network; shorter ones end in zeros."""
COMPRESSED = 48
BUMPS = 16
SHARED = 5
"""Warm items that must share an entity before it counts."""
_BLOCK = 64

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Content:
    """Parts of all items.

    Attributes:
        names: Names of the M parts.
        parts: float32 [I, M, 64]; zeros where absent. Over the warm items each part has mean 0 and mean squared norm 1.
        present: bool [I, M].
    """

    names: tuple[str, ...]
    parts: Vectors
    present: Mask

    def flat(self) -> Vectors:
        """Parts side by side, float32 [I, M * 64]: what ridge and nearest neighbours are given."""
        return self.parts.reshape(len(self.parts), -1)

    def with_part(self, name: str, vectors: Vectors, has: Mask) -> Content:
        """The same with one part more, taken as it is."""
        return Content(
            (*self.names, name),
            np.concatenate([self.parts, _padded(vectors)[:, None]], axis=1),
            np.concatenate([self.present, has[:, None]], axis=1),
        )

    def permuted(self, name: str, items: NDArray[np.int64], random: np.random.Generator) -> Content:
        """The same with one part shuffled among some items, its mask along with it."""
        place = self.names.index(name)
        parts, present, other = self.parts.copy(), self.present.copy(), random.permutation(items)
        parts[items, place], present[items, place] = self.parts[other, place], self.present[other, place]
        return Content(self.names, parts, present)


def ml100k_content(
    dataset: Dataset, warm: Mask, entities: Mapping[str, Sequence[frozenset[str]]], titles: Vectors
) -> Content:
    """The four parts of each film.

    Args:
        dataset: What ``ml100k.load`` gave.
        warm: bool [I]; only these are learnt from.
        entities: What ``ml100k.entities`` gave.
        titles: `encoded_titles`, float32 [I, 384].

    Raises:
        DatasetError: too few warm items for 48 dimensions, or titles that are not finite.
    """
    if warm.sum() <= COMPRESSED:
        raise DatasetError(f"{dataset.name}: {int(warm.sum())} warm items, more than {COMPRESSED} needed")
    if not np.isfinite(titles).all():
        raise DatasetError(f"{dataset.name}: a title's vector is not finite")
    items = dataset.items
    found = {
        "tags": (items.tagged.astype(np.float32), items.tagged.any(axis=1)),
        "year": (_bumps(items.year, warm), items.year > 0),
        "entities": _entity_topics(entities, warm),
        "title": (
            PCA(COMPRESSED, random_state=0).fit(titles[warm]).transform(titles),
            np.array([bool(title) for title in items.titles]),
        ),
    }
    return content_of(found, warm)


def content_of(found: Mapping[str, tuple[Vectors, Mask]], warm: Mask) -> Content:
    """Parts side by side, each centred and scaled by the warm items that have it.

    Args:
        found: By name vectors [I, D <= 64] and which items have them [I].
        warm: bool [I].
    """
    parts = []
    for vectors, has in found.values():
        known = vectors[warm & has]
        centred = np.where(has[:, None], vectors - known.mean(axis=0), 0.0)
        scale = np.sqrt((centred[warm & has] ** 2).sum(axis=1).mean())
        parts.append(_padded((centred / max(scale, 1e-6)).astype(np.float32)))
    return Content(
        tuple(found),
        np.stack(parts, axis=1),  # [I, M, 64]
        np.stack([has for _, has in found.values()], axis=1),
    )


def encoded_titles(dataset: Dataset, watch: Callable[[int], None], folder: Path = CACHE) -> Vectors:
    """Titles by the text encoder, float32 [I, 384], kept in ``folder`` by titles and the encoder's version.

    Raises:
        WeightsError: the encoder's weights are unusable.
    """
    from models.text_embedding import TextEncoder  # the engine takes seconds to load; a kept answer does not need it

    encoder = TextEncoder()
    titles = dataset.items.titles
    return cached(
        [encoder.version, "passage", *titles],
        folder,
        lambda: in_blocks(
            len(titles), _BLOCK, lambda first, last: encoder.encode(titles[first:last], "passage"), watch
        ),
    )


def _bumps(year: NDArray[np.int16], warm: Mask) -> Vectors:
    """Years [I] on smooth bins [I, 16]; the bins are narrow where films are many."""
    known = year[warm & (year > 0)].astype(np.float32)
    centres = np.unique(np.quantile(known, np.linspace(0.0, 1.0, BUMPS)))
    gaps = np.gradient(centres) if len(centres) > 1 else np.ones(1)
    bumps = np.exp(-0.5 * ((year[:, None] - centres) / np.maximum(gaps, 1.0)) ** 2)
    return (bumps / np.maximum(bumps.sum(axis=1, keepdims=True), 1e-6)).astype(np.float32)


def _entity_topics(entities: Mapping[str, Sequence[frozenset[str]]], warm: Mask) -> tuple[Vectors, Mask]:
    """Entities [I] of each relation in 48 dimensions [I, 48]; and which items have any that counts."""
    blocks = [_shared(of_item, warm) for of_item in entities.values()]
    # each relation weighs the same: a film has one country and fifty actors
    weighted = hstack([normalize(block) for block in blocks]).tocsr()
    topics = TruncatedSVD(COMPRESSED, random_state=0).fit(weighted[warm]).transform(weighted)
    return topics.astype(np.float32), np.diff(weighted.indptr) > 0


def _shared(of_item: Sequence[frozenset[str]], warm: Mask) -> csr_matrix:
    """Which item has which entity, binary [I, E], for the entities that enough warm items share."""
    column: dict[str, int] = {}
    pairs = [
        (item, column.setdefault(entity, len(column))) for item, each in enumerate(of_item) for entity in sorted(each)
    ]
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    has = csr_matrix((np.ones(len(pairs), np.float32), (rows, columns)), shape=(len(warm), len(column)))
    return has[:, np.asarray(has[warm].sum(axis=0)).ravel() >= SHARED]


def _padded(vectors: Vectors) -> Vectors:
    padded: Vectors = np.zeros((len(vectors), WIDTH), np.float32)
    padded[:, : vectors.shape[1]] = vectors
    return padded
