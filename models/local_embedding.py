"""Vectors of prompts from the local weights of another model: an ONNX file with its card.

The file has one input, strings [N], and one output, float32 [N, D]: the tokeniser is part of the graph, so that no
second file and no second library can disagree with the weights. The card names the file and its hash as every card
does (``models.weights``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from models.onnx import CPU, load_session
from models.song_prompt import Prompt, versioned
from models.weights import CARDS, WeightsError, load
from schemas.errors import BugError

_PROBE = "a song"


class LocalEmbedder:
    """Embeds prompts in this process; pictures are not read. May be used by several threads at once.

    Args:
        name: Name on the card.
        folder: Folder of built weights; weights from a hub need it.
        cards: Folder of the cards.
        providers: ONNX Runtime providers in order of preference.
        threads: Threads inside an operator.

    Raises:
        WeightsError: The weights are unusable, or the network has other inputs or outputs.
        ProviderError: See ``models.onnx``.
    """

    reads_pictures = False

    def __init__(
        self,
        name: str,
        folder: Path | None = None,
        cards: Path = CARDS,
        providers: Sequence[str] = CPU,
        threads: int = 1,
    ) -> None:
        self._session = load_session(load(name, folder, cards), providers, threads)
        if len(self._session.inputs) != 1:
            raise WeightsError(f"{name}: one input expected, the file has {list(self._session.inputs)}")
        found = self._run([_PROBE])
        if found.ndim != 2 or len(found) != 1:
            raise WeightsError(f"{name}: one vector for each text expected, got shape {found.shape}")
        self.dim = found.shape[1]

    @property
    def version(self) -> str:
        """Weights and template."""
        return versioned(self._session.weights.label)

    def embed(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Vectors of the prompts.

        Returns:
            float32 [N, dim], norm 1.

        Raises:
            BugError: The network gave a vector that is zero or not finite.
        """
        if not prompts:
            return np.empty((0, self.dim), np.float32)
        vectors = self._run([prompt.text for prompt in prompts])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise BugError(f"{self._session.weights.label} gave a vector that is zero or not finite")
        unit: NDArray[np.float32] = (vectors / norms).astype(np.float32)
        return unit

    def _run(self, texts: list[str]) -> NDArray[np.float32]:
        try:
            found = self._session.feed({self._session.inputs[0]: np.array(texts, dtype=object)})
        except InvalidArgument as error:
            raise WeightsError(f"{self._session.weights.label} does not take strings: {error}") from error
        if len(found) != 1:
            raise WeightsError(f"{self._session.weights.label}: one output expected, the file has {sorted(found)}")
        return next(iter(found.values()))
