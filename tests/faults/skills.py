"""Small deterministic stand-ins for the networks: the load of a fault test is delivery, not arithmetic.

The sandboxed decode pass, the rules of moderation and all that lies around them are the real ones. The same text or
picture always gives the same vector, so that work done twice is seen to give the same.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.audio_embedding import MSD_TAGS, MTT_TAGS, AudioFeatures
from models.face_gallery import EMPTY, GallerySnapshot
from models.image_embedding import CLASSES, ImageFeatures
from models.packaged_embedding import PackagedEmbedder
from models.text_moderation import CATEGORIES, TextScores, join
from processors.content_embedding import Encoders
from processors.content_moderation import Judges
from schemas.common import Label

Vector = NDArray[np.float32]
KILLS_THE_WORKER = "kills the worker"
RAISES = "raises a bug"
BREAKS_THE_RULES = "breaks the rules"


def drawn(data: bytes, dim: int) -> Vector:
    """A unit vector [dim] drawn by the bytes."""
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Skill:
    version = "stand-in/1"
    providers = ("stand-in",)


class Text(Skill):
    def encode(self, texts: Sequence[str], role: str) -> Vector:
        return np.stack([drawn(text.encode(), 384) for text in texts])


class Picture(Skill):
    def encode(self, frames: NDArray[np.uint8]) -> ImageFeatures:
        return ImageFeatures(drawn(frames.tobytes(), 1280)[None], np.zeros((1, CLASSES), np.float32))


class Sound(Skill):
    def encode(self, logmel: Vector) -> AudioFeatures:
        flat = np.zeros(len(MTT_TAGS), np.float32)
        return AudioFeatures(drawn(logmel.tobytes(), 200), flat, np.zeros(len(MSD_TAGS), np.float32))


class Joint(Skill):
    def get_ready(self) -> None:
        """Nothing is elsewhere."""

    def join(self, **parts: Vector | None) -> Vector:
        return drawn(b"".join(p.tobytes() for p in parts.values() if p is not None), 192)


def encoders() -> Encoders:
    """All that content_embedding needs."""
    text: Any = Text()
    parts: Any = (Sound(), Picture(), text, Joint(), PackagedEmbedder(text))
    return Encoders(*parts)


class Nudity(Skill):
    def score(self, frames: NDArray[np.uint8]) -> Vector:
        return np.zeros(len(frames), np.float32)


class Words(Skill):
    """Judges by what the text says of itself, and misbehaves when told to."""

    def score(self, text: str, embedding: Vector) -> TextScores:
        if KILLS_THE_WORKER in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if RAISES in text:
            raise RuntimeError("told to raise")
        breach = 0.99 if BREAKS_THE_RULES in text else 0.01
        rest = (1 - breach) / (len(CATEGORIES) - 2)
        return join((), np.array([1 - breach - 0.001, breach, *[rest] * (len(CATEGORIES) - 2)], np.float32))


class Faces(Skill):
    """Nobody is in any picture."""

    def detect(self, image: NDArray[np.uint8]) -> list[Any]:
        return []


class Gallery:
    def snapshot(self) -> GallerySnapshot:
        return EMPTY


def judges() -> Judges:
    """All that content_moderation looks with."""
    parts: Any = (Nudity(), Faces(), Faces(), Text(), Words())
    return Judges(*parts)


class Classes(Skill):
    def classify(self, audio: Any, image: Any, text: Any) -> tuple[Label, ...]:
        return (Label(name="stand-in", score=0.75),)
