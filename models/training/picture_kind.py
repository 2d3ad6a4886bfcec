"""Trains ``models.picture_kind``: photograph, drawing, screenshot, statue or photograph of a screen.

A perceptron over the frozen features of ``models.image_embedding`` and ``models.picture_statistics``. Everything but
the photographs is made (``models.training.material``), of photographs of real persons; styles, layouts, stones, rasters
and photographs of the evaluation are others than those of the training. What the detector says of faces is left out of
some samples, so that nothing is a drawing only because no face was found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from models.face_crop import side
from models.face_detection import FaceDetector
from models.image_embedding import DIM, ImageEncoder
from models.picture_kind import KINDS, WEIGHTS, WIDTH, features
from models.portrait_faces import find
from models.training.encoding import CACHE, cached, in_blocks
from models.training.evaluation import evaluate
from models.training.export import Head, write
from models.training.face_occlusion import FOLDER, HELD_OUT, TRAIN
from models.training.face_pictures import Photo, photos
from models.training.loop import Examples, Fit, Trainable, fit, save, seed_everything, temperature
from models.training.material.made_pictures import drawing, statue
from models.training.material.occluders import photographed
from models.training.material.screens import rephotographed, screenshot
from models.training.material.sounds import Range
from models.weights import CARDS, Card

VERSION = "1.0"
_MATERIAL = "kinds-2"
"""Raise it when the material changes: kept features are then made anew."""
PHOTOS = 4
"""Of ten samples so many are photographs; the other kinds take turns."""
SURE = (0.5, 0.85)
"""Probabilities at which a photograph taken for something else is counted."""

Picture = NDArray[np.uint8]
Random = np.random.Generator
Matrix = NDArray[np.float32]

_MAKERS: dict[str, Callable[[Picture, Range, Random], Picture]] = {
    "drawing": drawing,
    "screenshot": screenshot,
    "statue": statue,
    "screen": rephotographed,
}


@dataclass(frozen=True, slots=True)
class Net:
    """Shape of the network.

    Attributes:
        hidden: Width of the hidden layer.
        dropout: Share of values left out in training.
        noise: Standard deviation of noise added to standardised inputs in training.
        clip: Greatest standardised input, both signs.
        no_face: Share of samples that are told of no face in training.
        photo: Weight of a photograph in the loss: to take one for something else is the worse mistake.
    """

    hidden: int = 48
    dropout: float = 0.4
    noise: float = 0.3
    clip: float = 4.0
    no_face: float = 0.3
    photo: float = 3.0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides the result.

    Attributes:
        train, validation, held_out: Samples of each set.
        seed: Seed of the samples.
        faces: Folder of photographs of real persons.
        net: Network.
        fit: Loop.
        cards: Where the weight is written.
        cache: Where features and a checkpoint are kept.
    """

    train: int = 3000
    validation: int = 300
    held_out: int = 1000
    seed: int = 41
    faces: Path = FOLDER
    net: Net = field(default_factory=Net)
    fit: Fit = field(default_factory=lambda: Fit(epochs=60, patience=12))
    cards: Path = CARDS
    cache: Path = CACHE

    @classmethod
    def debug(cls, cards: Path, cache: Path) -> Config:
        """Runs in seconds, teaches nothing."""
        return cls(20, 10, 20, net=Net(hidden=4), fit=Fit(epochs=1), cards=cards, cache=cache)


class KindNet(Trainable):
    """Features [B, 1309] -> probabilities [B, 5]."""

    mean: Tensor
    std: Tensor
    temperature: Tensor
    weights: Tensor

    def __init__(self, config: Net, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", mean)  # [1309]
        self.register_buffer("std", std)  # [1309]
        self.register_buffer("temperature", torch.ones(()))
        weights = [config.photo if kind == "photo" else 1.0 for kind in KINDS]
        self.register_buffer("weights", torch.tensor(weights))  # [5]
        self.layers = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(WIDTH, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, len(KINDS)),
        )

    def logits(self, inputs: Tensor) -> Tensor:
        """Uncalibrated logits [B, 5]."""
        standard = ((inputs - self.mean) / self.std).clamp(-self.config.clip, self.config.clip)  # [B, 1309]
        if self.training:
            standard = standard + self.config.noise * torch.randn_like(standard)  # [B, 1309]
        return self.layers(standard)  # [B, 5]

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.softmax(self.logits(inputs) / self.temperature, dim=-1)  # [B, 5]

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        if self.training:
            told = (torch.rand(len(inputs), 1) >= self.config.no_face).float()  # [B, 1]
            inputs = torch.cat([inputs[:, :-4], inputs[:, -4:] * told], dim=1)  # [B, 1309]
        return nn.functional.cross_entropy(self.logits(inputs), labels, self.weights)


def run(config: Config, watch_items: Callable[[int], None], watch_passes: Callable[[int, float, float], None]) -> Card:
    """Makes pictures, encodes them, trains, judges, exports.

    Args:
        config: Everything that decides the result.
        watch_items: Hears how many more pictures are encoded.
        watch_passes: Hears number, training and validation loss of each pass.

    Raises:
        MaterialError: No photographs of persons.
    """
    scenes = [Photo(f"scikit-learn {number}", image, ()) for number, image in enumerate(load_sample_images().images)]
    known, unknown = [*photos(config.faces, TRAIN), *scenes], photos(config.faces, HELD_OUT)
    encoder, detector = ImageEncoder(), FaceDetector()

    def encoded(found: list[Photo], count: int, where: Range, number: int) -> Examples:
        def one(first: int, last: int) -> Matrix:
            made = [picture(found, each, where, config.seed, number) for each in range(first, last)]
            return np.stack([features(encoder, image, find(detector, image)) for image in made])

        key = [_MATERIAL, encoder.version, f"{config.seed}/{number}/{count}", *(photo.name for photo in found)]
        inputs = cached(key, config.cache, lambda: in_blocks(count, 16, one, watch_items))
        labels = np.array([KINDS.index(kind_of(each)) for each in range(count)])
        return Examples(torch.from_numpy(inputs), torch.from_numpy(labels))

    train = encoded(known, config.train, "seen", 0)
    validation = encoded(known, config.validation, "seen", 1)
    held_out = encoded(unknown, config.held_out, "unseen", 2)
    seed_everything(config.fit.seed)
    net = KindNet(config.net, train.inputs.mean(dim=0), train.inputs.std(dim=0) + 1e-3)
    fit(net, train, validation, config.fit, watch_passes)
    with torch.no_grad():
        net.temperature.fill_(temperature(net.logits(validation.inputs), validation.labels))
    save(net, config.cache / f"{WEIGHTS}-{VERSION}.safetensors")
    report = {"photographs": {"trained_on": len(known), "held_out": len(unknown)}, **judge(net, held_out)}
    random = np.random.default_rng(config.seed)
    spread = random.normal(0, 1, (4, WIDTH)).astype(np.float32)
    examples = (net.mean.numpy() + spread * net.std.numpy()).astype(np.float32)
    return write(net, _head(config, report), examples, report, config.cards)


def kind_of(number: int) -> str:
    """Kind of the sample of that number."""
    turn = number % 10
    return "photo" if turn < PHOTOS else KINDS[1 + (number // 10 * (10 - PHOTOS) + turn - PHOTOS) % 4]


def picture(found: list[Photo], number: int, where: Range, seed: int, split: int) -> Picture:
    """One sample: uint8 [H, W, 3]. The same arguments always give the same picture."""
    random = np.random.default_rng([seed, split, number])
    kind = kind_of(number)
    photo = cut(found[random.integers(len(found))], random)
    if kind == "photo":
        return photographed(photo.astype(np.float32), random)
    made = _MAKERS[kind](photo, where, random)
    if kind in {"statue", "screen"}:
        return photographed(made.astype(np.float32), random) if random.random() < 0.5 else made
    if random.random() < 0.3:
        scale = float(random.uniform(0.5, 1.0))
        made = cv2.resize(made, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if random.random() < 0.6:
        quality = int(random.integers(50, 96))
        made = cv2.imdecode(cv2.imencode(".jpg", made, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return made


def cut(photo: Photo, random: Random) -> Picture:
    """Part of a photograph, most often round a face, 160 to 420 px long."""
    height, width = photo.image.shape[:2]
    length = float(random.uniform(0.25, 1.0)) * min(height, width)
    centre = random.uniform(0, 1, 2) * (width, height)
    if photo.faces and random.random() < 0.75:
        face = photo.faces[random.integers(len(photo.faces))]
        length = min(float(random.uniform(1.2, 4.0)) * side(face), min(height, width))
        centre = np.array([face.x + face.width / 2, face.y + face.height / 2]) + random.normal(0, 0.1, 2) * length
    tall = length * float(random.uniform(0.8, 1.25))
    left = int(np.clip(centre[0] - length / 2, 0, max(0.0, width - length)))
    top = int(np.clip(centre[1] - tall / 2, 0, max(0.0, height - tall)))
    part = photo.image[top : top + round(tall), left : left + round(length)]
    scale = float(random.uniform(160, 420)) / max(part.shape[:2])
    size = (max(8, round(part.shape[1] * scale)), max(8, round(part.shape[0] * scale)))
    seen = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC)
    return np.ascontiguousarray(seen[:, ::-1]) if random.random() < 0.5 else seen


def judge(net: KindNet, examples: Examples) -> dict[str, Any]:
    """Figures on samples of known kinds."""
    with torch.no_grad():
        told = net(examples.inputs).numpy()  # [N, 5]
    truth = examples.labels.numpy()
    bare = told[truth == 0]
    taken = {
        kind: {f"at_{level}": round(float((bare[:, number] >= level).mean()), 4) for level in SURE}
        for number, kind in enumerate(KINDS)
        if number
    }
    return {
        "samples": len(truth),
        **evaluate(truth, told.argmax(axis=1), KINDS).summary(),
        "photographs_taken_for": taken,
        "temperature": round(float(net.temperature), 3),
    }


def _head(config: Config, report: dict[str, Any]) -> Head:
    recalls = ", ".join(f"{kind} {figures['recall']}" for kind, figures in report["classes"].items())
    return Head(
        name=WEIGHTS,
        version=VERSION,
        summary="Features of a picture to the probability of photograph, drawing, screenshot, statue and screen.",
        training_data=(
            f"{config.train} pictures: parts of {report['photographs']['trained_on']} photographs ({', '.join(TRAIN)} "
            "of infra.demo.faces and two scenes of scikit-learn; their licences differ or are unsaid, none is passed "
            "on), and drawings, screenshots, statues and photographs of screens made of them or freely "
            "(models/training/material)"
        ),
        non_commercial=False,
        quality=(
            f"On {report['samples']} pictures of other photographs, styles, layouts, stones and rasters: accuracy "
            f"{report['accuracy']}, recall {recalls}; photographs taken for something else, by the probability: "
            f"{report['photographs_taken_for']}. No real drawing, screenshot, statue or photograph of a screen was in "
            "it: what it does on real ones is not verified. Black-and-white photographs are near to statues."
        ),
        input="features",
        width=WIDTH,
        output="probabilities",
        described=(
            f"features float32 [N, {WIDTH}]: {DIM} of efficientnet-lite0, then those of models.picture_statistics",
            f"probabilities float32 [N, {len(KINDS)}], sum 1: {', '.join(KINDS)}",
        ),
    )
