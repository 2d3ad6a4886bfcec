"""The real encoders over made material, each answer kept in a file.

Encoding takes minutes, training seconds: vectors are kept under ``.overture/training/`` by a hash of the
material and the encoder's version, so that a second run trains at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

CACHE = Path(".overture/training")


def cached(key: Sequence[str], folder: Path, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """``make()``, or what it gave the last time for the same key.

    Args:
        key: All that the result depends on: versions, seeds, texts.
        folder: Folder of kept vectors.
        make: Gives float32 [N, D].
    """
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]
    path = folder / f"{digest}.safetensors"
    if path.exists():
        return load_file(path)["vectors"]
    vectors = make()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    save_file({"vectors": np.ascontiguousarray(vectors, dtype=np.float32)}, unfinished)
    unfinished.replace(path)
    return vectors


def in_blocks(
    count: int, block: int, one: Callable[[int, int], NDArray[np.float32]], watch: Callable[[int], None]
) -> NDArray[np.float32]:
    """Rows ``first`` to ``last`` by ``one(first, last)``, block after block; ``watch`` hears how many."""
    parts = []
    for first in range(0, count, block):
        last = min(first + block, count)
        parts.append(one(first, last))
        watch(last - first)
    return np.concatenate(parts)
