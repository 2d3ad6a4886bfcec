"""One vector for an item that nobody has played yet, joined from its sound, pictures and text.

First version, for nearest neighbours only; nothing in it is trained. The text is the prompt of
``models.song_prompt``, by the packaged encoder or by another model (``models.text_space``). Each part is
centred with the mean of its encoder (vectors of one encoder lie in a narrow cone, so that without this everything
resembles everything), freed from what tells its language (text only), projected to 64 numbers by a
random matrix of signs (Achlioptas 2003, "Database-friendly random projections": distances survive,
the error of a cosine is about 1/8) and normalised. An item without a part has zeros there.

The direction from English to Chinese is taken out of the text: e5 puts two titles of one language
nearer than two of one meaning. Of the prompts of 32 titles in 16 pairs of like meaning, one in each
language, the nearest other was the partner of 34 % as the encoder gives them, of 91 % without
that direction, of 75 % after projection (measured). Other languages keep their own direction.

With A and B the sets of parts of two items, their cosine is the sum of the cosines of the shared
parts divided by sqrt(|A| |B|): the mean over the parts where both have the same, and less by what
only one of them has, because there it is not known that they agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models.song_prompt import versioned
from models.text_space import TextMeans, TextSpace
from models.weights import load

VERSION = "1"
WEIGHTS = "content-means"

PART_DIM = 64
PARTS = {"audio": 200, "image": 1280, "text": 384}
"""Length of each part's vector, in the order in which they stand in the joined one; the packaged encoder's of text."""
DIM = PART_DIM * len(PARTS)


class ContentVectoriser:
    """Joins the vectors of an item. May be used by several threads at once.

    Args:
        folder: Folder of built weights.
        space: Of the model that embeds the text; None: the packaged encoder.

    Raises:
        WeightsError: The means are unusable.
    """

    def __init__(self, folder: Path | None = None, space: TextSpace | None = None) -> None:
        self._weights = load(WEIGHTS, folder)
        self._means: Mapping[str, NDArray[np.float32]] = load_file(self._weights.path)
        self._space = space
        lengths = PARTS if space is None else {**PARTS, "text": space.dim}
        self._projections = {part: projection(part, length) for part, length in lengths.items()}

    @property
    def version(self) -> str:
        """Weights, code, template and, if it is not the packaged one, model of the text; as it stands in events.

        Vectors of other versions do not compare.
        """
        own = f"{self._weights.label}/{VERSION}"
        return versioned(own) if self._space is None else f"{own}+{self._space.version}"

    def get_ready(self) -> None:
        """Find out what is not known yet of another model's space.

        Raises:
            AppError: The model does not answer, or not as it was set up for.
        """
        self._text_means()

    def join(
        self,
        audio: NDArray[np.float32] | None,
        image: NDArray[np.float32] | None,
        text: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        """Vector of one item.

        Args:
            audio: float32 [200], ``AudioFeatures.embedding``; any length of vector.
            image: float32 [1280], ``ImageEncoder.pool``.
            text: float32 [384], ``TextEncoder.encode(..., "passage")`` of the prompt; [D] where another model
                embeds it.

        Returns:
            float32 [192], Euclidean norm 1: 64 of sound, 64 of picture, 64 of text.

        Raises:
            ValueError: All three are absent, or one has another shape or values not finite.
            AppError: The text is another model's, whose space is not known yet and which does not answer.
        """
        given = {"audio": audio, "image": image, "text": text}
        joined = np.zeros(DIM, dtype=np.float32)
        for number, part in enumerate(PARTS):
            vector = given[part]
            if vector is not None:
                place = slice(number * PART_DIM, (number + 1) * PART_DIM)
                joined[place] = self._project(part, vector)
        if not joined.any():
            raise ValueError("an item needs at least one of sound, picture and text")
        return _unit(joined)

    def _project(self, part: str, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        matrix = self._projections[part]
        if vector.shape != matrix.shape[1:] or not np.isfinite(vector).all():
            raise ValueError(f"{part}: {matrix.shape[1]} finite numbers expected, got {vector.shape}")
        if part != "text":
            return _unit(matrix @ (_unit(vector) - self._means[part]))
        means = self._text_means()
        centred = _unit(vector) - means.mean
        along = np.float32(centred @ means.language)
        return _unit(matrix @ (centred - along * means.language))

    def _text_means(self) -> TextMeans:
        if self._space is not None:
            return self._space.means()
        return TextMeans(self._means["text"], self._means["text_language"])


def projection(part: str, length: int) -> NDArray[np.float32]:
    """Matrix of signs, float32 [64, length], values +-1/8.

    The signs are the bits of SHAKE-256 of the part's name: the same for ever and everywhere, which
    no random number library promises.
    """
    count = PART_DIM * length
    stream = hashlib.shake_256(f"overture content vector 1 {part}".encode()).digest(count // 8)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))
    signs = bits.astype(np.float32) * 2.0 - 1.0
    scaled: NDArray[np.float32] = signs.reshape(PART_DIM, length) / np.float32(PART_DIM**0.5)
    return scaled


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = max(float(np.linalg.norm(vector)), 1e-12)
    unit: NDArray[np.float32] = (vector / norm).astype(np.float32)
    return unit


def split(joined: NDArray[np.float32]) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.bool_]]]:
    """The parts of joined vectors, each brought back to norm 1: what models of items' content are given.

    Args:
        joined: float32 [N, 192], as ``ContentVectoriser.join`` gives them; a row of zeros for an item without any part.

    Returns:
        By part's name float32 [N, 64], zeros where absent, and bool [N].

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    if joined.ndim != 2 or joined.shape[1] != DIM or not np.isfinite(joined).all():
        raise ValueError(f"{DIM} finite numbers an item expected, got {joined.shape}")
    parts, present = {}, {}
    for number, name in enumerate(PARTS):
        part = joined[:, number * PART_DIM : (number + 1) * PART_DIM]
        norms = np.linalg.norm(part, axis=1, keepdims=True)
        parts[name] = (part / np.maximum(norms, 1e-12)).astype(np.float32)
        present[name] = norms[:, 0] > 0
    return parts, present
