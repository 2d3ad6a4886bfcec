"""Trains ``models.face_occlusion``: which cells of a face are covered.

A small encoder-decoder (after U-Net, Ronneberger et al. 2015, arXiv:1505.04597) with one skip; it is told where in the
square it looks. It learns from things drawn over real faces (``models.training.material.occluders``) and is judged on
faces of pictures it has never seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.face_crop import upright
from models.face_occlusion import CELLS, SIDE, WEIGHTS, covered_share
from models.training.encoding import CACHE
from models.training.export import Head, write
from models.training.face_pictures import MaterialError, Photo, photos
from models.training.loop import Examples, Fit, Trainable, fit, save, seed_everything
from models.training.material.occluders import FACE, sample
from models.weights import CARDS, Card

VERSION = "1.0"
FOLDER = Path(".overture/faces/pictures")
TRAIN = ("obama-1", "obama-2", "obama-3", "bus", "group-1", "group-2", "group-3", "group-4", "group-5")
"""Pictures that are learned from, by the beginnings of their names (``infra.demo.faces``)."""
HELD_OUT = ("six-actors", "biden", "zidane", "group-6")
COVERED_FROM = (0.05, 0.1, 0.2, 0.35, 0.65)
"""Bounds of the shares that recall is told for."""
FALSE_ALARMS = 0.02


@dataclass(frozen=True, slots=True)
class Net:
    """Shape of the network.

    Attributes:
        width: Channels of the first layer.
        dropout: Share of channels left out in training.
    """

    width: int = 16
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides the result.

    Attributes:
        train, validation, held_out: Samples of each set.
        seed: Seed of the samples.
        faces: Folder of pictures of real faces.
        net: Network.
        fit: Loop.
        cards: Where the weight is written.
        cache: Where a checkpoint is kept.
    """

    train: int = 30000
    validation: int = 600
    held_out: int = 4000
    seed: int = 31
    faces: Path = FOLDER
    net: Net = field(default_factory=Net)
    fit: Fit = field(default_factory=lambda: Fit(epochs=7, patience=7, learning_rate=3e-3))
    cards: Path = CARDS
    cache: Path = CACHE

    @classmethod
    def debug(cls, cards: Path, cache: Path) -> Config:
        """Runs in seconds, teaches nothing."""
        return cls(64, 32, 64, net=Net(width=4), fit=Fit(epochs=1), cards=cards, cache=cache)


class OcclusionNet(Trainable):
    """Pixels [B, 12288] in 0..255, rows of 64 RGB pixels -> probability of each cell [B, 256]."""

    place: Tensor

    def __init__(self, config: Net) -> None:
        super().__init__()
        half = SIDE // 2
        down, right = torch.meshgrid(torch.linspace(-1, 1, half), torch.linspace(-1, 1, half), indexing="ij")
        self.register_buffer("place", torch.stack([right, down])[None])  # [1, 2, 32, 32]
        width = config.width
        self.first = _layer(3, width, 2)
        self.second = _layer(width + 2, 2 * width, 2)
        self.deep = nn.Sequential(
            _layer(2 * width, 3 * width, 2), _layer(3 * width, 3 * width, 1), _layer(3 * width, 3 * width, 1, 2)
        )
        self.joined = _layer(5 * width, 2 * width, 1)
        self.answer = nn.Conv2d(2 * width, 1, 1)
        self.drop = nn.Dropout2d(config.dropout)

    def logits(self, pixels: Tensor) -> Tensor:
        """Logits of the cells [B, 256]."""
        seen = pixels.reshape(-1, SIDE, SIDE, 3).permute(0, 3, 1, 2) / 255.0  # [B, 3, 64, 64]
        mean = seen.mean(dim=(1, 2, 3), keepdim=True)  # [B, 1, 1, 1]
        spread = ((seen - mean) ** 2).mean(dim=(1, 2, 3), keepdim=True).sqrt() + 0.05  # [B, 1, 1, 1]
        fine = self.first((seen - mean) / spread)  # [B, W, 32, 32]
        place = self.place.expand(pixels.shape[0], -1, -1, -1)  # [B, 2, 32, 32]
        middle = self.second(torch.cat([fine, place], dim=1))  # [B, 2W, 16, 16]
        deep = nn.functional.interpolate(self.deep(middle), scale_factor=2.0, mode="nearest")  # [B, 3W, 16, 16]
        return self.answer(self.joined(self.drop(torch.cat([deep, middle], dim=1)))).flatten(1)  # [B, 256]

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(pixels))  # [B, 256]

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(self.logits(inputs.float()), labels.float() / 255.0)


def _layer(inputs: int, outputs: int, stride: int, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def run(config: Config, watch_items: Callable[[int], None], watch_passes: Callable[[int, float, float], None]) -> Card:
    """Makes samples, trains, judges, exports.

    Args:
        config: Everything that decides the result.
        watch_items: Hears how many more samples are made.
        watch_passes: Hears number, training and validation loss of each pass.

    Raises:
        MaterialError: No pictures of faces.
    """
    known, unknown = _faces(photos(config.faces, TRAIN)), _faces(photos(config.faces, HELD_OUT))
    seed_everything(config.fit.seed)
    net = OcclusionNet(config.net)
    train = _examples(known, config.train, [config.seed, 0], watch_items)
    validation = _examples(known, config.validation, [config.seed, 1], watch_items)
    held_out = _examples(unknown, config.held_out, [config.seed, 2], watch_items)
    fit(net, train, validation, config.fit, watch_passes)
    save(net, config.cache / f"{WEIGHTS}-{VERSION}.safetensors")
    report = {"faces": {"trained_on": len(known), "held_out": len(unknown)}, **judge(net, held_out)}
    # nobody's face: what is compared is kept in the repository
    random = np.random.default_rng(config.seed)
    examples = random.uniform(0, 255, (2, SIDE * SIDE * 3)).astype(np.float32)
    return write(net, _head(config, report), examples, report, config.cards)


def judge(net: OcclusionNet, examples: Examples) -> dict[str, Any]:
    """Figures on samples of which the share of covered cells is known."""
    with torch.no_grad():
        answers = torch.cat([net(block.float()) for block in examples.inputs.split(256)]).numpy()  # [N, 256]
    told = covered_share(answers)
    truth = covered_share(examples.labels.numpy().astype(np.float32) / 255.0)
    bare = told[truth == 0.0]
    alarm = float(np.quantile(bare, 1.0 - FALSE_ALARMS))
    recall = {
        f"{low}-{high}": round(float((told[(truth > low) & (truth <= high)] > alarm).mean()), 3)
        for low, high in itertools.pairwise(COVERED_FROM)
    }
    return {
        "samples": len(truth),
        "mean_absolute_error": round(float(np.abs(told - truth).mean()), 3),
        "bare_faces": {
            "median": round(float(np.median(bare)), 3),
            "share_told_over_0.15": round(float((bare > 0.15).mean()), 3),
            "share_told_over_0.3": round(float((bare > 0.3).mean()), 3),
        },
        "alarm_at_2_percent_false": round(alarm, 3),
        "recall_by_covered_share_at_that_alarm": recall,
    }


def _faces(found: list[Photo]) -> list[NDArray[np.uint8]]:
    """Upright faces, uint8 [160, 160, 3] each."""
    return [upright(photo.image, face, FACE, FACE / 100) for photo in found for face in photo.faces]


def _examples(faces: list[NDArray[np.uint8]], count: int, seed: list[int], watch: Callable[[int], None]) -> Examples:
    if not faces:
        raise MaterialError("the pictures have no face that the detector finds")
    random = np.random.default_rng(seed)
    pixels = np.empty((count, SIDE * SIDE * 3), np.uint8)
    cells = np.empty((count, CELLS * CELLS), np.uint8)
    for number in range(count):
        picture, covered = sample(faces[number % len(faces)], random)
        pixels[number] = picture.ravel()
        cells[number] = np.round(covered.ravel() * 255)
        watch(1)
    return Examples(torch.from_numpy(pixels), torch.from_numpy(cells))


def _head(config: Config, report: dict[str, Any]) -> Head:
    bare = report["bare_faces"]
    return Head(
        name=WEIGHTS,
        version=VERSION,
        summary="An upright face to the probability that each of its 16 x 16 cells is covered.",
        training_data=(
            f"{config.train} pictures made of {report['faces']['trained_on']} faces of the pictures {', '.join(TRAIN)} "
            "(infra.demo.faces; their licences differ or are unsaid, none is passed on) with drawn masks, glasses, "
            "hands, phones and patches over them"
        ),
        non_commercial=False,
        quality=(
            f"On {report['samples']} pictures made of {report['faces']['held_out']} faces of other pictures: mean "
            f"absolute error of the covered share {report['mean_absolute_error']}; bare faces, many of them dark, "
            f"blurred or noisy: median {bare['median']}, over 0.15 in {bare['share_told_over_0.15']}, over 0.3 in "
            f"{bare['share_told_over_0.3']}; recall by covered share at 2 % false alarms: "
            f"{report['recall_by_covered_share_at_that_alarm']}. A photographed mask and other drawn things: "
            "docs/bench/face_degradations.md. Not measured: real hands and glasses, ages and skin tones."
        ),
        input="pixels",
        width=SIDE * SIDE * 3,
        output="covered",
        described=(
            "pixels float32 [N, 12288]: the face upright, 64 x 64 RGB in 0..255, row by row",
            "covered float32 [N, 256]: probability of each of 16 x 16 cells, row by row",
        ),
    )
