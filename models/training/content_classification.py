"""Trains ``models.content_classification``: fusion of sound, picture and text vectors.

Each modality is projected to a token, the tokens see each other in one masked self-attention layer
(Vaswani et al. 2017, arXiv:1706.03762), their masked mean goes through a perceptron. Whole modalities
are left out at random in training (ModDrop, Neverova et al. 2015, arXiv:1501.00102), so that an item
may lack any two.

What the network has never seen the like of, it must not judge: a sound or picture whose cosine with
every mean vector of the kinds it learned from (nearest class mean) lies below a gate is treated as
absent; the gate lies a little under the first percentile of the validation set. Texts are not gated.

Learns from ``models.training.material.clips`` through the real encoders.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.audio_embedding import WEIGHTS_MSD, patches
from models.content_classification import CLASSES, PARTS, WEIGHTS, WIDTH
from models.image_embedding import ImageEncoder
from models.media.logmel import logmel
from models.onnx import load_session
from models.text_embedding import TextEncoder
from models.training.encoding import CACHE, cached, in_blocks
from models.training.evaluation import evaluate, majority
from models.training.export import Head, write
from models.training.loop import Examples, Fit, Trainable, fit, save, seed_everything, temperature
from models.training.material.clips import Clip, generate
from models.weights import CARDS, Card, load

VERSION = "1.0"
_MATERIAL = "clips-1"
"""Raise it when sounds.py or drawings.py change: kept vectors are then made anew."""
OUT_OF_DOMAIN = (
    "Out of its domain, looked at by hand on 2026-11-21: of 28 photographs (scikit-image, scikit-learn) none resembles "
    "a drawing, so alone they get no label; before that gate they got wrong ones of up to 0.99. Of 68 sounds (67 "
    "rendered with FluidSynth, one film) 14 pass the gate: 2 get the right label, the others wrong ones, mostly under "
    "0.4. Of 13 captions in three languages written freely 9 get the right label; titles of works get wrong ones of up "
    "to 0.8. On real items this version judges by the caption, mostly."
)
"""What was seen by hand on real things, for the card."""

Matrix = NDArray[np.float32]
GATED = ("audio", "image")
"""Parts that are left out when they resemble nothing known; the first two of ``PARTS``."""
GATE_PERCENTILE = 1.0
GATE_MARGIN = 0.04
"""Cosine by which a gate lies below that percentile: other made sounds and pictures are to pass."""


@dataclass(frozen=True, slots=True)
class Net:
    """Shape of the network.

    Attributes:
        width: Length of a token.
        hidden: Width of the perceptron's hidden layer.
        dropout: Share of values left out in training.
        left_out: Probability that a modality is left out of an item in training.
        noise: Standard deviation of noise added to standardised inputs in training.
        clip: Greatest standardised input, both signs.
    """

    width: int = 64
    hidden: int = 96
    dropout: float = 0.3
    left_out: float = 0.4
    noise: float = 0.3
    clip: float = 4.0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides the result.

    Attributes:
        train, validation, held_out: Items of each set.
        seed: Seed of the items.
        net: Network.
        fit: Loop.
        cards: Where the weight is written.
        cache: Where vectors are kept.
    """

    train: int = 2600
    validation: int = 390
    held_out: int = 780
    seed: int = 23
    net: Net = field(default_factory=Net)
    fit: Fit = field(default_factory=Fit)
    cards: Path = CARDS
    cache: Path = CACHE

    @classmethod
    def debug(cls, cards: Path, cache: Path) -> Config:
        """Runs in seconds, teaches nothing."""
        return cls(26, 13, 13, net=Net(width=8, hidden=8), fit=Fit(epochs=2), cards=cards, cache=cache)


class FusionNet(Trainable):
    """Joined parts [B, 1864], each of norm 1 or all zero -> probabilities [B, 13], all zero without a known part."""

    mean: Tensor
    std: Tensor
    temperature: Tensor
    gates: Tensor

    def __init__(self, config: Net, mean: Tensor, std: Tensor, kinds: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in GATED:
            self.register_buffer(f"{name}_kinds", kinds[name])  # [K, D], norm 1
        self.register_buffer("gates", torch.full((len(GATED),), -2.0))
        self.config = config
        self.register_buffer("mean", mean)  # [1864]
        self.register_buffer("std", std)  # [1864]
        self.register_buffer("temperature", torch.ones(()))
        self.projections = nn.ModuleList(nn.Linear(length, config.width) for length in PARTS.values())
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Sequential(
            nn.Linear(config.width, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, len(CLASSES)),
        )
        self.drop = nn.Dropout(config.dropout)

    def logits(self, parts: Tensor) -> Tensor:
        """Uncalibrated logits [B, 13]."""
        pieces = parts.split(tuple(PARTS.values()), dim=1)  # 3 of [B, D]
        present = torch.stack([(piece != 0).any(dim=1).float() for piece in pieces], dim=1)  # [B, 3]
        inputs = ((parts - self.mean) / self.std).clamp(-self.config.clip, self.config.clip)  # [B, 1864]
        if self.training:
            inputs = inputs + self.config.noise * torch.randn_like(inputs)  # [B, 1864]
        standard = inputs.split(tuple(PARTS.values()), dim=1)  # 3 of [B, D]
        tokens = torch.stack(
            [nn.functional.gelu(project(self.drop(x))) for project, x in zip(self.projections, standard, strict=True)],
            dim=1,
        )  # [B, 3, W]
        attention = self.query(tokens) @ self.key(tokens).transpose(1, 2) * self.config.width**-0.5  # [B, 3, 3]
        weights = torch.softmax(attention + (present[:, None, :] - 1.0) * 1e4, dim=-1)  # [B, 3, 3]
        mixed = self.norm(tokens + weights @ self.value(tokens))  # [B, 3, W]
        share = present / present.sum(dim=1, keepdim=True).clamp_min(1.0)  # [B, 3]
        return self.head((mixed * share[:, :, None]).sum(dim=1))  # [B, 13]

    def similarity(self, parts: Tensor) -> Tensor:
        """Greatest cosine of each gated part with a known kind [B, 2]; 0 for an absent part."""
        pieces = parts.split(tuple(PARTS.values()), dim=1)  # 3 of [B, D]
        kinds = (getattr(self, f"{name}_kinds") for name in GATED)
        return torch.stack([(x @ kind.T).amax(dim=1) for x, kind in zip(pieces, kinds, strict=False)], dim=1)

    def forward(self, parts: Tensor) -> Tensor:
        known = (self.similarity(parts) >= self.gates).float()  # [B, 2]
        pieces = parts.split(tuple(PARTS.values()), dim=1)  # 3 of [B, D]
        kept = torch.cat([pieces[0] * known[:, :1], pieces[1] * known[:, 1:], pieces[2]], dim=1)  # [B, 1864]
        some = (kept != 0).any(dim=1, keepdim=True).float()  # [B, 1]
        return torch.softmax(self.logits(kept) / self.temperature, dim=-1) * some  # [B, 13]

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        if self.training:
            inputs = self.leave_out(inputs)  # [B, 1864]
        return nn.functional.cross_entropy(self.logits(inputs), labels)

    def leave_out(self, parts: Tensor) -> Tensor:
        """Parts [B, 1864] with modalities set to zero at random, at least one of each item kept."""
        rows = torch.arange(len(parts))
        keep = torch.rand(len(parts), len(PARTS)) >= self.config.left_out  # [B, 3]
        keep[rows, torch.randint(len(PARTS), (len(parts),))] = True
        lengths = torch.tensor(list(PARTS.values()))
        return parts * keep.float().repeat_interleave(lengths, dim=1)  # [B, 1864]


def only(parts: Matrix, names: tuple[str, ...]) -> Matrix:
    """Joined parts [N, 1864] with every modality but ``names`` set to zero."""
    result = np.zeros_like(parts)
    start = 0
    for name, length in PARTS.items():
        if name in names:
            result[:, start : start + length] = parts[:, start : start + length]
        start += length
    return result


def run(config: Config, watch_items: Callable[[int], None], watch_passes: Callable[[int, float, float], None]) -> Card:
    """Makes items, encodes them, trains, judges, exports.

    Args:
        config: Everything that decides the result.
        watch_items: Hears how many more vectors are made (three for an item).
        watch_passes: Hears number, training and validation loss of each pass.
    """
    counts = {"train": config.train, "validation": config.validation, "held_out": config.held_out}
    clips = {
        "train": generate("train", config.train, config.seed),
        "validation": generate("validation", config.validation, config.seed),
        "held_out": generate("held_out", config.held_out, config.seed),
    }
    encode = _encoders(config, watch_items)
    parts = {name: encode(clips[name], f"{name}/{counts[name]}/{config.seed}") for name in counts}
    labels = {name: np.array([CLASSES.index(clip.label) for clip in clips[name]]) for name in counts}
    kinds = {name: kind_means(parts["train"], [getattr(clip, name) for clip in clips["train"]], name) for name in GATED}
    module, report = train_and_judge(config, parts, labels, kinds, watch_passes)
    save(module, config.cache / f"{WEIGHTS}-{VERSION}.safetensors")
    examples = parts["held_out"][: len(CLASSES)].copy()
    return write(module, _head(config, report), examples, report, config.cards)


def kind_means(parts: Matrix, kinds: Sequence[str], name: str) -> Tensor:
    """Mean direction of each kind of a part: joined parts [N, 1864] and N kinds -> [K, D], norm 1."""
    start = sum(length for part, length in PARTS.items() if list(PARTS).index(part) < list(PARTS).index(name))
    vectors = parts[:, start : start + PARTS[name]]  # [N, D]
    named = np.array(kinds)
    means = np.stack([vectors[named == kind].mean(axis=0) for kind in sorted(set(kinds))])  # [K, D]
    return torch.from_numpy((means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32))


def _encoders(config: Config, watch: Callable[[int], None]) -> Callable[[list[Clip], str], Matrix]:
    """A function from items and a name of their set to joined parts, float32 [N, 1864]."""
    audio = load_session(load(WEIGHTS_MSD))
    image = ImageEncoder()
    text = TextEncoder()

    def sound(clip: Clip) -> Matrix:
        hidden = audio.run(logmel=patches(logmel(clip.sound())))["embedding"].mean(axis=0)
        return hidden / np.linalg.norm(hidden)

    def encode(clips: list[Clip], name: str) -> Matrix:
        seeds = [_MATERIAL, name, *(f"{clip.audio}{clip.image}{clip.seed}" for clip in clips)]
        count = len(clips)

        def by(one: Callable[[list[Clip]], Matrix]) -> Callable[[], Matrix]:
            return lambda: in_blocks(count, 16, lambda first, last: one(clips[first:last]), watch)

        heard = by(lambda block: np.stack([sound(clip) for clip in block]))
        seen = by(lambda block: np.stack([image.pool(clip.picture()[None]) for clip in block]))
        read = by(lambda block: text.encode([clip.text for clip in block], "passage"))
        texts = [clip.text for clip in clips]
        return np.concatenate(
            [
                cached([audio.weights.label, *seeds], config.cache, heard),
                cached([image.version, *seeds], config.cache, seen),
                cached([text.version, "passage", *texts], config.cache, read),
            ],
            axis=1,
        )

    return encode


def train_and_judge(
    config: Config,
    parts: Mapping[str, Matrix],
    labels: Mapping[str, NDArray[np.int64]],
    kinds: Mapping[str, Tensor],
    watch: Callable[[int, float, float], None],
) -> tuple[FusionNet, dict[str, Any]]:
    """The fusion network, and its figures beside those of networks that see one modality only."""
    fusion = _trained(config, parts, labels, kinds, watch)
    unseen, truth = parts["held_out"], labels["held_out"]

    def figures(net: FusionNet, inputs: Matrix) -> dict[str, Any]:
        with torch.no_grad():
            scores = net(torch.from_numpy(inputs)).numpy()  # [N, 13]
        # no known part: no answer, which is never right
        answer = np.where(scores.sum(axis=1) > 0.5, scores.argmax(axis=1), -1)  # [N]
        return evaluate(truth, answer, CLASSES).summary()

    def brief(net: FusionNet, inputs: Matrix) -> dict[str, Any]:
        return {key: value for key, value in figures(net, inputs).items() if key != "classes"}

    alone = {}
    for name in PARTS:
        masked = {split: only(values, (name,)) for split, values in parts.items()}
        single = replace(config, net=replace(config.net, left_out=0.0))
        alone[name] = brief(_trained(single, masked, labels, kinds, lambda *_: None), masked["held_out"])
    base = evaluate(truth, majority(labels["train"], len(truth)), CLASSES)
    dropped = {name: only(unseen, tuple(part for part in PARTS if part != name)) for name in PARTS}
    report = {
        "items": len(truth),
        "fusion": figures(fusion, unseen),
        "single_modality_trained_alone": alone,
        "baseline_majority": {"accuracy": round(base.accuracy, 3), "macro_f1": round(base.macro_f1, 3)},
        "fusion_without": {name: brief(fusion, inputs) for name, inputs in dropped.items()},
        "fusion_with_only": {name: brief(fusion, only(unseen, (name,))) for name in PARTS},
        "training": {
            "temperature": round(float(fusion.temperature), 3),
            "gates": dict(zip(GATED, (round(float(gate), 3) for gate in fusion.gates), strict=True)),
        },
        "out_of_domain": OUT_OF_DOMAIN,
    }
    return fusion, report


def _incomplete(parts: Matrix, labels: NDArray[np.int64]) -> Examples:
    """Items in every state that training makes of them: complete (thrice), without one part, with one only."""
    subsets = [names for size in (1, 2, 3, 3, 3) for names in itertools.combinations(PARTS, size)]
    masked = [only(parts, names) for names in subsets]
    # a network of one modality is checked on that one
    kept = [(rows[present], labels[present]) for rows in masked if (present := rows.any(axis=1)).any()]
    return Examples(
        torch.from_numpy(np.concatenate([rows for rows, _ in kept])),
        torch.from_numpy(np.concatenate([truth for _, truth in kept])),
    )


def _trained(
    config: Config,
    parts: Mapping[str, Matrix],
    labels: Mapping[str, NDArray[np.int64]],
    kinds: Mapping[str, Tensor],
    watch: Callable[[int, float, float], None],
) -> FusionNet:
    seed_everything(config.fit.seed)
    train = Examples(torch.from_numpy(parts["train"]), torch.from_numpy(labels["train"]))
    whole = torch.from_numpy(parts["validation"])  # [N, 1864]
    validation = _incomplete(parts["validation"], labels["validation"])
    std = train.inputs.std(dim=0) + 1e-6  # [1864]
    net = FusionNet(config.net, train.inputs.mean(dim=0), std, kinds)
    fit(net, train, validation, config.fit, watch)
    with torch.no_grad():
        net.temperature.fill_(temperature(net.logits(validation.inputs), validation.labels))
        usual = torch.quantile(net.similarity(whole), GATE_PERCENTILE / 100.0, dim=0)  # [2]
        net.gates.copy_(usual - GATE_MARGIN)
    return net


def _head(config: Config, report: Mapping[str, Any]) -> Head:
    alone, without = report["single_modality_trained_alone"], report["fusion_without"]
    singles = ", ".join(f"{name} {figures['accuracy']}" for name, figures in alone.items())
    drops = ", ".join(f"without {name} {figures['accuracy']}" for name, figures in without.items())
    return Head(
        name=WEIGHTS,
        version=VERSION,
        summary="Vectors of sound, picture and text of an item to the probability of 13 classes.",
        training_data=(
            f"{config.train} items made by this project: synthesised sounds, drawings, template captions "
            "(models/training/material), through musicnn-msd (whose own training data is for research), "
            "efficientnet-lite0 and multilingual-e5-small"
        ),
        non_commercial=True,
        quality=(
            f"On {report['items']} made items of parameters, templates and words never seen in training: accuracy "
            f"{report['fusion']['accuracy']}, macro F1 {report['fusion']['macro_f1']}; networks that see one "
            f"modality: {singles}; majority {report['baseline_majority']['accuracy']}; fusion {drops}. Per class: "
            f"evaluation.json. {OUT_OF_DOMAIN}"
        ).strip(),
        input="parts",
        width=WIDTH,
        output="probabilities",
        described=(
            "parts float32 [N, 1864]: sound 200, picture 1280, text 384, each of norm 1, or all zero when absent",
            f"probabilities float32 [N, {len(CLASSES)}], sum 1 or all zero if nothing is known: {', '.join(CLASSES)}",
        ),
    )
