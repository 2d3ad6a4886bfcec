"""What a confined child runs for one item."""

from __future__ import annotations

import errno
import importlib
import os

import av
import cv2
from av.error import FFmpegError

from models.media import container, pictures
from models.media.facts import Findings
from models.media.limits import Limits
from models.media.rejection import RejectedMediaError

# decoding text looks codecs up by name, which imports them: impossible once confined
_ENCODINGS = ("ascii", "latin_1", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "cp1252", "idna")


def warm_up() -> None:
    """Import and initialise everything the decoders load lazily. Runs in the fork server."""
    for name in _ENCODINGS:
        importlib.import_module(f"encodings.{name}")
    cv2.setNumThreads(0)
    av.logging.set_level(None)
    container.warm_up()
    pictures.warm_up()


def run(kind: str, source: int, size: int, limits: Limits) -> Findings:
    """Analyse the file behind the descriptor ``source`` (read-only, owned by this process).

    Raises:
        RejectedMediaError: The input is to blame.
        MemoryError: The memory limit was met.
    """
    with os.fdopen(source, "rb", buffering=0) as file:
        try:
            if kind == "picture":
                return pictures.analyse(file, limits)
            return container.analyse(file, kind, size, limits)
        except FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError from error
            raise RejectedMediaError("media-unreadable", f"FFmpeg: {error.strerror}") from error
        except cv2.error as error:
            if error.code == -4:  # StsNoMem
                raise MemoryError from error
            raise
