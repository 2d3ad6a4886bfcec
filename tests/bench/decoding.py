"""One pass or many: child of ``decode_pass.py`` that does one kind of work on one file and prints its CPU seconds.

Imports and the first touch of every library happen before the clock starts. ``python decoding.py KIND FILE REPEATS``.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path


def main() -> None:
    kind, path, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    work = KINDS[kind](path)
    work()
    began = time.process_time()
    for _ in range(repeats):
        work()
    sys.stdout.write(f"{(time.process_time() - began) / repeats}\n")


def ours(path: Path) -> Callable[[], object]:
    from models.media import one_pass
    from models.media.limits import LIMITS

    one_pass.warm_up()
    # by the clock on the wall, it would go over to key frames on a busy machine
    limits = replace(LIMITS, full_decode_s=math.inf)

    def work() -> object:
        # the pass closes the descriptor
        return one_pass.run("video", os.open(path, os.O_RDONLY), path.stat().st_size, limits)

    return work


def bare(path: Path) -> Callable[[], object]:
    """Every packet of picture and sound decoded and dropped."""
    import av

    def work() -> None:
        with av.open(str(path)) as container:
            for stream in container.streams:
                stream.codec_context.thread_count = 1
            wanted = [s for s in container.streams if s.type in ("video", "audio")]
            for packet in container.demux(wanted):
                for _ in packet.decode():
                    pass

    return work


def adaptive(path: Path) -> Callable[[], object]:
    """PySceneDetect with its defaults."""
    from scenedetect import AdaptiveDetector, detect

    return lambda: detect(str(path), AdaptiveDetector())


KINDS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "ours": ours,
    "bare": bare,
    "adaptive": adaptive,
}

if __name__ == "__main__":
    main()
