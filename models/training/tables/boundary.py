"""Table of what the interest boundary filters on ml-100k: ``python -m models.training.tables.boundary``.

Strict cold items (a tenth of the catalogue), mapped into the towers' space by CB2CF; each user's best 20 of them, split
by his boundary into what would be shown and what not.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from models.dataset import Dataset
from models.training import cb2cf, interest_boundary, lightgcn, two_tower
from models.training.content import encoded_titles, ml100k_content
from models.training.data import ml100k, splits
from models.training.histories import histories
from models.training.loop import Watch
from models.training.ranking_metrics import matrix
from models.training.tables import pages

NEGATIVES = (1, 2, 4, 8)
COMMAND = "python -m models.training.tables.boundary"


def measure_split(dataset: Dataset, seed: int, watch: Watch) -> list[dict[str, Any]]:
    """Effect on one split, one row for each number of negatives that the boundary was trained with."""
    interactions, shape = dataset.interactions, (len(dataset.users), len(dataset.items))
    cold = splits.cold_items(interactions, shape[1], seed)
    start = lightgcn.fit_lightgcn(interactions, cold.warm, shape, lightgcn.Config(), watch)
    tower = two_tower.fit_two_tower(dataset, cold.warm, two_tower.Config(), watch, start.items)
    past, told = histories(interactions, cold.warm.train, shape), two_tower.demographics(dataset.users)
    backbone = tower.backbone(past, told)
    plays_of = interest_boundary.inputs_of(tower, past, told, np.arange(shape[0]), tower.config.most)
    is_warm = cold.is_warm(shape[1])
    content = ml100k_content(dataset, is_warm, ml100k.entities(dataset), encoded_titles(dataset, lambda _: None))
    plays = matrix(interactions.user[cold.warm.train], interactions.item[cold.warm.train], shape)
    chosen_by = matrix(interactions.user[cold.validation], interactions.item[cold.validation], shape)
    judged = cb2cf.Judged(cold.validation_items, chosen_by)
    module = cb2cf.fit_cb2cf(content, plays, backbone, np.flatnonzero(is_warm), judged, cb2cf.Config(), watch)
    vectors, _ = cb2cf.mapped(module, content, np.arange(shape[1]))
    truth = matrix(interactions.user[cold.test], interactions.item[cold.test], shape)
    candidates = np.zeros(shape[1], np.bool_)
    candidates[cold.test_items] = True
    rows = []
    for negatives in NEGATIVES:
        config = interest_boundary.Config(negatives=negatives)
        boundary = interest_boundary.fit_boundary(tower, dataset, cold.warm.train, cold.warm.validation, config, watch)
        with torch.no_grad():
            level = boundary(torch.from_numpy(backbone.users), plays_of["plays"]).numpy()  # [U]
        scores = backbone.users @ vectors.T  # [U, I]
        found = interest_boundary.filtered(scores, level, truth, candidates)
        rows.append({"split": seed, "negatives": negatives, **asdict(found)})
    return rows


def page(dataset: Dataset, by_split: list[list[dict[str, Any]]], seeds: list[int]) -> tuple[list[Any], str]:
    """Rows of all splits, and means over splits."""
    found = [row for split in by_split for row in split]
    lines = [
        "# Recommender: what the interest boundary filters",
        "",
        f"{dataset.source}. The 20 best cold test items of each user by CB2CF's vectors; precision: share of the",
        f"places whose item the user played. Mean of splits {', '.join(map(str, seeds))}. `{COMMAND}`.",
        "",
        "| negatives a play | places shown | precision shown | precision not shown |",
        "| --- | --- | --- | --- |",
    ]
    for negatives in NEGATIVES:
        rows = [row for row in found if row["negatives"] == negatives]
        cells = [np.mean([row[name] for row in rows]) for name in ("shown", "precision", "precision_of_rest")]
        lines.append(f"| {negatives} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")
    return found, "\n".join(lines) + "\n"


TABLE = pages.Table("recommender-boundary", measure_split, page)

if __name__ == "__main__":
    pages.command(TABLE)
