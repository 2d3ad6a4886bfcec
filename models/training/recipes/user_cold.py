"""Users of no plays or a few, in the towers' space: the protocol of `models.training.tables.cold_user`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from models.dataset import Dataset, DatasetError
from models.training import user_cold
from models.training.cold_protocol import ColdGroup
from models.training.data import splits
from models.training.data.splits import Split
from models.training.histories import histories
from models.training.recipes.base import DEBUG_FIT, Run, Values, check_device
from models.training.recipes.two_tower import TwoTowerRecipe
from models.training.tables.cold_user import BARS, bases, measured, tower
from models.training.two_tower import demographics

SHOWN = ("recall@20", "ndcg@20")


@dataclass(frozen=True, slots=True)
class UserColdRecipe:
    """See `Recipe`."""

    name: str = "user_cold"
    summary: str = "Vectors of users of no plays or a few, from demographics and what they played."
    config: user_cold.Config = field(default_factory=user_cold.Config)
    towers: TwoTowerRecipe = field(default_factory=TwoTowerRecipe)
    splits: tuple[int, ...] = (0, 1, 2, 3, 4)
    bars: Mapping[str, float] = field(
        default_factory=lambda: {f"cold_user/recall@20_k{given}": bar for given, bar in BARS.items()}
    )
    lower: frozenset[str] = frozenset()
    device: Literal["cpu", "cuda"] = "cpu"

    def debug(self) -> UserColdRecipe:
        config = replace(self.config, fit=replace(DEBUG_FIT, epochs=1))
        return replace(self, config=config, towers=self.towers.debug(), splits=(0,), bars={})

    def measure(self, dataset: Dataset, split: int, run: Run) -> Mapping[str, Values]:
        check_device(self.device, ("cpu",))
        shape, told = (len(dataset.users), len(dataset.items)), demographics(dataset.users)
        rows, none = splits.cold_users(dataset.interactions, shape[0], split), np.empty(0, np.int64)
        watches = [run.watch(f"user_cold-{each}-{split}") for each in ("backbone", "towers")]
        towers = self.towers.towers(dataset, Split(rows.train, none, none), *watches)
        backbone = towers.backbone(histories(dataset.interactions, rows.train, shape), told)
        module = user_cold.fit_user_cold(dataset, rows, backbone, self.config, run.watch(f"user_cold-{split}"))
        group = ColdGroup.of(dataset.interactions, rows, rows.test_users, shape)
        if not group.rest.nnz:
            raise DatasetError(f"{dataset.name}: no cold user of the test has more than {splits.FOLD_IN} plays")
        popular = np.bincount(dataset.interactions.item[rows.train], minlength=shape[1]).astype(np.float64)
        todo = bases(dataset, rows, backbone, told) | {self.name: tower(module, told, backbone.items)}
        return {
            name: {
                f"cold_user/{column}_k{given}": values[column]
                for given, values in measured(method, group, popular).items()
                for column in SHOWN
            }
            for name, method in todo.items()
        }
