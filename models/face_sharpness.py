"""How sharp a face is: the blur of its strongest edges, as a share of its side.

An edge that a Gaussian of ``s`` pixels has blurred has, seen through Gaussians of ``a`` and ``b`` pixels, gradients in
the ratio R = sqrt((s^2 + b^2) / (s^2 + a^2)), whatever its contrast; so s follows from R (Elder & Zucker 1998, "Local
scale control for edge detection and blur estimation"; Zhuo & Sim 2011). Here R is that of the gradient energies over
the strongest edges of the face, less the energy that its noise alone would have (its level: Immerkaer 1996, over the
calmest blocks), so that noise does not look like sharpness. Two pairs of scales are asked, and the coarser one is
believed the more, the stronger the noise is. Eyes and lips are no steps: what a sharp face reads is taken off,
``NATURAL``.

The score is the product of three shares:

* the contrast that detail of ``CYCLES`` cycles across the face keeps under such a blur, exp(-2 pi^2 s^2 f^2). People
  need about 8 to 16 cycles a face to know somebody (Costen, Parker & Craw 1996; Nasanen 1999),
* what noise leaves to be seen, 1 / (1 + (n / c)^2), n its level and c half the standard deviation of the face,
* what the blocks of strong JPEG compression leave; their edges are sharp, and cost up to ``BLOCKS_COST``. They are seen
  only where the picture was not resized after its compression.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_crop import oval, side, square
from models.face_detection import Face

SIDE = 160
"""A longer face is brought down to this side, px: finer detail says nothing of a person."""
LEAST_SIDE = 24
"""A shorter face has no edges to judge, px: its sharpness is 0."""
CYCLES = 12.0
NATURAL = 0.0118
"""What a sharp face reads, as a share of its side. Taken off, so that generated blurs of 0.01 to 0.05 of the side are
read right within a tenth, in the median of 43 faces of packaged pictures."""
SCALES = ((1.0, 2.0), (2.0, 4.0))
"""The two pairs of Gaussians, px."""
EDGES = 0.08
"""Share of the oval that is judged: its strongest edges."""
NOISE_RATIO = 50.0
"""Energy of the edges over that of the noise at which the finer pair loses half its say."""
NOISE_SHARE = 0.5
"""Noise over the standard deviation of the face at which half of its detail is lost in it."""
CALM = 0.3
"""Quantile of the blocks by which the noise is told."""
BLOCK = 8
BLOCKS_FROM, BLOCKS_TO, BLOCKS_COST = 3.5, 7.0, 0.75
"""Steps at the JPEG grid over steps elsewhere: from where they cost, where they cost all, and how much that is."""

_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) * np.float32(math.sqrt(math.pi / 2) / 6)
_MOST = 0.25
_CALM_STEP = 0.3

Grey = NDArray[np.float32]


def sharpness(image: NDArray[np.uint8], face: Face) -> float:
    """0..1; see the module.

    Args:
        image: uint8 [H, W, 3], RGB.
        face: A face of it.
    """
    if side(face) < LEAST_SIDE:
        return 0.0
    grey = _grey(image, face)
    inside = oval(grey.shape[0])
    noise = _noise(grey, inside)
    kept = math.exp(-2.0 * (math.pi * CYCLES * _blur(grey, inside, noise)) ** 2)
    visible = 1.0 / (1.0 + (noise / max(NOISE_SHARE * float(grey[inside].std()), 0.5)) ** 2)
    lost = min(1.0, max(0.0, (blocks(image, face) - BLOCKS_FROM) / (BLOCKS_TO - BLOCKS_FROM)))
    return kept * visible * (1.0 - BLOCKS_COST * lost)


def blur(image: NDArray[np.uint8], face: Face) -> float:
    """Standard deviation of the Gaussian that the face was blurred with, as a share of its side: 0..0.25."""
    grey = _grey(image, face)
    inside = oval(grey.shape[0])
    return _blur(grey, inside, _noise(grey, inside))


def _grey(image: NDArray[np.uint8], face: Face) -> Grey:
    return np.asarray(cv2.cvtColor(square(image, face, SIDE), cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _blur(grey: Grey, inside: NDArray[np.bool_], noise: float) -> float:
    energies = {scale: _energy(grey, scale) for scale in {scale for pair in SCALES for scale in pair}}
    fine, coarse = (_sigma(energies, pair, inside, noise) for pair in SCALES)
    edges = float(energies[SCALES[0][0]][_strongest(energies[SCALES[0][1]], inside)].mean())
    ratio = edges / max(noise**2 * _gain(SCALES[0][0]), 1e-9)
    trust = 0.5 * ratio / (ratio + NOISE_RATIO)
    read = (trust * fine + (1.0 - trust) * coarse) / grey.shape[0]
    return math.sqrt(min(max(read**2 - NATURAL**2, 0.0), _MOST**2))


def blocks(image: NDArray[np.uint8], face: Face) -> float:
    """Steps at the lines of the JPEG grid over those between them: about 1 to 3 without visible blocks."""
    left, top = max(0, int(face.x)), max(0, int(face.y))
    cut = image[top : int(face.y + face.height), left : int(face.x + face.width)]
    if min(cut.shape[:2]) < 3 * BLOCK:
        return 1.0
    grey = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY).astype(np.float32)
    profile = (_steps(grey, left) + _steps(grey.T, top)) / 2.0
    return float(profile[0] / (np.median(profile) + _CALM_STEP))


def _steps(grey: Grey, first: int) -> NDArray[np.float64]:
    """Mean bend of the rows by place in the grid, [8]; ``first`` is the picture's column of the first."""
    change = np.diff(grey, axis=1)
    bend = np.abs(change[:, 1:-1] - (change[:, :-2] + change[:, 2:]) / 2.0).mean(axis=0)
    place = (np.arange(bend.size) + 2 + first) % BLOCK
    return np.array([bend[place == each].mean() for each in range(BLOCK)])


def _energy(grey: Grey, scale: float) -> Grey:
    """Squared gradient through a Gaussian of ``scale`` px."""
    soft = cv2.GaussianBlur(grey, (0, 0), scale)
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    along = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    energy: Grey = across * across + along * along
    return energy


@cache
def _gain(scale: float) -> float:
    """``_energy`` of white noise of variance 1: that of a single point, summed."""
    point = np.zeros((65, 65), np.float32)
    point[32, 32] = 1.0
    return float(_energy(point, scale).sum())


def _strongest(energy: Grey, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = inside & (energy >= np.quantile(energy[inside], 1.0 - EDGES))
    return found


def _sigma(energies: dict[float, Grey], pair: tuple[float, float], inside: NDArray[np.bool_], noise: float) -> float:
    """Blur of the strongest edges by one pair of scales, px."""
    small, large = pair
    edges = _strongest(energies[large], inside)
    sharp = float(energies[small][edges].mean()) - noise**2 * _gain(small)
    soft = float(energies[large][edges].mean()) - noise**2 * _gain(large)
    ratio = min(max(sharp / max(soft, 1e-6), 1.0 + 1e-3), (large / small) ** 2)
    return math.sqrt(max(large**2 - ratio * small**2, 0.0) / (ratio - 1.0))


def _noise(grey: Grey, inside: NDArray[np.bool_]) -> float:
    """Standard deviation of the noise, grey levels, by the calmest blocks of the face."""
    count = grey.shape[0] // BLOCK
    rest = np.abs(cv2.filter2D(grey, cv2.CV_32F, _NOISE))[: count * BLOCK, : count * BLOCK]
    mean = rest.reshape(count, BLOCK, count, BLOCK).mean(axis=(1, 3))
    filled = inside[: count * BLOCK, : count * BLOCK].reshape(count, BLOCK, count, BLOCK).mean(axis=(1, 3)) > 0.5
    return float(np.quantile(mean[filled], CALM))
