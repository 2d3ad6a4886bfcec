"""What the sandboxed child runs in fault tests: the real pass, unless the file asks it to die."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from models.media.limits import Limits
from models.media.one_pass import run as real
from models.media.one_pass import warm_up

__all__ = ["KILLS_THE_CHILD", "PLACE", "run", "warm_up"]

KILLS_THE_CHILD = b"kills the child"
PLACE = 200
"""Where it stands in the file: after the header of a WAV file, so that ingest takes it for one."""


def run(kind: str, source: int, size: int, limits: Limits) -> Any:
    if os.pread(source, len(KILLS_THE_CHILD), PLACE) == KILLS_THE_CHILD:
        ctypes.string_at(0)
    return real(kind, source, size, limits)
