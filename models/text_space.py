"""Mean and direction of language of a model's prompt vectors, which ``models.content_vector`` takes out of each.

For the packaged encoder both lie in the weights ``content-means``. Another model is asked when it is first needed: for
prompts made here, always the same, half English and half Chinese. So it needs no training, two processes find the same
but for the noise of the model's own arithmetic, and a model that answers other vectors than it was set up for is found
out at the start.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.song_prompt import Prompt, PromptEmbedder, Song, song_prompt

Vector = NDArray[np.float32]

ENGLISH = (
    ("my new", "an old", "a quiet", "the best", "live:", "cover of a", "tutorial:", "behind the"),
    (
        "love song", "piano piece", "rap battle", "dance routine", "street food tour",
        "cat video", "makeup look", "football highlights", "city walk at night",
        "study playlist", "wedding dance", "drum solo", "mountain hike", "birthday party",
    ),
)  # fmt: skip
CHINESE = (
    ("我的新", "一首老", "安静的", "最好听的", "现场", "翻唱", "教程：", "今天的"),
    (
        "情歌", "钢琴曲", "说唱", "舞蹈", "美食", "猫咪视频", "妆容", "足球集锦", "城市夜景",
        "学习歌单", "婚礼舞曲", "鼓独奏", "登山", "生日派对",
    ),
)  # fmt: skip
HEARD = (
    ((), ()),
    (("piano",), ("classical", "slow", "instrumental")),
    (("guitar", "drums"), ("rock", "loud", "male vocalists")),
    ((), ("electronic", "dance", "fast")),
    (("strings", "violin"), ("quiet", "ambient", "Mellow")),
)
"""Instruments and tags of sound; many uploads have none."""
SEEN = ((), ("stage",), (), ("web site",), ("valley", "lakeside"), ("menu",), ())


@dataclass(frozen=True, slots=True)
class TextMeans:
    """What is taken out of the vectors of one model.

    Attributes:
        mean: float32 [D], mean of unit vectors.
        language: float32 [D], norm 1: from English to Chinese.
    """

    mean: Vector
    language: Vector


class TextSpace(Protocol):
    """Where the text part of a content vector comes from, if not from the packaged encoder."""

    @property
    def version(self) -> str:
        """Model and template, as it stands in events."""

    @property
    def dim(self) -> int:
        """Width of its vectors."""

    def means(self) -> TextMeans:
        """What is taken out of its vectors.

        Raises:
            AppError: it is not known yet, and the model does not answer.
        """


class MeasuredSpace:
    """The space of another model, measured once when first asked for. May be used by several threads at once.

    Args:
        embedder: The model.
    """

    def __init__(self, embedder: PromptEmbedder) -> None:
        self.version = embedder.version
        self.dim = embedder.dim
        self._embedder = embedder
        self._lock = Lock()
        self._found: TextMeans | None = None

    def means(self) -> TextMeans:
        """What is taken out of its vectors.

        Raises:
            AppError: As ``PromptEmbedder.embed``, until it was measured.
        """
        with self._lock:
            if self._found is None:
                self._found = measured(self._embedder)
            return self._found


def measured(embedder: PromptEmbedder) -> TextMeans:
    """Means of a model's vectors over `prompts`.

    Raises:
        AppError: As ``PromptEmbedder.embed``.
    """
    english, chinese = (half.mean(axis=0) for half in np.split(embedder.embed(prompts()), 2))
    apart = chinese - english
    # a model that tells no language has no direction of it
    language = apart / max(float(np.linalg.norm(apart)), 1e-12)
    return TextMeans(((english + chinese) / 2).astype(np.float32), language.astype(np.float32))


def prompts() -> list[Prompt]:
    """Songs in the manner of uploads: 112 English ones, then the same in Chinese with the same tags."""
    english = [" ".join(words) for words in itertools.product(*ENGLISH)]
    chinese = ["".join(words) for words in itertools.product(*CHINESE)]
    return [Prompt(_song(title, number)) for titles in (english, chinese) for number, title in enumerate(titles)]


def _song(title: str, number: int) -> str:
    instruments, sound = HEARD[number % len(HEARD)]
    return song_prompt(Song(title, instruments=instruments, tags={"sound": sound, "picture": SEEN[number % len(SEEN)]}))
