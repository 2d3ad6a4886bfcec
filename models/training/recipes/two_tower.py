"""The two towers, begun from LightGCN's items; for a version also what the user tower of a bundle adds to them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from models.dataset import Dataset
from models.recommender_bundle import HISTORY
from models.recommender_files import USER_TOWER
from models.recommender_manifest import Calibration, Platt
from models.training import interest_boundary, lightgcn, two_tower, user_cold
from models.training.backbone import Backbone
from models.training.data import splits
from models.training.data.splits import ColdUsers, Rows, Split
from models.training.histories import histories
from models.training.lightgcn import fit_lightgcn
from models.training.loop import Watch
from models.training.recipes.base import DEBUG_FIT, Run, Values, check_device, seeded
from models.training.recipes.evaluation import warm, warm_baselines
from models.training.recipes.making import Making
from models.training.two_tower import TwoTower, demographics, fit_two_tower

EXAMPLES = 64
"""Users on whom torch and ONNX are compared."""


@dataclass(frozen=True, slots=True)
class TwoTowerRecipe:
    """See `Recipe`."""

    name: str = "two_tower"
    summary: str = "User and item tower in one space of unit vectors, begun from LightGCN's items."
    config: two_tower.Config = field(default_factory=two_tower.Config)
    backbone: lightgcn.Config = field(default_factory=lightgcn.Config)
    boundary: interest_boundary.Config = field(default_factory=interest_boundary.Config)
    cold: user_cold.Config = field(default_factory=user_cold.Config)
    splits: tuple[int, ...] = (0, 1, 2, 3, 4)
    baselines: tuple[str, ...] = ("popularity", "item_knn", "ease")
    bars: Mapping[str, float] = field(default_factory=lambda: {"warm/recall@20": 0.358})
    lower: frozenset[str] = frozenset()
    device: Literal["cpu", "cuda"] = "cpu"

    def debug(self) -> TwoTowerRecipe:
        backbone = replace(lightgcn.Config(), fit=DEBUG_FIT)
        config = replace(two_tower.Config(hidden=16, told=2), fit=replace(DEBUG_FIT, epochs=1))
        boundary = replace(interest_boundary.Config(), fit=replace(DEBUG_FIT, epochs=1))
        cold = replace(user_cold.Config(), fit=replace(DEBUG_FIT, epochs=1))
        return replace(
            self, config=config, backbone=backbone, boundary=boundary, cold=cold,
            splits=(0,), baselines=("popularity",), bars={},
        )  # fmt: skip

    def measure(self, dataset: Dataset, split: int, run: Run) -> Mapping[str, Values]:
        check_device(self.device, ("cpu",))
        rows = splits.warm(dataset.interactions, split)
        towers = self.towers(dataset, rows, run.watch(f"lightgcn-{split}"), run.watch(f"two_tower-{split}"))
        past = histories(dataset.interactions, rows.train, (len(dataset.users), len(dataset.items)))
        own = warm(towers.backbone(past, demographics(dataset.users)).scores(), dataset, rows)
        return {self.name: own, **warm_baselines(dataset, rows, self.baselines)}

    def towers(self, dataset: Dataset, rows: Split, of_backbone: Watch, of_towers: Watch) -> TwoTower:
        """Trained on the train rows, in evaluation mode."""
        shape = len(dataset.users), len(dataset.items)
        begin = fit_lightgcn(dataset.interactions, rows, shape, self.backbone, of_backbone)
        return fit_two_tower(dataset, rows, self.config, of_towers, begin.items)


def step(making: Making) -> None:
    """Towers, interest boundary, and the tower for users of few plays, which is blended with the others'."""
    recipe = TwoTowerRecipe().debug() if making.debug else TwoTowerRecipe()
    recipe = seeded(recipe, making.seed)
    dataset, rows, run = making.dataset, making.rows, making.run
    towers = recipe.towers(dataset, rows, run.watch("backbone"), run.watch("two_tower"))
    past, told = histories(dataset.interactions, rows.train, making.shape), demographics(dataset.users)
    cold = user_cold.fit_user_cold(
        dataset, _cold_users(making), towers.backbone(past, told), recipe.cold, run.watch("user_cold")
    )
    # from here on a user is what the bundle will say he is, or boundary and calibrations would be those of others
    user = user_cold.UserTowers(cold, towers.user).eval()
    boundary = interest_boundary.fit_boundary(
        towers, dataset, rows.train, rows.validation, recipe.boundary, run.watch("boundary"), user, HISTORY
    ).eval()
    everybody = interest_boundary.inputs_of(towers, past, told, np.arange(making.shape[0]), HISTORY)
    with torch.no_grad():
        vectors = user(*everybody.values())  # [U, D]
        making.backbone = Backbone(vectors.numpy(), towers.item_vectors().numpy())
        making.boundaries = boundary(vectors, everybody["plays"]).numpy()
    examples = {name: values[:EXAMPLES] for name, values in everybody.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / USER_TOWER
        interest_boundary.export_user_tower(user, boundary, examples, path)
        making.networks[USER_TOWER] = path.read_bytes()
    making.vectors = making.backbone.items
    making.age_bounds = two_tower.AGE_BOUNDS
    # the boundary was trained as a logistic regression on plays that the towers have not seen
    likely = Platt(float(boundary.log_scale.detach().exp()), 0.0)
    making.calibration = Calibration(warm=likely, cold=likely)
    making.configs["two_tower"] = recipe


def _cold_users(making: Making) -> ColdUsers:
    """Users who are cold for the tower of few plays, without the test rows of the version.

    The others teach it by their train rows alone: the boundary takes the validation rows for plays nobody learnt from.
    """
    learnt = np.zeros(len(making.dataset.interactions), np.bool_)
    learnt[making.rows.train] = True
    known = learnt.copy()
    known[making.rows.validation] = True
    every = splits.cold_users(making.dataset.interactions, making.shape[0], making.split)

    def kept(rows: Rows) -> Rows:
        return rows[known[rows]]

    return replace(
        every,
        train=every.train[learnt[every.train]],
        first={user: kept(rows) for user, rows in every.first.items()},
        rest={user: kept(rows) for user, rows in every.rest.items()},
    )
