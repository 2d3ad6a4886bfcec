"""Table of the warm protocol on ml-100k: ``python -m models.training.tables.warm``.

8:1:1 of each user's plays, all items ranked, train and validation plays left out; every method on the same splits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.recommender_bundle import HISTORY
from models.training import baselines, lightgcn, memo, two_tower
from models.training.data import splits
from models.training.data.splits import Split
from models.training.histories import histories
from models.training.loop import Watch
from models.training.ranking_metrics import bootstrap, coverage, gini, list_metrics, matrix, ranked, unknown
from models.training.tables import pages

CUTS = (10, 20)
COLUMNS = ("recall@10", "ndcg@10", "recall@20", "ndcg@20", "mrr@10", "coverage@20", "gini@20", "cpu_s")
SHORT = ("R@10", "N@10", "R@20", "N@20", "MRR@10", "coverage@20", "Gini@20", "CPU s")
TOWER, NEIGHBOURS = "two-tower", "ItemKNN"
COMMAND = "python -m models.training.tables.warm"

Scores = NDArray[np.float32]
Found = dict[str, NDArray[np.float64]]
"""By measure one value a user, or one in all."""


def methods(dataset: Dataset, rows: Split, watch: Watch) -> dict[str, Callable[[], Scores]]:
    """What is compared, in the order of the table; the towers begin with LightGCN's items, whose time is in theirs."""
    interactions, shape = dataset.interactions, (len(dataset.users), len(dataset.items))
    plays = matrix(interactions.user[rows.train], interactions.item[rows.train], shape)
    past, told = histories(interactions, rows.train, shape), two_tower.demographics(dataset.users)
    kept: dict[str, Any] = {}

    def graph() -> Scores:
        kept["graph"] = lightgcn.fit_lightgcn(interactions, rows, shape, lightgcn.Config(), watch)
        scores: Scores = kept["graph"].scores()
        return scores

    def towers() -> Scores:
        kept["towers"] = two_tower.fit_two_tower(dataset, rows, two_tower.Config(), watch, kept["graph"].items)
        scores: Scores = kept["towers"].backbone(past, told).scores()
        return scores

    def online() -> Scores:
        scores: Scores = kept["towers"].backbone(past, told, HISTORY).scores()
        return scores

    return {
        "popularity": lambda: baselines.popularity(plays),
        NEIGHBOURS: lambda: baselines.item_knn(plays),
        "BPR-MF": lambda: baselines.bpr_mf(interactions, rows, shape, watch),
        "LightGCN": graph,
        "EASE": lambda: baselines.ease(plays),
        TOWER: towers,
        f"{TOWER}, last {HISTORY} plays": online,
    }


def measured(scores: Scores, dataset: Dataset, rows: Split) -> Found:
    """Measures on the test rows."""
    interactions, shape = dataset.interactions, (len(dataset.users), len(dataset.items))
    known = np.concatenate([rows.train, rows.validation])
    hidden = matrix(interactions.user[known], interactions.item[known], shape)
    truth = matrix(interactions.user[rows.test], interactions.item[rows.test], shape)
    lists = ranked(scores, hidden, None, max(CUTS))
    shown = np.bincount(lists.ravel(), minlength=shape[1])
    whole = {"coverage@20": np.array([coverage(lists, shape[1])]), "gini@20": np.array([gini(shown)])}
    return list_metrics(lists, unknown(truth, hidden), CUTS) | whole


def summary(by_split: list[dict[str, Found]], seeds: list[int]) -> dict[str, Any]:
    """Means over splits, each split beside, and the towers against the neighbours, paired by user."""
    means = {
        name: {column: float(np.mean([split[name][column].mean() for split in by_split])) for column in COLUMNS}
        for name in by_split[0]
    }
    each = {name: [float(split[name]["recall@20"].mean()) for split in by_split] for name in by_split[0]}
    # a user is one draw, not one draw a split: average over splits before resampling users
    paired = {
        column: asdict(bootstrap(np.mean([s[TOWER][column] - s[NEIGHBOURS][column] for s in by_split], axis=0)))
        for column in ("recall@10", "ndcg@10", "recall@20", "ndcg@20")
    }
    return {"splits": seeds, "means": means, "recall@20_by_split": each, "two_tower_minus_item_knn": paired}


def table(found: dict[str, Any], dataset: Dataset) -> str:
    """The same in words and columns."""
    lines = [
        "# Recommender: warm users and warm items",
        "",
        f"{dataset.source}. All plays count; 8:1:1 of each user's plays at random; all items ranked, train and",
        f"validation plays left out; mean of splits {', '.join(map(str, found['splits']))}. `{COMMAND}`.",
        "CPU seconds of one thread a split; the two-tower begins with LightGCN's item vectors: add their time.",
        "",
        "| method | " + " | ".join(SHORT) + " |",
        "| --- |" + " --- |" * len(SHORT),
    ]
    for name, row in found["means"].items():
        cells = [f"{row[c]:.1f}" if c == "cpu_s" else f"{row[c]:.4f}" for c in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Recall@20 split by split:", ""]
    for name, values in found["recall@20_by_split"].items():
        lines.append(f"- {name}: " + " ".join(f"{value:.4f}" for value in values))
    lines += ["", "Two-tower minus ItemKNN, paired by user (mean over splits), 95 % bootstrap interval over users:", ""]
    for column, each in found["two_tower_minus_item_knn"].items():
        lines.append(f"- {column}: {each['mean']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}]")
    return "\n".join(lines) + "\n"


def measure_split(dataset: Dataset, seed: int, watch: Watch) -> dict[str, Found]:
    """Measures by method."""
    rows, by_method = splits.warm(dataset.interactions, seed), {}
    for name, scores in methods(dataset, rows, watch).items():
        start = memo.process_time()
        found = scores()
        spent = memo.process_time() - start
        by_method[name] = measured(found, dataset, rows) | {"cpu_s": np.array([spent])}
    return by_method


def page(dataset: Dataset, by_split: list[dict[str, Found]], seeds: list[int]) -> tuple[dict[str, Any], str]:
    """Figures, and the same in words and columns."""
    found = summary(by_split, seeds)
    return found, table(found, dataset)


TABLE = pages.Table("recommender-warm", measure_split, page)

if __name__ == "__main__":
    pages.command(TABLE)
