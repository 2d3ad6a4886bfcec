"""Table of the ranking protocol on ml-100k: ``python -m models.training.tables.ranking``.

A random 8:1:1 of all rows; every method on the same splits, rows and seeds. Item vectors are those of a truncated SVD
of the train plays (PureSVD, Cremonesi et al. 2010), quick enough to be made anew for each split.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from models.dataset import Dataset
from models.ranking_features import GROUPS, TASKS
from models.recommender_bundle import HISTORY
from models.training import memo, ranking_rows
from models.training.backbone import DIM
from models.training.data import splits
from models.training.data.splits import Split
from models.training.loop import Fit, Watch
from models.training.ranker import LIKE, Config, Ranker, fit_ranker, logits, with_groups_permuted
from models.training.ranking_metrics import auc, bootstrap, gauc, matrix
from models.training.ranking_rows import Labelled, RankingData, ranking_data
from models.training.semantic_id import fit_semantic_ids
from models.training.tables import pages

COMMAND = "python -m models.training.tables.ranking"
COLUMNS = ("like", "like_gauc", "finish", "click", "cpu_s")
PUBLISHED = 0.7765
"""AUC of liking of RecBole's logistic regression on a split of its own."""
BAR, WORST = 0.79, 0.002
"""AUC of liking to reach, and what no group may lose by the gate."""
PERMUTED, AMONG = "like, groups permuted", "like among "
FEWER, STARTS = 50, (7, 8, 9)
LR, UNGATED, GATED = "logistic regression", "DeepFM + MMoE", "DeepFM + MMoE + group gates"

SLOWER = Fit(epochs=8, patience=2, batch=2048, learning_rate=5e-3, weight_decay=1e-2)
"""Fit of the logistic regression, which the networks' strong decay of weights would keep from learning."""

Found = dict[str, float]


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table.

    Attributes:
        network: Network and training.
        rows: How rows are made.
        codes: Whether items have semantic ids.
        starts: Seeds of as many trainings, whose figures are averaged.
    """

    network: Config
    rows: ranking_rows.Config = field(default_factory=ranking_rows.Config)
    codes: bool = True
    starts: tuple[int, ...] = (7,)


def methods() -> dict[str, Method]:
    """What is compared, in the order of the table."""
    network = Config()
    ungated = replace(network, gate=False)
    return {
        LR: Method(replace(ungated, factors=False, experts=0, fit=SLOWER)),
        "DeepFM": Method(replace(ungated, experts=1)),
        # compared to a thousandth: the difference of two single trainings is mostly that of their random starts
        UNGATED: Method(ungated, starts=STARTS),
        GATED: Method(network, starts=STARTS),
        "the same without semantic ids": Method(network, codes=False),
        f"the same, {FEWER} last plays": Method(network, replace(ranking_rows.Config(), history=FEWER)),
    }


def pure_svd(dataset: Dataset, split: Split) -> NDArray[np.float32]:
    """Item vectors float32 [I, 64] of the train plays, each row and column scaled by its count's inverse root."""
    rows = dataset.interactions.take(splits.plays_of(dataset.interactions, split.train))
    plays = matrix(rows.user, rows.item, (len(dataset.users), len(dataset.items))).astype(np.float64)
    of_users, of_items = (1.0 / np.sqrt(np.maximum(np.asarray(plays.sum(axis=axis)).ravel(), 1.0)) for axis in (1, 0))
    plays = plays.multiply(of_users[:, None]).multiply(of_items[None]).tocsr()
    _, values, items = svds(plays, k=DIM, random_state=0)
    return np.ascontiguousarray((items.T * values).astype(np.float32))


def measure_split(dataset: Dataset, seed: int, watch: Watch) -> dict[str, Found]:
    """Measures by method."""
    split = splits.ranking(dataset.interactions, seed)
    vectors = pure_svd(dataset, split)
    codes = fit_semantic_ids(vectors).encode(vectors)
    made: dict[Any, RankingData] = {}
    by_method = {}
    for name, method in methods().items():
        key = method.rows, method.codes
        if key not in made:
            made[key] = ranking_data(dataset, split, vectors, codes if method.codes else codes[:, :0], method.rows)
        each = [_trained(made[key], method.network, start, seed, watch) for start in method.starts]
        by_method[name] = {column: float(np.mean([found[column] for found in each])) for column in each[0]}
    return by_method


def _trained(data: RankingData, network: Config, start: int, seed: int, watch: Watch) -> Found:
    began = memo.process_time()
    module, _ = fit_ranker(data, replace(network, fit=replace(network.fit, seed=start)), watch)
    cpu_s = memo.process_time() - began
    return {**measured(module, data.test, seed), "cpu_s": cpu_s}


def measured(module: Ranker, test: Labelled, seed: int) -> Found:
    """AUC of each task, GAUC of liking, AUC of liking by group, and without the truth about groups."""
    shown = test.of_clicks()
    found = logits(module, shown.rows)
    liked = shown.labels[:, LIKE] > 0
    dealt = with_groups_permuted(shown.rows, np.random.default_rng(seed))
    of_group = {name: shown.rows.group == number for number, name in enumerate(GROUPS)}
    by_group = {
        f"{AMONG}{name}": auc(liked[rows], found[rows, LIKE])
        for name, rows in of_group.items()
        if 0 < liked[rows].sum() < rows.sum()
    }
    return {
        "like": auc(liked, found[:, LIKE]),
        "like_gauc": gauc(liked, found[:, LIKE], shown.user),
        "finish": auc(shown.labels[:, TASKS.index("finish")] > 0, found[:, TASKS.index("finish")]),
        "click": auc(test.labels[:, 0] > 0, logits(module, test.rows)[:, 0]),
        PERMUTED: auc(liked, logits(module, dealt)[:, LIKE]),
        **by_group,
    }


def summary(by_split: list[dict[str, Found]], seeds: list[int]) -> dict[str, Any]:
    """Means over splits, each split beside, and differences paired by split."""

    def column(method: str, name: str) -> NDArray[np.float64]:
        return np.array([split[method][name] for split in by_split])

    groups = [name for name in by_split[0][GATED] if name.startswith(AMONG)]
    gained = {name: column(GATED, name) - column(UNGATED, name) for name in ("like", "like_gauc", *groups)}
    return {
        "splits": seeds,
        "means": {name: {c: float(column(name, c).mean()) for c in COLUMNS} for name in by_split[0]},
        "like_by_split": {name: column(name, "like").tolist() for name in by_split[0]},
        "gate_minus_none": {name: asdict(bootstrap(values)) for name, values in gained.items()},
        "permuted_groups_cost": asdict(bootstrap(column(GATED, "like") - column(GATED, PERMUTED))),
        "against_gated": {
            name: asdict(bootstrap(column(name, "like") - column(GATED, "like"))) for name in by_split[0]
        },
    }


def table(found: dict[str, Any], dataset: Dataset) -> str:
    """The same in words and columns."""
    gained, cost = found["gate_minus_none"], found["permuted_groups_cost"]
    worst = min(each["mean"] for name, each in gained.items() if name.startswith(AMONG))
    reached = found["means"][GATED]["like"]
    lines = [
        "# Recommender: ranking",
        "",
        f"{dataset.source}. A random 8:1:1 of all rows, the same for every method; mean of splits",
        f"{', '.join(map(str, found['splits']))}. `{COMMAND}`. CPU seconds of one thread, training alone.",
        "",
        "All rows of this data are clicks: for the task click alone, one item that the user never played is drawn for",
        "each play and counts as shown and not clicked. Users and items are described out of fold (10 folds), users",
        f"without ids of their own. All rows are as served, with the features of serving and a user's last {HISTORY}",
        f"plays, as many as the online row holds; only that of {FEWER} last plays has fewer. Item vectors are those of",
        "a truncated SVD of the train plays, while a version has the two-tower's. The rows with and without gates are",
        f"means of {len(STARTS)} trainings (seeds {', '.join(map(str, STARTS))}) a split, the others of one.",
        "",
        "| method | AUC like | GAUC like | AUC finish | AUC click | CPU s | like, minus gated [95 %] |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        f"| RecBole's logistic regression, as published | {PUBLISHED:.4f} | | | | | |",
    ]
    for name, row in found["means"].items():
        cells = [f"{row[c]:.1f}" if c == "cpu_s" else f"{row[c]:.4f}" for c in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {_signed(found['against_gated'][name])} |")
    lines += ["", "AUC of liking split by split:", ""]
    for name, values in found["like_by_split"].items():
        lines.append(f"- {name}: " + " ".join(f"{value:.4f}" for value in values))
    lines += ["", "With gates minus without, paired by split, 95 % bootstrap interval over splits:", ""]
    lines += [f"- {name}: {_signed(each)}" for name, each in gained.items()]
    lines += [
        "",
        f"- AUC of liking as served, at least {BAR}: {reached:.4f}, {_verdict(reached >= BAR)}",
        f"- gate better than none in the mean: {gained['like']['mean']:+.5f}, {_verdict(gained['like']['mean'] > 0)}",
        f"- no group loses more than {WORST}: worst {worst:+.4f}, {_verdict(worst >= -WORST)}",
        f"- permuting the groups costs: {_signed(cost)}, {_verdict(cost['mean'] > 0)}",
    ]
    return "\n".join(lines) + "\n"


def _signed(each: dict[str, float]) -> str:
    return f"{each['mean']:+.5f} [{each['low']:+.5f}, {each['high']:+.5f}]"


def _verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def page(dataset: Dataset, by_split: list[dict[str, Found]], seeds: list[int]) -> tuple[dict[str, Any], str]:
    """Figures, and the same in words and columns."""
    found = summary(by_split, seeds)
    return found, table(found, dataset)


TABLE = pages.Table("recommender-ranking", measure_split, page)

if __name__ == "__main__":
    pages.command(TABLE)
