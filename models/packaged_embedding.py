"""Vectors of prompts from the packaged text encoder, which is used unless settings name another model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.song_prompt import Prompt, versioned
from models.text_embedding import DIM, TextEncoder


class PackagedEmbedder:
    """The text encoder that comes with the system; pictures are not read.

    Args:
        encoder: The encoder.
    """

    dim = DIM
    reads_pictures = False

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    @property
    def version(self) -> str:
        """Encoder and template."""
        return versioned(self._encoder.version)

    def embed(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Vectors float32 [N, 384], norm 1.

        Raises:
            BugError: The engine failed.
        """
        return self._encoder.encode([prompt.text for prompt in prompts], role="passage")
