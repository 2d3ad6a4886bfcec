"""Text moderation: Chinese and English word lists and a classifier on the text's embedding.

The lists know spellings, the classifier knows meanings; each misses what the other sees. They are
joined as independent witnesses (noisy-or): ``1 - (1 - severity)(1 - classifier)``. A listed word in a
harmless sentence (a quotation, the news) therefore ends below the reject threshold, the same word in
a sentence that also means harm above it.

The classifier is a small network over multilingual-e5-small vectors that
``python -m models.training text-moderation`` trains on sentences that the project makes; the card says
on which, and what it scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.onnx import CPU, Session, load_session
from models.weights import load
from models.word_matching import WordHit, WordLists

VERSION = "2"
WEIGHTS = "text-moderation"
LISTS = Path(__file__).parent / "word_lists"
"""Folder of the lists that come with the source."""

DIM = 384
CLEAN = "clean"
CATEGORIES = (CLEAN, "abuse", "threat", "sexual", "scam", "self-harm")
"""Order of the network's answer."""


@dataclass(frozen=True, slots=True)
class TextScores:
    """What is known of one text.

    Attributes:
        words: Listed words in it, the most severe first.
        classifier: 0..1, probability that it breaks the rules, by the classifier.
        categories: Probability of each category but ``clean``, by the classifier.
        score: 0..1, both together.
        category: The most likely breach, whether or not there is one: that of the most severe word
            if it is a telling one or surer than the classifier, else the classifier's.
    """

    words: tuple[WordHit, ...]
    classifier: float
    categories: Mapping[str, float]
    score: float
    category: str


_WORD = re.compile(r"\w+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_SENTENCE = 1.5
_LONE_LIMIT = 0.5
_TELLING = 0.6
"""Severity from which a word names the breach better than the classifier does."""


class TextModerator:
    """Scores texts. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.
        more_lists: Further folders of word lists, for example an operator's own.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
        ValueError: A word list is malformed.
    """

    def __init__(
        self,
        providers: Sequence[str] = CPU,
        threads: int = 1,
        folder: Path | None = None,
        more_lists: Sequence[Path] = (),
    ) -> None:
        self._lists = WordLists((LISTS, *more_lists))
        self._session: Session = load_session(load(WEIGHTS, folder), providers, threads)

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._session.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    def score(self, text: str, embedding: NDArray[np.float32]) -> TextScores:
        """Scores one text.

        Args:
            text: The text; an empty one scores by its embedding alone.
            embedding: float32 [384], ``TextEncoder.encode([text], "passage")[0]``.

        Raises:
            ValueError: The embedding has another shape or values that are not finite.
        """
        if embedding.shape != (DIM,) or not np.isfinite(embedding).all():
            raise ValueError(f"{DIM} finite numbers expected, got shape {embedding.shape}")
        answer = self._session.run(embedding=embedding[None].astype(np.float32))["probabilities"][0]
        return join(self._lists.find(text), _calmed(answer) if is_lone_word(text) else answer)


def is_lone_word(text: str) -> bool:
    """Whether a text is too short to say anything: one word, or two Chinese characters."""
    chinese = len(_CHINESE.findall(text))
    others = len(_WORD.findall(_CHINESE.sub(" ", text)))
    return others + chinese / 2 < _SENTENCE


def _calmed(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The classifier learned sentences; of a lone word it may say no more than a coin, so the lists decide."""
    breach = 1.0 - float(probabilities[0])
    if breach <= _LONE_LIMIT:
        return probabilities
    calmed = probabilities * np.float32(_LONE_LIMIT / breach)
    calmed[0] = 1.0 - _LONE_LIMIT
    return calmed


def join(words: tuple[WordHit, ...], probabilities: NDArray[np.float32]) -> TextScores:
    """Both witnesses together.

    Args:
        words: Listed words of the text, the most severe first.
        probabilities: float32 [6], in the order of ``CATEGORIES``, sum 1.
    """
    categories = {name: float(p) for name, p in zip(CATEGORIES, probabilities, strict=True) if name != CLEAN}
    classifier = min(max(1.0 - float(probabilities[0]), 0.0), 1.0)
    severity = words[0].severity if words else 0.0
    likely = max(categories, key=categories.__getitem__)
    return TextScores(
        words=words,
        classifier=classifier,
        categories=categories,
        score=1.0 - (1.0 - severity) * (1.0 - classifier),
        category=words[0].category if words and severity >= min(_TELLING, classifier) else likely,
    )
