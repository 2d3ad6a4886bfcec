"""The gated ranker on a random split of all rows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.ranking_features import DENSE, GROUPS, TASKS
from models.recommender_files import RANKER
from models.training import lightgcn, ranking_rows
from models.training.data import splits
from models.training.data.splits import Split
from models.training.ranker import Config, export, fit_ranker, logits
from models.training.ranking_metrics import auc, gauc
from models.training.ranking_rows import Labelled, RankingData, ranking_data
from models.training.recipes.base import DEBUG_FIT, RecipeError, Run, Values, check_device
from models.training.recipes.making import Making
from models.training.recipes.subset import of_items
from models.training.semantic_id import fit_semantic_ids

LIKE = TASKS.index("like")


@dataclass(frozen=True, slots=True)
class RankerRecipe:
    """See `Recipe`; beside it the same without group gates, and logistic regression."""

    name: str = "ranker"
    summary: str = "DeepFM and MMoE with gates by user group: click, like, finish, play time."
    config: Config = field(default_factory=Config)
    backbone: lightgcn.Config = field(default_factory=lightgcn.Config)
    splits: tuple[int, ...] = (0, 1, 2, 3, 4)
    bars: Mapping[str, float] = field(default_factory=lambda: {"ranking/auc_like": 0.79})
    lower: frozenset[str] = frozenset()
    device: Literal["cpu", "cuda"] = "cpu"

    def debug(self) -> RankerRecipe:
        backbone = replace(lightgcn.Config.debug(), fit=DEBUG_FIT)
        config = replace(Config.debug(), fit=replace(DEBUG_FIT, epochs=2))
        return replace(self, config=config, backbone=backbone, splits=(0,), bars={})

    def measure(self, dataset: Dataset, split: int, run: Run) -> Mapping[str, Values]:
        check_device(self.device, ("cpu",))
        rows = splits.ranking(dataset.interactions, split)
        shape = len(dataset.users), len(dataset.items)
        watch = run.watch(f"ranker-backbone-{split}")
        vectors = lightgcn.fit_lightgcn(dataset.interactions, rows, shape, self.backbone, watch).items
        data = self._data(dataset, rows, vectors)
        methods = {
            self.name: self.config,
            "no_gate": replace(self.config, gate=False),
            "logistic": replace(self.config, gate=False, experts=0, factors=False),
        }
        return {name: _figures(data, config, run, f"{name}-{split}") for name, config in methods.items()}

    def _data(self, dataset: Dataset, rows: Split, vectors: NDArray[np.float32]) -> RankingData:
        codes = fit_semantic_ids(vectors).encode(np.ascontiguousarray(vectors))
        return ranking_data(dataset, rows, vectors, codes, ranking_rows.Config(seed=self.config.fit.seed))


def _figures(data: RankingData, config: Config, run: Run, curve: str) -> Values:
    module, _ = fit_ranker(data, config, run.watch(curve))
    shown: Labelled = data.test.of_clicks()
    truth, scores = shown.labels[:, LIKE] > 0.5, logits(module, shown.rows)[:, LIKE]
    return {
        "ranking/auc_like": np.array([auc(truth, scores)]),
        "ranking/gauc_like": np.array([gauc(truth, scores, shown.user)]),
    }


def step(making: Making) -> None:
    """The ranker of the version, over its vectors and codes.

    Raises:
        RecipeError: no step before has made vectors and codes.
    """
    if making.vectors is None or making.codes is None:
        raise RecipeError("the ranker needs item vectors and semantic ids: their steps come first")
    recipe = RankerRecipe().debug() if making.debug else RankerRecipe()
    config = replace(recipe.config, fit=replace(recipe.config.fit, seed=making.seed))
    rows = ranking_rows.Config(seed=making.seed)
    # numbered as the bundle numbers its items: the field "item" means the same online
    dataset, split = of_items(making.dataset, making.rows, making.trained)
    data = ranking_data(dataset, split, making.vectors[making.trained], making.codes[making.trained], rows)
    module, _ = fit_ranker(data, config, making.run.watch("ranker"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / RANKER
        export(module, path)
        making.networks[RANKER] = path.read_bytes()
    making.fields, making.dense, making.groups = data.layout.fields, DENSE, GROUPS
    making.ranking = data.layout.manifest()
    making.configs["ranker"] = {"network": config, "rows": rows}
