"""Items nobody has played: the protocol of `models.training.tables.cold_item`, and the content mapping of a version.

On ml-100k the recipe is measured with year, entities and title as well; a version maps from what items have online.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models import content_vector
from models.cb2cf import TAGS, WIDTH
from models.content_vector import ContentVectoriser
from models.dataset import Dataset, DatasetError
from models.recommender_files import CB2CF
from models.recommender_manifest import Calibration, Platt
from models.training import cb2cf, content_baselines, lightgcn
from models.training.cb2cf import Judged, fit_cb2cf
from models.training.cold_item_protocol import world
from models.training.content import Content, encoded_titles, ml100k_content
from models.training.data import ml100k, splits
from models.training.data.prompts import encoded_prompts
from models.training.ranking_metrics import matrix
from models.training.recipes.base import DEBUG_FIT, RecipeError, Run, Values, check_device
from models.training.recipes.making import Making
from models.training.tables import cold_item

HELD_OUT = 10
"""One in so many trained items is held out: its content is mapped and judged by plays that no part has learnt from."""


@dataclass(frozen=True, slots=True)
class CB2CFRecipe:
    """See `Recipe`."""

    name: str = "cb2cf"
    summary: str = "From what an item contains to its vector: strict cold start over items."
    config: cb2cf.Config = field(default_factory=cb2cf.Config)
    backbone: lightgcn.Config = field(default_factory=lightgcn.Config)
    splits: tuple[int, ...] = (0, 1, 2, 3, 4)
    bars: Mapping[str, float] = field(default_factory=lambda: {"cold_item/recall@20_to_ridge": 1.10})
    lower: frozenset[str] = frozenset()
    device: Literal["cpu", "cuda"] = "cpu"

    def debug(self) -> CB2CFRecipe:
        config = replace(cb2cf.Config.debug(), fit=replace(DEBUG_FIT, epochs=1))
        backbone = replace(self.backbone, fit=DEBUG_FIT)
        return replace(self, config=config, backbone=backbone, splits=(0,), bars={})

    def measure(self, dataset: Dataset, split: int, run: Run) -> Mapping[str, Values]:
        check_device(self.device, ("cpu",))
        shape = len(dataset.users), len(dataset.items)
        at = world(dataset, splits.cold_items(dataset.interactions, shape[1], split))
        content = measured_content(dataset, at.split.is_warm(shape[1]))
        watch = run.watch(f"cb2cf-backbone-{split}")
        graph = lightgcn.fit_lightgcn(dataset.interactions, at.split.warm, shape, self.backbone, watch)
        backbone = content_baselines.blended(graph, at.train, at.warm)
        judged = Judged(at.split.validation_items, at.cold_validation)
        learnt = at.warm[content.present[at.warm].any(axis=1)]
        module = fit_cb2cf(content, at.train, backbone, learnt, judged, self.config, run.watch(f"cb2cf-{split}"))
        found: dict[str, Values] = {}
        for name, scores in cold_item.methods(at, content, backbone, module).items():
            values = {"recall@20": at.cold(scores, "test"), "ndcg@20": at.cold(scores, "test", "ndcg@20")}
            values["recall@20_among_all_cold"] = at.among_all_cold(scores)
            figures = {f"cold_item/{key}": each[~np.isnan(each)] for key, each in values.items()}
            found[self.name if name == cold_item.CB2CF else name] = figures
        recall = "cold_item/recall@20"
        ratio = found[self.name][recall].mean() / found[cold_item.RIDGE][recall].mean()
        return found | {self.name: {**found[self.name], f"{recall}_to_ridge": np.array([ratio])}}


def measured_content(dataset: Dataset, warm: NDArray[np.bool_]) -> Content:
    """Parts of all items, of which nothing is learnt from cold ones."""
    if dataset.name != "ml-100k":
        return online_content(dataset)[0]
    return ml100k_content(dataset, warm, ml100k.entities(dataset), encoded_titles(dataset, lambda _: None))


def step(making: Making) -> None:
    """CB2CF into the version's space, and the calibration of cold items' scores.

    Raises:
        RecipeError: no step before has made vectors, or scores by content tell nothing about plays.
    """
    if making.backbone is None or making.boundaries is None or making.calibration is None:
        raise RecipeError("cb2cf needs users, items and boundaries: the towers' step comes first")
    config = cb2cf.Config.debug() if making.debug else cb2cf.Config()
    config = replace(config, fit=replace(config.fit, seed=making.seed))
    dataset, rows, played = making.dataset, making.rows, making.dataset.interactions
    content, making.content_version = online_content(dataset)
    usable = making.trained[content.present[making.trained].any(axis=1)]
    held = np.sort(np.random.default_rng(making.seed).permutation(usable)[: max(len(usable) // HELD_OUT, 1)])
    plays, later = (
        matrix(played.user[some], played.item[some], making.shape)
        for some in (splits.plays_of(played, part) for part in (rows.train, rows.validation))
    )
    judged, learnt = Judged(held, later), np.setdiff1d(usable, held)
    module = fit_cb2cf(content, plays, making.backbone, learnt, judged, config, making.run.watch("cb2cf"))
    vectors, _ = cb2cf.mapped(module, content, held)
    above = making.backbone.users @ vectors.T - making.boundaries[:, None]
    unseen = plays[:, held].toarray() == 0
    # the same as the boundary's, or cold and warm likelihoods would not compare
    negatives = making.configs["two_tower"].boundary.negatives
    cold = platt(above[unseen], later[:, held].toarray()[unseen] > 0, negatives)
    making.calibration = Calibration(making.calibration.warm, cold)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CB2CF
        cb2cf.export(module, content, path)
        making.networks[CB2CF] = path.read_bytes()
    making.parts, making.tags = content.names, dataset.items.tags
    making.configs["cb2cf"] = config


def online_content(dataset: Dataset) -> tuple[Content, str]:
    """What the online service would know of each item: parts of the joint vector, and tags; and its version.

    Items without vectors of their own, as those of ml-100k, have that of their prompt: title and year.
    """
    items = dataset.items
    parts = {name: items.parts[name] for name in content_vector.PARTS if name in items.parts}
    present = {name: items.present[name] for name in parts}
    version = items.content_version
    if not parts:
        vectoriser = ContentVectoriser()
        joint = [vectoriser.join(None, None, prompt) for prompt in encoded_prompts(dataset)]
        parts, present = content_vector.split(np.stack(joint))
        parts, present, version = {"text": parts["text"]}, {"text": present["text"]}, vectoriser.version
    if len(items.tags) > WIDTH:
        raise DatasetError(f"{dataset.name}: {len(items.tags)} tags, a part of the content holds {WIDTH}")
    tags = np.zeros((len(items), WIDTH), np.float32)
    tags[:, : len(items.tags)] = items.tagged
    parts, present = {**parts, TAGS: tags}, {**present, TAGS: items.tagged.any(axis=1)}
    return Content(tuple(parts), np.stack([*parts.values()], 1), np.stack([*present.values()], 1)), version


def platt(above: NDArray[np.float32], truth: NDArray[np.bool_], negatives: int) -> Platt:
    """Calibration of scores less boundary [N], a play weighing as much as ``negatives`` pairs without one.

    Raises:
        RecipeError: one class only, or a higher score does not mean more plays.
    """
    if truth.all() or not truth.any():
        raise RecipeError("cold scores cannot be calibrated: the held-out items have no plays, or nothing else")
    weight = np.where(truth, 1.0, negatives * truth.sum() / (~truth).sum())
    model = LogisticRegression(C=np.inf).fit(above[:, None], truth, sample_weight=weight)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        raise RecipeError(f"cold scores cannot be calibrated: slope {slope:.3f}, content tells nothing about plays")
    return Platt(slope, offset)
