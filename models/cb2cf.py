"""Vectors for items nobody has played, from what they contain: the online side of ``models.training.cb2cf``.

The network takes the parts that its manifest names, in that order, each 64 wide and zero padded. Parts come from two
places: sound, picture and text from the joint content vector (`models.content_vector`), tags from the item's labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import content_vector
from models.onnx import CPU, open_network
from models.recommender_bundle import MappedItems

WIDTH = 64
TAGS = "tags"
BATCH = 64
"""Most items that the network is given at once."""

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]
Network = Callable[[Vectors, Vectors], MappedItems]
"""Parts float32 [B, M, 64] and presence float32 [B, M] to vectors and gates, for instance ``Bundle.map_content``."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the network was trained on; all of it stands in the manifest.

    Attributes:
        parts: Names of the parts, in order.
        tags: Vocabulary of the part ``tags``.
        content_version: Version of the joint vectors.
    """

    parts: tuple[str, ...]
    tags: tuple[str, ...]
    content_version: str

    def __post_init__(self) -> None:
        unknown = sorted(set(self.parts) - {*content_vector.PARTS, TAGS})
        if unknown or len(set(self.parts)) != len(self.parts):
            raise ValueError(f"parts {list(self.parts)}: each of {[*content_vector.PARTS, TAGS]} once at most expected")
        if len(self.tags) > WIDTH:
            raise ValueError(f"{len(self.tags)} tags, a part holds {WIDTH}")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where items belong, [N].

    Attributes:
        found: bool [N]: whether there was anything to go by; an item without any known part cannot be placed.
        vectors: float32 [N, 64] in the space of the trained items; zeros where not found.
        gates: float32 [N, M]: how much each part counted, >= 0; 0 where absent.
    """

    found: Mask
    vectors: Vectors
    gates: Vectors


class ContentMapper:
    """Maps items by their content. May be used by several threads at once.

    Args:
        network: The network.
        layout: What it was trained on.
        batch: Most items at once, >= 1.
    """

    def __init__(self, network: Network, layout: Layout, batch: int = BATCH) -> None:
        self.layout = layout
        self._network = network
        self._batch = batch

    @classmethod
    def open(cls, path: Path, layout: Layout, threads: int = 1, batch: int = BATCH) -> ContentMapper:
        """One that runs a file outside of any bundle.

        Raises:
            ProviderError: ONNX Runtime has no CPU provider.
            ValueError: the file's inputs are not those of the layout.
        """
        session = open_network(path.read_bytes(), CPU, threads)
        count = len(layout.parts)
        told = {value.name: tuple(value.shape[1:]) for value in session.get_inputs()}
        if told != {"parts": (count, WIDTH), "present": (count,)}:
            raise ValueError(f"{path.name}: inputs {told}, parts {(count, WIDTH)} and present {(count,)} expected")

        def run(parts: Vectors, present: Vectors) -> MappedItems:
            vectors, gates = session.run(["vector", "gates"], {"parts": parts, "present": present})
            return MappedItems(vectors, gates)

        return cls(run, layout, batch)

    def map(self, joint: Vectors, versions: Sequence[str], labels: Sequence[Sequence[str]]) -> Mapped:
        """Where items belong by their joint vectors and labels, as these stand in ``ItemChanged``.

        Args:
            joint: float32 [N, 192]; zeros for an item without any.
            versions: Version of each joint vector; one of another version is left aside, its tags are not.
            labels: Names of each item's classes; unknown ones are left aside.

        Raises:
            ValueError: lengths that differ, another shape, or a value that is not finite.
        """
        return self.map_parts(*parts_of(self.layout, joint, versions, labels))

    def map_parts(self, parts: Vectors, present: Mask) -> Mapped:
        """The same for parts that are made already.

        Args:
            parts: float32 [N, M, 64].
            present: bool [N, M].

        Raises:
            ValueError: another shape, or a value that is not finite; the message names part and row.
        """
        count = len(self.layout.parts)
        if parts.shape != (len(present), count, WIDTH) or present.shape != (len(parts), count):
            raise ValueError(f"parts {parts.shape} with presence {present.shape}: {count} parts of {WIDTH} expected")
        if not np.isfinite(parts).all():
            row, part, _ = np.argwhere(~np.isfinite(parts))[0]
            raise ValueError(f"part {self.layout.parts[part]} of the item in row {row} is not finite")
        found: Mask = np.asarray(present.any(axis=1))
        vectors, gates = np.zeros((len(parts), WIDTH), np.float32), np.zeros((len(parts), count), np.float32)
        rows = np.flatnonzero(found)
        for first in range(0, len(rows), self._batch):
            some = rows[first : first + self._batch]
            mapped = self._network(parts[some].astype(np.float32), present[some].astype(np.float32))
            vectors[some], gates[some] = mapped.vectors, mapped.gates
        return Mapped(found, vectors, gates)


def parts_of(
    layout: Layout, joint: Vectors, versions: Sequence[str], labels: Sequence[Sequence[str]]
) -> tuple[Vectors, Mask]:
    """Parts float32 [N, M, 64] and presence bool [N, M]; see `ContentMapper.map`.

    Training on items of the catalogue calls the same function, so that both sides see the same numbers.
    """
    if not len(joint) == len(versions) == len(labels):
        raise ValueError(f"{len(joint)} joint vectors, {len(versions)} versions and {len(labels)} lists of labels")
    known = np.array([version == layout.content_version for version in versions], np.bool_)
    slices, has = content_vector.split(joint)
    parts = np.zeros((len(joint), len(layout.parts), WIDTH), np.float32)
    present = np.zeros((len(joint), len(layout.parts)), np.bool_)
    for place, name in enumerate(layout.parts):
        if name == TAGS:
            parts[:, place, : len(layout.tags)], present[:, place] = _tag_part(layout.tags, labels)
        else:
            present[:, place] = has[name] & known
            parts[:, place] = slices[name] * present[:, place, None]
    return parts, present


def _tag_part(tags: tuple[str, ...], labels: Sequence[Sequence[str]]) -> tuple[Vectors, Mask]:
    """1 for each tag that an item has, [N, T]; and which items have any."""
    names = [frozenset(each) for each in labels]
    tagged = np.array([[tag in each for tag in tags] for each in names], np.float32).reshape(len(names), len(tags))
    return tagged, np.asarray(tagged.any(axis=1))
