"""Files of a recommender bundle, each read whole and compared with the manifest before anybody uses it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NotImplemented
from safetensors import SafetensorError
from safetensors.numpy import load

from models.onnx import open_network
from models.ranking_features import TASKS
from models.recommender_manifest import MANIFEST, BundleError, Manifest, read_manifest

Vectors = NDArray[np.float32]
Integers = NDArray[np.int64]

USER_TOWER, CB2CF, RANKER = "user_tower.onnx", "cb2cf.onnx", "ranker.onnx"
NETWORKS = (USER_TOWER, CB2CF, RANKER)
ITEMS, ITEM_IDS, SEMANTIC_ID = "items.safetensors", "items.json", "semantic_id.safetensors"
FILES = (*NETWORKS, ITEMS, ITEM_IDS, SEMANTIC_ID)
NORM_TOLERANCE = 1e-3
BAD_NETWORK = (Fail, InvalidGraph, InvalidProtobuf, NotImplemented)
"""What ONNX Runtime raises for a file that is no network, or none that it can run."""
_FLOAT32, _INT64 = np.dtype(np.float32), np.dtype(np.int64)
_FLOAT, _INT = "tensor(float)", "tensor(int64)"
TYPES: dict[str, np.dtype[Any]] = {_FLOAT: _FLOAT32, _INT: _INT64}
Shape = dict[str, tuple[str, tuple[int, ...]]]
"""By name of an input or output: type and the lengths of all dimensions but the first, which is the batch's."""


@dataclass(frozen=True, slots=True)
class TrainedItems:
    """Items that had plays when the version was trained, [I] each.

    Attributes:
        ids: Item ids.
        vectors: float32 [I, D].
        codes: int64 [I, L], semantic ids: a row of each level's codebook.
    """

    ids: tuple[str, ...]
    vectors: Vectors
    codes: Integers


def signature(manifest: Manifest, name: str) -> tuple[Shape, Shape]:
    """Inputs and outputs that a network of a bundle must have."""
    dim, parts = manifest.dim, len(manifest.parts)
    if name == USER_TOWER:
        user: Shape = {"history": (_FLOAT, (dim,)), "plays": (_FLOAT, (1,))}
        user |= {"age": (_INT, ()), "gender": (_INT, ()), "occupation": (_INT, ())}
        return user, {"vector": (_FLOAT, (dim,)), "boundary": (_FLOAT, ())}
    if name == CB2CF:
        return (
            {"parts": (_FLOAT, (parts, dim)), "present": (_FLOAT, (parts,))},
            {"vector": (_FLOAT, (dim,)), "gates": (_FLOAT, (parts,))},
        )
    pairs: Shape = {"fields": (_INT, (len(manifest.fields),)), "dense": (_FLOAT, (len(manifest.dense),))}
    return pairs | {"group": (_INT, ())}, {"logits": (_FLOAT, (len(TASKS),))}


def manifest_of(folder: Path) -> Manifest:
    try:
        manifest = read_manifest((folder / MANIFEST).read_bytes(), MANIFEST)
        found = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise BundleError(f"{folder}: {MANIFEST}: {error.strerror}") from error
    if set(manifest.files) != set(FILES):
        wrong = sorted(set(manifest.files) ^ set(FILES))
        raise BundleError(f"{MANIFEST}: names {wrong} in excess or not at all")
    if extra := sorted(found - set(FILES) - {MANIFEST}):
        raise BundleError(f"{extra[0]}: does not belong to version {manifest.version}")
    return manifest


def verified(folder: Path, manifest: Manifest, name: str) -> bytes:
    facts = manifest.files[name]
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{name}: {error.strerror}") from error
    if len(data) != facts.bytes:
        raise BundleError(f"{name}: {len(data)} bytes, that of version {manifest.version} has {facts.bytes}")
    actual = hashlib.sha256(data).hexdigest()
    if actual != facts.sha256:
        raise BundleError(f"{name}: sha256 {actual}, that of version {manifest.version} has {facts.sha256}")
    return data


def network_of(
    manifest: Manifest, name: str, data: bytes, threads: int, providers: Sequence[str]
) -> ort.InferenceSession:
    try:
        network = open_network(data, providers, threads)
    except BAD_NETWORK as error:
        raise BundleError(f"{name}: no network that ONNX Runtime can load: {error}") from error
    for kind, values, wanted in zip(
        ("input", "output"), (network.get_inputs(), network.get_outputs()), signature(manifest, name), strict=True
    ):
        found = {value.name: (value.type, tuple(value.shape)) for value in values}
        if set(found) != set(wanted):
            raise BundleError(f"{name}: {kind}s {sorted(found)}, {sorted(wanted)} expected")
        for key, (dtype, shape) in wanted.items():
            told_type, told_shape = found[key]
            if told_type != dtype or told_shape[1:] != shape or isinstance(told_shape[0], int):
                raise BundleError(
                    f"{name}: {kind} {key} is {told_type} {list(told_shape)}, {dtype} {['batch', *shape]} expected"
                )
    return network


def read_items(manifest: Manifest, contents: Mapping[str, bytes]) -> TrainedItems:
    kinds: dict[str, tuple[np.dtype[Any], int]] = {
        "vectors": (np.dtype(np.float32), 2),
        "codes": (np.dtype(np.int64), 2),
    }
    arrays = _arrays(ITEMS, contents[ITEMS], kinds)
    vectors, codes = arrays["vectors"], arrays["codes"]
    try:
        ids = orjson.loads(contents[ITEM_IDS])
    except orjson.JSONDecodeError as error:
        raise BundleError(f"{ITEM_IDS}: no JSON: {error}") from error
    if not isinstance(ids, list) or not all(isinstance(each, str) and each for each in ids):
        raise BundleError(f"{ITEM_IDS}: a list of ids expected")
    if len(set(ids)) != len(ids):
        raise BundleError(f"{ITEM_IDS}: an id comes twice")
    if vectors.shape != (len(ids), manifest.dim) or len(codes) != len(ids):
        shapes = f"vectors {list(vectors.shape)}, codes {list(codes.shape)}"
        raise BundleError(f"{ITEMS}: {shapes} for {len(ids)} ids of {manifest.dim} numbers")
    norms = np.linalg.norm(vectors, axis=1)
    if manifest.norm == "unit" and len(ids) and float(np.abs(norms - 1).max()) > NORM_TOLERANCE:
        worst = int(np.abs(norms - 1).argmax())
        raise BundleError(f"{ITEMS}: the vector of {ids[worst]} has norm {norms[worst]:.4f}, not 1")
    return TrainedItems(tuple(ids), vectors, codes)


def read_codebooks(manifest: Manifest, contents: Mapping[str, bytes], items: TrainedItems) -> Vectors:
    """Codebooks of the semantic ids, float32 [L, C, D], into which the items' codes point.

    Raises:
        BundleError: they are not usable, or the codes are not theirs.
    """
    codebooks = _arrays(SEMANTIC_ID, contents[SEMANTIC_ID], {"codebooks": (_FLOAT32, 3)})["codebooks"]
    levels, size, dim = codebooks.shape
    if dim != manifest.dim:
        raise BundleError(f"{SEMANTIC_ID}: codebooks of {dim} numbers, {manifest.dim} expected")
    if items.codes.shape[1] != levels:
        raise BundleError(f"{ITEMS}: {items.codes.shape[1]} codes an item, there are {levels} codebooks")
    if items.codes.size and (items.codes.min() < 0 or items.codes.max() >= size):
        raise BundleError(f"{ITEMS}: codes {items.codes.min()}..{items.codes.max()}, codebooks have {size} rows")
    return codebooks


def _arrays(name: str, data: bytes, wanted: Mapping[str, tuple[np.dtype[Any], int]]) -> dict[str, NDArray[Any]]:
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise BundleError(f"{name}: {error}") from error
    if set(arrays) != set(wanted):
        raise BundleError(f"{name}: holds {sorted(arrays)}, {sorted(wanted)} expected")
    for key, (dtype, rank) in wanted.items():
        if arrays[key].dtype != dtype or arrays[key].ndim != rank:
            raise BundleError(f"{name}: {key} is {arrays[key].dtype} {list(arrays[key].shape)}, {dtype} of rank {rank}")
        if not np.isfinite(arrays[key]).all():
            raise BundleError(f"{name}: {key} has values that are not finite")
    return arrays
