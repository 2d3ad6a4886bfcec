"""The face of one picture of a gallery's folder: opened in the sandbox, the one face of it measured and embedded."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_detection import Face, FaceDetector
from models.face_embedding import FaceEmbedder
from models.face_quality import FaceQuality, measure
from models.media.analysis import MediaAnalyser
from models.media.limits import LIMITS, Limits
from processors.runtime.gallery_settings import Gallery
from processors.tools.gallery.folder import Skipped, shown
from schemas.errors import BadMediaError, BugError

Image = NDArray[np.uint8]
CROP_SIDE = 256
"""Pixels of the longer side of a kept picture."""
CROP_MARGIN = 0.4
"""Room around the face, as a share of its size."""
CROP_QUALITY = 82


@dataclass(frozen=True, eq=False, slots=True)
class ReadFace:
    """The face of one picture.

    Attributes:
        person: Whose folder it lies in.
        path: Where the picture lies.
        sha256: Of the file.
        vector: float32 [D], of unit length.
        side_px: Longer side of the face, pixels.
        crop: Small picture of the face, WebP.
    """

    person: str
    path: str
    sha256: str
    vector: NDArray[np.float32]
    side_px: float
    crop: bytes


def limits(settings: Gallery) -> Limits:
    """Limits of the analyser: one frame, large enough for small faces."""
    return replace(LIMITS, frame_long_side=settings.long_side, picture_max_samples=1)


class FaceReader:
    """Reads pictures. May be used by several threads at once.

    Args:
        analyser: Made with `limits`.
        detector: Finds faces.
        embedder: Embeds them.
        settings: What a face must be like.
    """

    def __init__(
        self, analyser: MediaAnalyser, detector: FaceDetector, embedder: FaceEmbedder, settings: Gallery
    ) -> None:
        self._analyser, self._detector, self._embedder, self._settings = analyser, detector, embedder, settings

    def read(self, person: str, path: Path) -> ReadFace | Skipped:
        """The face, or why there is none to be had.

        Raises:
            BugError, UnavailableError: the sandbox fails, whatever the file is.
        """
        try:
            image, sha256 = self._decoded(path)
        except BadMediaError as error:
            return Skipped(shown(path), error.code, str(error))
        except OSError as error:
            return Skipped(shown(path), "unreadable", error.strerror or "")
        faces = sorted(self._detector.detect(image), key=lambda face: -face.width * face.height)
        if problem := self._not_one(faces):
            return Skipped(shown(path), *problem)
        quality = measure(image, faces[0])
        if problem := self._unfit(quality):
            return Skipped(shown(path), *problem)
        [vector] = self._embedder.embed(image, faces[:1])
        return ReadFace(person, shown(path), sha256, vector, quality.side_px, crop(image, faces[0]))

    def _decoded(self, path: Path) -> tuple[Image, str]:
        # a file that somebody turns into a link or a pipe meanwhile is not followed, nor waited for
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(source, "rb") as file:
            told = os.fstat(source)
            if not stat.S_ISREG(told.st_mode):
                raise BadMediaError("no regular file", code="media-type")
            found = self._analyser.analyse(source, "picture", size=told.st_size)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        frames = found.arrays["frames"]
        if len(frames) == 0:
            raise BadMediaError("no picture in it", code="media-unreadable")
        return frames[0], sha256

    def _not_one(self, faces: list[Face]) -> tuple[str, str] | None:
        if not faces:
            return "no-face", ""
        areas = [face.width * face.height for face in faces]
        if len(areas) > 1 and areas[1] > self._settings.other_face * areas[0]:
            return "several-faces", f"{len(faces)} faces, the second has {areas[1] / areas[0]:.0%} of the first's area"
        return None

    def _unfit(self, found: FaceQuality) -> tuple[str, str] | None:
        wanted = self._settings
        if found.side_px < wanted.min_side_px:
            return "face-small", f"{found.side_px:.0f} px"
        if found.sharpness < wanted.min_sharpness:
            return "blurred", f"sharpness {found.sharpness:.2f}"
        if abs(found.yaw_deg) > wanted.max_yaw_deg:
            return "turned", f"{found.yaw_deg:.0f} degrees to a side"
        if abs(found.pitch_deg) > wanted.max_pitch_deg:
            return "turned", f"{found.pitch_deg:.0f} degrees up or down"
        if found.occlusion > wanted.max_occlusion:
            return "occluded", f"occlusion {found.occlusion:.2f}"
        return None


def crop(image: Image, face: Face) -> bytes:
    """A small picture of a face, WebP.

    Args:
        image: uint8 [H, W, 3], RGB.
        face: Face in pixels of it.
    """
    margin_x, margin_y = face.width * CROP_MARGIN, face.height * CROP_MARGIN
    height, width = image.shape[:2]
    left, right = max(0, round(face.x - margin_x)), min(width, round(face.x + face.width + margin_x))
    top, bottom = max(0, round(face.y - margin_y)), min(height, round(face.y + face.height + margin_y))
    part = image[top:bottom, left:right]
    scale = min(1.0, CROP_SIDE / max(part.shape[:2]))
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".webp", small[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, CROP_QUALITY])
    if not done:
        raise BugError(f"a picture of {small.shape} was not encoded", code="gallery-picture")
    return bytes(data)
