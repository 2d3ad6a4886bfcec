"""Recipes: what is trained how, on what, against what, and what it must reach; one module each.

``RECIPES`` are measured one by one (``overture train NAME``). ``STEPS`` make the parts of one version, in order
(``overture train all``): each takes what earlier ones left in `making.Making` and leaves its own part there.
"""

from __future__ import annotations

from models.training.recipes import cb2cf, ranker, semantic_id, two_tower
from models.training.recipes.base import Recipe
from models.training.recipes.cb2cf import CB2CFRecipe
from models.training.recipes.lightgcn import LightGCNRecipe
from models.training.recipes.making import Step
from models.training.recipes.ranker import RankerRecipe
from models.training.recipes.two_tower import TwoTowerRecipe
from models.training.recipes.user_cold import UserColdRecipe
from models.training.tables import boundary, cold_item, cold_user, ranking, warm
from models.training.tables.pages import Table

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (LightGCNRecipe(), TwoTowerRecipe(), CB2CFRecipe(), UserColdRecipe(), RankerRecipe())
}
"""By name. A new recipe stands here."""
STEPS: tuple[Step, ...] = (two_tower.step, cb2cf.step, semantic_id.step, ranker.step)
"""A new part stands here, behind those that it takes something from."""
TABLES: tuple[Table, ...] = (warm.TABLE, cold_item.TABLE, boundary.TABLE, cold_user.TABLE, ranking.TABLE)
"""Made with a version where the data set is ml-100k."""
