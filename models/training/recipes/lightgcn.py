"""LightGCN on warm users and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from models.dataset import Dataset
from models.training.data import splits
from models.training.lightgcn import Config, fit_lightgcn
from models.training.recipes.base import DEBUG_FIT, Run, Values, check_device
from models.training.recipes.evaluation import warm, warm_baselines

PROTOCOL = "backbone"
"""The warm protocol by a name of its own: ``warm`` is what the towers of a version reach by it."""


@dataclass(frozen=True, slots=True)
class LightGCNRecipe:
    """See `Recipe`."""

    name: str = "lightgcn"
    summary: str = "Vectors of users and items smoothed over the graph of plays; the backbone."
    config: Config = field(default_factory=Config)
    splits: tuple[int, ...] = (0, 1, 2, 3, 4)
    baselines: tuple[str, ...] = ("popularity", "item_knn", "ease")
    bars: Mapping[str, float] = field(default_factory=lambda: {"backbone/recall@10": 0.245})
    lower: frozenset[str] = frozenset()
    device: Literal["cpu", "cuda"] = "cpu"

    def debug(self) -> LightGCNRecipe:
        config = replace(self.config, fit=DEBUG_FIT)
        return replace(self, config=config, splits=(0,), baselines=("popularity",), bars={})

    def measure(self, dataset: Dataset, split: int, run: Run) -> Mapping[str, Values]:
        check_device(self.device, ("cpu",))
        rows = splits.warm(dataset.interactions, split)
        shape = len(dataset.users), len(dataset.items)
        found = fit_lightgcn(dataset.interactions, rows, shape, self.config, run.watch(f"lightgcn-{split}"))
        own = warm(found.scores(), dataset, rows, PROTOCOL)
        return {self.name: own, **warm_baselines(dataset, rows, self.baselines, PROTOCOL)}
