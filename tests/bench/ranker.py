"""The gated ranker's network in ONNX Runtime against torch, and what its features cost.

``.overture/train/bin/python -m tests.bench.ranker [--rounds N]``: one process, one thread each, in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from models.dataset import GENDERS
from models.onnx import open_network
from models.ranking_features import DENSE, ItemColumns, RankingLayout, ranking_rows, user_columns
from models.training.loop import seed_everything
from models.training.ranker import Config, Ranker, export
from tests.bench.report import Figure, Report, Table, median_ratio

ROWS, HEARD, CALLS = 150, 200, 20
LAYOUT = RankingLayout(
    items=1682,
    occupations=("",) * 22,
    tags=("",) * 19,
    kinds=("song",),
    dim=64,
    code_levels=3,
    code_size=32,
    history=HEARD,
    completion_rate=0.2,
    mean_completion=0.5,
    usual=(0.5, 0.7),
    tag_shift=(0.1,) * 19,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    seed_everything(1)
    shown, heard = _items(ROWS, 1), _items(HEARD, 2)
    completions = np.random.default_rng(3).random(HEARD).astype(np.float32)
    user = user_columns(LAYOUT, 30, GENDERS.index("female"), 1, 70, 0.4, heard, completions)
    rows = ranking_rows(LAYOUT, user, shown)
    module = Ranker(LAYOUT, Config(), np.random.default_rng(4).normal(size=(100, len(DENSE))).astype(np.float32)).eval()
    with tempfile.TemporaryDirectory() as folder:
        export(module, path := Path(folder) / "ranker.onnx")
        session = open_network(path.read_bytes())
    given = {"fields": rows.fields, "dense": rows.dense, "group": rows.group}
    tensors = [torch.from_numpy(each) for each in given.values()]

    def by_torch() -> None:
        with torch.inference_mode():
            module(*tensors)

    sides: dict[str, Callable[[], object]] = {
        "network, ONNX Runtime": lambda: session.run(["logits"], given),
        "network, torch": by_torch,
        "features of the items": lambda: ranking_rows(LAYOUT, user, shown),
        "columns of the user": lambda: user_columns(LAYOUT, 30, 1, 1, 70, 0.4, heard, completions),
    }
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            spent[name].append(_milliseconds(call))
    onnx, eager = list(spent.values())[:2]
    total = sum(median(spent[name]) for name in sides if name != "network, torch")
    Report(
        "ranker",
        "The gated ranker",
        f"{ROWS} items for one user of {HEARD} plays, one thread; what each part takes, in turn.",
        [
            Figure("torch's time over ONNX Runtime's", median_ratio(eager, onnx), ">=", 1.0),
            Figure(f"{ROWS} items from columns to logits, ms", total, "<=", 1.0),
        ],
        [Table("Medians", ("part", "ms"), [(name, median(values)) for name, values in spent.items()])],
        [f"{rounds} rounds, in each {CALLS} calls of every part in turn."],
    ).publish()


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return 1000 * (time.process_time() - began) / CALLS


def _items(count: int, seed: int) -> ItemColumns:
    random = np.random.default_rng(seed)
    plays = random.integers(0, 300, count)
    return ItemColumns(
        random.integers(-1, LAYOUT.items, count),
        random.random((count, len(LAYOUT.tags))) < 0.1,
        np.full(count, 1996, np.int16),
        np.zeros(count, np.int8),
        random.integers(0, LAYOUT.code_size, (count, LAYOUT.code_levels)),
        plays,
        random.random(count),
        random.random(count) * 300,
        plays < 10,
        random.normal(size=(count, LAYOUT.dim)).astype(np.float32),
        plays,
        random.random(count),
    )


if __name__ == "__main__":
    main()
