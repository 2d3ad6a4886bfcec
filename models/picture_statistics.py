"""Plain numbers that tell photographs from pictures that were made: colours, flat areas, edges, grain, rasters.

All come from the picture at most ``SIDE`` pixels long, but for the rasters, whose lines are finer: these are looked for
in the middle of the picture as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_crop import side, square
from models.face_detection import Face

VERSION = "1"
SIDE = 224
RASTER_SIDE = 320
NAMES = (
    "colours", "commonest colour", "commonest 8 colours", "white", "black", "luma entropy",
    "flat", "nearly flat", "even rows", "even columns",
    "edges", "edges along axes", "edge sparsity", "grain", "calm grain", "fine over coarse",
    "saturation", "saturation spread", "grey", "hue entropy", "one tint",
    "raster peak", "raster peaks", "raster across", "raster along",
    "has face", "face share", "face saturation", "face grain",
)  # fmt: skip
"""What ``statistics`` gives, in order."""

_PEAK_FROM = 0.06
_GRAIN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0

Grey = NDArray[np.float32]


def statistics(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.float32]:
    """The numbers of one picture, each of about -10..10.

    Args:
        image: uint8 [H, W, 3], RGB.
        faces: Its faces, best first; may be none.

    Returns:
        float32 [29], in the order of ``NAMES``.
    """
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = (max(8, round(image.shape[1] * scale)), max(8, round(image.shape[0] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    values = [
        *_colours(small, grey),
        *_flatness(grey),
        *_edges(grey.astype(np.float32)),
        *_chroma(small),
        *_raster(image),
        *_face(image, faces),
    ]
    return np.array(values, dtype=np.float32)


def _colours(small: NDArray[np.uint8], grey: NDArray[np.uint8]) -> list[float]:
    reduced = (small >> 3).astype(np.int32)
    counts = np.bincount(((reduced[..., 0] << 10) | (reduced[..., 1] << 5) | reduced[..., 2]).ravel())
    counts = np.sort(counts[counts > 0])[::-1]
    share = counts / counts.sum()
    luma = np.bincount(grey.ravel(), minlength=256) / grey.size
    return [
        float(np.log10(len(counts))),
        float(share[0]),
        float(share[:8].sum()),
        float(luma[250:].sum()),
        float(luma[:6].sum()),
        _entropy(luma),
    ]


def _flatness(grey: NDArray[np.uint8]) -> list[float]:
    level = grey.astype(np.int16)
    across = np.abs(np.diff(level, axis=1))[:-1]
    along = np.abs(np.diff(level, axis=0))[:, :-1]
    change = np.maximum(across, along)
    return [
        float((change == 0).mean()),
        float((change <= 2).mean()),
        float((level.std(axis=1) < 2.0).mean()),
        float((level.std(axis=0) < 2.0).mean()),
    ]


def _edges(grey: Grey) -> list[float]:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    along = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    size = cv2.magnitude(across, along)
    strong = size > 12.0
    steep, gentle = np.abs(across[strong]), np.abs(along[strong])
    straight = (np.minimum(steep, gentle) < 0.05 * np.maximum(steep, gentle)).mean() if strong.any() else 0.0
    grain = np.abs(cv2.filter2D(grey, cv2.CV_32F, _GRAIN))
    soft = cv2.GaussianBlur(grey, (0, 0), 2.0)
    coarse = cv2.magnitude(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)) / 8.0
    return [
        float(strong.mean()),
        float(straight),
        float(np.log1p(size.std() / max(float(size.mean()), 0.1))),
        float(np.log1p(grain.mean())),
        float(np.log1p(np.quantile(grain, 0.3))),
        float(np.log(max(float(size.mean()), 0.05) / max(float(coarse.mean()), 0.05))),
    ]


def _chroma(small: NDArray[np.uint8]) -> list[float]:
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    a, b = lab[..., 1] - 128.0, lab[..., 2] - 128.0
    strength = cv2.magnitude(a, b)
    weight = float(strength.sum())
    hue = np.floor((np.arctan2(b, a) / (2 * np.pi) + 0.5) * 23.999).astype(np.int32)
    hues = np.bincount(hue.ravel(), weights=strength.ravel(), minlength=24) / max(weight, 1.0)
    one = float(np.hypot(a.sum(), b.sum())) / max(weight, 1.0)
    return [
        float(strength.mean()) / 20.0,
        float(strength.std()) / 20.0,
        float((strength < 4.0).mean()),
        _entropy(hues),
        one,
    ]


def _raster(image: NDArray[np.uint8]) -> list[float]:
    """Regular fine lines: how far single frequencies rise over those around them, natural logarithms."""
    height, width = image.shape[:2]
    length = min(RASTER_SIDE, height, width)
    if length < 32:
        return [0.0, 0.0, 0.0, 0.0]
    length -= length % 2
    top, left = (height - length) // 2, (width - length) // 2
    cut = cv2.cvtColor(image[top : top + length, left : left + length], cv2.COLOR_RGB2GRAY).astype(np.float32)
    window = np.hanning(length).astype(np.float32)
    spectrum = np.log(np.abs(np.fft.rfft2((cut - cut.mean()) * window[:, None] * window[None])) + 10.0)
    spectrum = np.fft.fftshift(spectrum, axes=0).astype(np.float32)
    over = spectrum - cv2.blur(spectrum, (15, 15))
    down = (np.arange(length) / length - 0.5)[:, None]
    right = (np.arange(length // 2 + 1) / length)[None]
    # the axes hold the picture's own edges
    fine = (down**2 + right**2 > _PEAK_FROM**2) & (np.abs(down) > 2.5 / length) & (right > 2.5 / length)
    peaks = np.sort(over[fine])[-40:]
    middle = length // 2
    first = round(_PEAK_FROM * length)
    across, along = over[middle, first:], over[: middle - first, 0]
    return [float(peaks[-1]), float(peaks.mean()), float(across.max(initial=0.0)), float(along.max(initial=0.0))]


def _face(image: NDArray[np.uint8], faces: Sequence[Face]) -> list[float]:
    if not faces:
        return [0.0, 0.0, 0.0, 0.0]
    face = max(faces, key=side)
    cut = square(image, face, 96)
    lab = cv2.cvtColor(cut, cv2.COLOR_RGB2LAB).astype(np.float32)
    strength = cv2.magnitude(lab[..., 1] - 128.0, lab[..., 2] - 128.0)
    grain = np.abs(cv2.filter2D(lab[..., 0], cv2.CV_32F, _GRAIN))
    share = min(1.0, side(face) / min(image.shape[:2]))
    return [1.0, share, float(strength.mean()) / 20.0, float(np.log1p(np.median(grain)))]


def _entropy(shares: NDArray[np.floating]) -> float:
    """Bits."""
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())
