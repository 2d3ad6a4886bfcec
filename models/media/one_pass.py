"""What a confined child runs for one item."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil

import av
import cv2
from av.error import FFmpegError

from models.media import container, pictures
from models.media.facts import Findings
from models.media.limits import Limits
from models.media.rejection import RejectedMediaError

# imported on first use by numpy and by text decoding, which is impossible once confined
_LAZY = (
    "numpy.ma",
    *(f"encodings.{name}" for name in ("ascii", "latin_1", "utf_8_sig", "utf_16", "utf_16_le")),
    *(f"encodings.{name}" for name in ("utf_16_be", "utf_32", "cp1252", "idna", "unicode_escape")),
)


def warm_up() -> None:
    """Import and initialise everything the decoders load lazily. Runs in the fork server."""
    for name in _LAZY:
        importlib.import_module(name)
    # PyAV imports the module of a stream's type when a file has such a stream
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name != "av.__main__":
            importlib.import_module(module.name)
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
