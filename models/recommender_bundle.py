"""The recommender as one folder of files that belong together: user tower, content mapping, ranker, trained items.

Whoever opens a bundle gets it only after every file was compared with the manifest, every network's inputs and outputs
with what callers give and take, and every array with the numbers of the manifest. The networks run from the bytes that
were compared, so that a file changed afterwards changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from numpy.typing import NDArray
from safetensors.numpy import save

from models.dataset import GENDERS
from models.onnx import CPU
from models.recommender_files import (
    BAD_NETWORK,
    CB2CF,
    FILES,
    ITEM_IDS,
    ITEMS,
    NETWORKS,
    RANKER,
    SEMANTIC_ID,
    TYPES,
    USER_TOWER,
    Integers,
    TrainedItems,
    Vectors,
    manifest_of,
    network_of,
    read_codebooks,
    read_items,
    signature,
    verified,
)
from models.recommender_manifest import MANIFEST, BundleError, FileFacts, Manifest

HISTORY = 200
"""Plays of a user, the last ones, whose items' mean vector the user tower takes."""


@dataclass(frozen=True, slots=True)
class UserVectors:
    """Answer of the user tower.

    Attributes:
        vectors: float32 [B, D].
        boundaries: float32 [B]: a cold item is shown only where its score is greater.
    """

    vectors: Vectors
    boundaries: Vectors


@dataclass(frozen=True, slots=True)
class MappedItems:
    """Answer of the content mapping.

    Attributes:
        vectors: float32 [B, D], in the space of the trained items.
        gates: float32 [B, M]: how much each content part counted.
    """

    vectors: Vectors
    gates: Vectors


class Bundle:
    """One opened version. May be used by several threads at once; made by `open_bundle`.

    Attributes:
        manifest: What it says of itself.
        items: The trained items.
        codebooks: float32 [L, C, D], residual codebooks of the semantic ids.
    """

    def __init__(
        self, manifest: Manifest, networks: Mapping[str, ort.InferenceSession], items: TrainedItems, codebooks: Vectors
    ) -> None:
        self.manifest, self.items, self.codebooks = manifest, items, codebooks
        self._networks = networks
        self._sizes = np.array([field.size for field in manifest.fields], np.int64)

    @property
    def version(self) -> str:
        """Version of all of it."""
        return self.manifest.version

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Row in `items` by item id."""
        return {item: row for row, item in enumerate(self.items.ids)}

    def user_vectors(
        self, history: Vectors, plays: Vectors, age: Integers, gender: Integers, occupation: Integers
    ) -> UserVectors:
        """Vectors of users with any number of plays, none included.

        Args:
            history: float32 [B, D], mean of the vectors of the last `HISTORY` plays; zeros without any.
            plays: float32 [B, 1], log1p of the number of plays.
            age: int64 [B], bucket as by `Manifest.age_bucket`.
            gender: int64 [B], index into `GENDERS`.
            occupation: int64 [B], index into the manifest's occupations.

        Raises:
            ValueError: another shape, a value that is not finite, or an index out of range.
        """
        given: dict[str, NDArray[Any]] = {
            "history": history,
            "plays": plays,
            "age": age,
            "gender": gender,
            "occupation": occupation,
        }
        found = self._run(USER_TOWER, given)
        return UserVectors(found["vector"], found["boundary"])

    def map_content(self, parts: Vectors, present: Vectors) -> MappedItems:
        """Vectors of items from what they contain.

        Args:
            parts: float32 [B, M, D], the manifest's parts in order; zeros where absent.
            present: float32 [B, M], 1 where the item has the part; at least one each.

        Raises:
            ValueError: another shape, a value that is not finite, or an item without any part.
        """
        if present.ndim == 2 and not present.any(axis=1).all():
            row = int(np.flatnonzero(~present.any(axis=1))[0])
            raise ValueError(f"item in row {row} has no content part: there is nothing to map")
        found = self._run(CB2CF, {"parts": parts, "present": present})
        return MappedItems(found["vector"], found["gates"])

    def rank(self, fields: Integers, dense: Vectors, group: Integers) -> Vectors:
        """Logits of the tasks for pairs of user and item, float32 [B, 4] in the order of `ranking_features.TASKS`.

        Args:
            fields: int64 [B, F], categorical fields in the manifest's order.
            dense: float32 [B, N], numbers in the manifest's order.
            group: int64 [B], the user's group.

        Raises:
            ValueError: another shape, a value that is not finite, or an index out of range.
        """
        return self._run(RANKER, {"fields": fields, "dense": dense, "group": group})["logits"]

    def _run(self, name: str, given: Mapping[str, NDArray[Any]]) -> dict[str, Vectors]:
        shapes, _ = signature(self.manifest, name)
        rows = len(next(iter(given.values())))
        for key, (kind, rest) in shapes.items():
            _check_input(f"{name}: {key}", given[key], TYPES[kind], (rows, *rest), self._limit(key))
        wanted = [output.name for output in self._networks[name].get_outputs()]
        return dict(zip(wanted, self._networks[name].run(wanted, dict(given)), strict=True))

    def _limit(self, key: str) -> Integers | int | None:
        manifest = self.manifest
        limits: dict[str, Integers | int] = {
            "age": len(manifest.age_bounds) + 1,
            "gender": len(GENDERS),
            "occupation": len(manifest.occupations),
            "group": len(manifest.groups),
            "fields": self._sizes,
        }
        return limits.get(key)


def write_bundle(
    folder: Path, manifest: Manifest, networks: Mapping[str, bytes], items: TrainedItems, codebooks: Vectors
) -> Manifest:
    """Write a bundle and open it once.

    Args:
        folder: Where; made, and must be empty.
        manifest: All but ``version`` and ``files``, which are filled in.
        networks: ONNX files by name, see `NETWORKS`.
        items: The trained items.
        codebooks: float32 [L, C, D].

    Raises:
        BundleError: what was given does not make a usable bundle; the folder is left for a look.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BundleError(f"{folder}: not empty")
    contents = {
        **networks,
        ITEMS: save({"vectors": np.ascontiguousarray(items.vectors), "codes": np.ascontiguousarray(items.codes)}),
        ITEM_IDS: orjson.dumps(items.ids),
        SEMANTIC_ID: save({"codebooks": np.ascontiguousarray(codebooks)}),
    }
    facts = {name: FileFacts(hashlib.sha256(data).hexdigest(), len(data)) for name, data in contents.items()}
    named = replace(manifest, files=facts).versioned()
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST).write_bytes(named.to_json())
    return open_bundle(folder).manifest


def open_bundle(folder: Path, *, threads: int = 1, providers: Sequence[str] = CPU) -> Bundle:
    """The bundle in a folder, verified.

    Args:
        folder: Holds the manifest and the files that it names, and nothing else.
        threads: Threads inside an operator of a network, >= 1.
        providers: ONNX Runtime providers in order of preference.

    Raises:
        BundleError: it cannot be used; the message names file and reason.
        ProviderError: a provider is unknown to this ONNX Runtime.
    """
    manifest = manifest_of(folder)
    contents = {name: verified(folder, manifest, name) for name in FILES}
    networks = {name: network_of(manifest, name, contents[name], threads, providers) for name in NETWORKS}
    items = read_items(manifest, contents)
    codebooks = read_codebooks(manifest, contents, items)
    bundle = Bundle(manifest, networks, items, codebooks)
    _try_out(bundle)
    return bundle


def _try_out(bundle: Bundle) -> None:
    """One answer of each network to zeros: weights that are not finite show there."""
    manifest, rows = bundle.manifest, 2
    for name in NETWORKS:
        inputs, outputs = signature(manifest, name)
        zeros = {key: np.zeros((rows, *shape), TYPES[kind]) for key, (kind, shape) in inputs.items()}
        if name == CB2CF:
            zeros["present"][:] = 1
        try:
            found = bundle._run(name, zeros)
        except BAD_NETWORK as error:
            raise BundleError(f"{name}: does not run: {error}") from error
        for key, (_, shape) in outputs.items():
            if found[key].shape != (rows, *shape):
                raise BundleError(f"{name}: {key} comes as {list(found[key].shape)}, {[rows, *shape]} expected")
            if not np.isfinite(found[key]).all():
                raise BundleError(f"{name}: {key} is not finite for an input of zeros")


def _check_input(
    name: str, value: NDArray[Any], dtype: Any, shape: tuple[int, ...], limit: Integers | int | None
) -> None:
    if value.dtype != dtype or value.shape != shape:
        raise ValueError(f"{name}: {value.dtype} {list(value.shape)}, {np.dtype(dtype)} {list(shape)} expected")
    if limit is None:
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: not finite in row {int(np.argwhere(~np.isfinite(value))[0][0])}")
    elif (value < 0).any() or (value >= limit).any():
        raise ValueError(f"{name}: row {int(np.argwhere((value < 0) | (value >= limit))[0][0])} is out of range")
