"""Trains the head of ``models.text_moderation``: a text's embedding to six categories.

A two-layer perceptron over standardised multilingual-e5-small vectors (Wang et al. 2024,
arXiv:2402.05672), probabilities by temperature-scaled softmax. Learns from sentences of
``models.training.material.moderation_texts``; judged on sentences of other templates and words, and on
sentences written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.content_moderation import Rules
from models.text_embedding import TextEncoder
from models.text_moderation import CATEGORIES, CLEAN, DIM, LISTS, WEIGHTS, join
from models.training.encoding import CACHE, cached, in_blocks
from models.training.evaluation import ClassScore, binary, evaluate, majority
from models.training.export import Head, write
from models.training.loop import Examples, Fit, History, Trainable, fit, save, seed_everything, temperature
from models.training.material.moderation_texts import LabelledText, generate, handwritten, titles
from models.weights import CARDS, Card
from models.word_matching import WordLists

VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Net:
    """Shape of the network.

    Attributes:
        hidden: Width of the hidden layer.
        dropout: Share of values left out in training.
        noise: Standard deviation of noise added to standardised inputs in training.
        smoothing: Label smoothing, 0..1.
    """

    hidden: int = 96
    dropout: float = 0.4
    noise: float = 0.3
    smoothing: float = 0.05


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides the result.

    Attributes:
        train, validation, held_out: Sentences of each set.
        seed: Seed of the sentences.
        net: Network.
        fit: Loop.
        cards: Where the weight is written.
        cache: Where vectors are kept.
    """

    train: int = 5000
    validation: int = 800
    held_out: int = 1000
    seed: int = 11
    net: Net = field(default_factory=Net)
    fit: Fit = field(default_factory=Fit)
    cards: Path = CARDS
    cache: Path = CACHE

    @classmethod
    def debug(cls, cards: Path, cache: Path) -> Config:
        """Runs in seconds, teaches nothing."""
        return cls(40, 20, 20, net=Net(hidden=8), fit=Fit(epochs=2), cards=cards, cache=cache)


class TextModerationNet(Trainable):
    """Embedding [B, 384] -> probabilities [B, 6]."""

    mean: Tensor
    std: Tensor
    temperature: Tensor

    def __init__(self, config: Net, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", mean)  # [384]
        self.register_buffer("std", std)  # [384]
        self.register_buffer("temperature", torch.ones(()))
        self.layers = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(DIM, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, len(CATEGORIES)),
        )

    def logits(self, embedding: Tensor) -> Tensor:
        """Uncalibrated logits [B, 6]."""
        inputs = (embedding - self.mean) / self.std  # [B, 384]
        if self.training:
            inputs = inputs + self.config.noise * torch.randn_like(inputs)  # [B, 384]
        return self.layers(inputs)  # [B, 6]

    def forward(self, embedding: Tensor) -> Tensor:
        return torch.softmax(self.logits(embedding) / self.temperature, dim=-1)  # [B, 6]

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        smoothing = self.config.smoothing if self.training else 0.0
        return nn.functional.cross_entropy(self.logits(inputs), labels, label_smoothing=smoothing)


@dataclass(frozen=True, slots=True)
class Data:
    """Sentences with their vectors.

    Attributes:
        items: The sentences.
        vectors: float32 [N, 384].
    """

    items: list[LabelledText]
    vectors: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N], numbers in ``CATEGORIES``."""
        return np.array([CATEGORIES.index(item.label) for item in self.items], dtype=np.int64)

    @property
    def examples(self) -> Examples:
        """For the loop."""
        return Examples(torch.from_numpy(self.vectors), torch.from_numpy(self.labels))


def run(config: Config, watch_texts: Callable[[int], None], watch_passes: Callable[[int, float, float], None]) -> Card:
    """Makes sentences, encodes them, trains, judges, exports.

    Args:
        config: Everything that decides the result.
        watch_texts: Hears how many more texts are encoded.
        watch_passes: Hears number, training and validation loss of each pass.
    """
    encoder = TextEncoder()

    def data(items: list[LabelledText]) -> Data:
        texts = [item.text for item in items]

        def make() -> NDArray[np.float32]:
            return in_blocks(len(texts), 32, lambda a, b: encoder.encode(texts[a:b], "passage"), watch_texts)

        return Data(items, cached([encoder.version, "passage", *texts], config.cache, make))

    train = data(generate("train", config.train, config.seed))
    validation = data(generate("validation", config.validation, config.seed))
    held_out = data(generate("held_out", config.held_out, config.seed))
    by_hand = data(handwritten())
    module, history = train_net(config, train, validation, watch_passes)
    save(module, config.cache / f"{WEIGHTS}-{VERSION}.safetensors")
    report = judge(module, train, {"held_out": held_out, "handwritten": by_hand})
    harmless = data([LabelledText(text, CLEAN, "any") for text in titles()])
    report["harmless_titles"] = over_thresholds(module, harmless)
    report["training"] = {"passes": len(history.train), "best": history.best, "temperature": float(module.temperature)}
    return write(module, _head(config, report), held_out.vectors[:4], report, config.cards)


def train_net(
    config: Config, train: Data, validation: Data, watch: Callable[[int, float, float], None]
) -> tuple[TextModerationNet, History]:
    """A trained, calibrated network."""
    seed_everything(config.fit.seed)
    examples = train.examples
    net = TextModerationNet(config.net, examples.inputs.mean(dim=0), examples.inputs.std(dim=0) + 1e-6)
    checked = validation.examples
    history = fit(net, examples, checked, config.fit, watch)
    with torch.no_grad():
        net.temperature.fill_(temperature(net.logits(checked.inputs), checked.labels))
    return net, history


def judge(module: TextModerationNet, train: Data, sets: dict[str, Data]) -> dict[str, Any]:
    """Figures on sets it has never seen, with the baselines beside them."""
    lists = WordLists((LISTS,))
    rules = Rules()
    report: dict[str, Any] = {}
    for name, data in sets.items():
        with torch.no_grad():
            probabilities = module(torch.from_numpy(data.vectors)).numpy()  # [N, 6]
        words = [lists.find(item.text) for item in data.items]
        joint = np.array([join(hit, row).score for hit, row in zip(words, probabilities, strict=True)])
        truth = data.labels
        bad = truth != CATEGORIES.index(CLEAN)
        listed = np.array([bool(hit) for hit in words])
        base = evaluate(truth, majority(train.labels, len(truth)), CATEGORIES)
        report[name] = {
            "items": len(truth),
            "classifier": evaluate(truth, probabilities.argmax(axis=1), CATEGORIES).summary(),
            "baseline_majority": {"accuracy": round(base.accuracy, 3), "macro_f1": round(base.macro_f1, 3)},
            "bad_or_clean": {
                "baseline_word_lists_only": _binary(binary(bad, listed), bad, listed),
                "classifier_only_review": _binary(*_over(bad, 1.0 - probabilities[:, 0], rules.text_review)),
                "together_review": _binary(*_over(bad, joint, rules.text_review)),
                "together_reject": _binary(*_over(bad, joint, rules.text_reject)),
            },
            "together_review_by_language": {
                language: _binary(*_over(bad[rows], joint[rows], rules.text_review))
                for language, rows in _languages(data.items).items()
            },
        }
    return report


def over_thresholds(module: TextModerationNet, data: Data) -> dict[str, int]:
    """How many texts reach each threshold, lists and classifier together."""
    lists, rules = WordLists((LISTS,)), Rules()
    with torch.no_grad():
        probabilities = module(torch.from_numpy(data.vectors)).numpy()  # [N, 6]
    scores = [join(lists.find(item.text), row).score for item, row in zip(data.items, probabilities, strict=True)]
    return {
        "items": len(scores),
        "review": sum(score >= rules.text_review for score in scores),
        "reject": sum(score >= rules.text_reject for score in scores),
    }


def _over(
    bad: NDArray[np.bool_], scores: NDArray[np.floating], threshold: float
) -> tuple[ClassScore, NDArray[np.bool_], NDArray[np.bool_]]:
    called = scores >= threshold
    return binary(bad, called), bad, called


def _binary(score: ClassScore, bad: NDArray[np.bool_], called: NDArray[np.bool_]) -> dict[str, float]:
    return {
        "precision": round(score.precision, 3),
        "recall": round(score.recall, 3),
        "f1": round(score.f1, 3),
        "clean_called_bad": round(float(called[~bad].mean()), 3),
    }


def _languages(items: Sequence[LabelledText]) -> dict[str, NDArray[np.bool_]]:
    found = sorted({item.language for item in items})
    return {language: np.array([item.language == language for item in items]) for language in found}


def _head(config: Config, report: dict[str, Any]) -> Head:
    unseen, hand = report["held_out"], report["handwritten"]
    together, listed = unseen["bad_or_clean"]["together_review"], unseen["bad_or_clean"]["baseline_word_lists_only"]
    by_hand, hand_listed = hand["bad_or_clean"]["together_review"], hand["bad_or_clean"]["baseline_word_lists_only"]
    return Head(
        name=WEIGHTS,
        version=VERSION,
        summary="Embedding of a text to the probability of five kinds of rule breaking.",
        training_data=(
            f"{config.train} Chinese and English sentences made from templates by this project "
            "(models/training/material/moderation), embedded by multilingual-e5-small"
        ),
        non_commercial=False,
        quality=(
            f"On {unseen['items']} sentences of templates and words never seen in training: accuracy over 6 classes "
            f"{unseen['classifier']['accuracy']} (majority {unseen['baseline_majority']['accuracy']}), macro F1 "
            f"{unseen['classifier']['macro_f1']}; bad or clean with word lists, review threshold: precision "
            f"{together['precision']}, recall {together['recall']} (lists alone {listed['precision']}, "
            f"{listed['recall']}). On {hand['items']} hand-written sentences: accuracy "
            f"{hand['classifier']['accuracy']}, precision {by_hand['precision']}, recall {by_hand['recall']} "
            f"(lists alone {hand_listed['precision']}, {hand_listed['recall']}). Per category: evaluation.json. "
            f"Of {report['harmless_titles']['items']} harmless titles {report['harmless_titles']['review']} reach the "
            "review threshold. The held-out sentences avoid the listed words on purpose. "
            "All sentences are made by us: no figure is known for what users really write."
        ),
        input="embedding",
        width=DIM,
        output="probabilities",
        described=(
            "embedding float32 [N, 384]: multilingual-e5-small-q4, role passage, norm 1",
            f"probabilities float32 [N, {len(CATEGORIES)}], sum 1: {', '.join(CATEGORIES)}",
        ),
    )
