"""How lists are measured: full ranking of all items that a user is not known to have played."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, DatasetError, read
from models.recommender_bundle import HISTORY, Bundle
from models.recommender_manifest import Measure
from models.training import baselines
from models.training.data import ml100k, splits
from models.training.data.splits import Split
from models.training.histories import histories
from models.training.ranking_metrics import bootstrap, matrix
from models.training.recipes.base import RecipeError, Values
from models.training.tables.warm import measured

SHOWN = ("recall", "ndcg")
BLOCK = 512
WARM_SPLIT = "warm_split"
"""Name under which a manifest keeps the seed of the split that its version was trained on."""


@lru_cache(maxsize=1)
def dataset_of(data: str) -> Dataset:
    """The data set of a name or a folder; the last one stays in memory.

    Raises:
        DatasetError: it cannot be read.
    """
    return ml100k.load() if data == "ml-100k" else read(Path(data))


def warm(scores: NDArray[np.float32], dataset: Dataset, rows: Split, protocol: str = "warm") -> Values:
    """Recall and NDCG of each user with test plays; what he played in train or validation is not shown."""
    found = measured(scores, dataset, rows)
    return {f"{protocol}/{name}": values for name, values in found.items() if name.split("@")[0] in SHOWN}


def warm_baselines(dataset: Dataset, rows: Split, names: tuple[str, ...], protocol: str = "warm") -> dict[str, Values]:
    """The same of simple methods, see `baselines`."""
    played = dataset.interactions
    plays = matrix(played.user[rows.train], played.item[rows.train], (len(dataset.users), len(dataset.items)))
    return {name: warm(getattr(baselines, name)(plays), dataset, rows, protocol) for name in names}


def bundle_scores(bundle: Bundle, dataset: Dataset, rows: Split) -> NDArray[np.float32]:
    """Score of every pair, float32 [U, I], as the online service would compute it from the train rows.

    Raises:
        RecipeError: the items are not those that the bundle was trained on.
    """
    row_of = {item: row for row, item in enumerate(dataset.items.ids)}
    missing = [item for item in bundle.items.ids if item not in row_of]
    if missing or not len(bundle.items.ids):
        raise RecipeError(f"{len(missing)} of the version's items are not in {dataset.name}")
    column = np.array([row_of[item] for item in bundle.items.ids])
    vectors = np.zeros((len(dataset.items), bundle.manifest.dim), np.float32)
    vectors[column] = bundle.items.vectors
    past = histories(dataset.interactions, rows.train, (len(dataset.users), len(dataset.items)))
    manifest, users = bundle.manifest, dataset.users
    ages = np.array([manifest.age_bucket(int(age)) for age in users.age], np.int64)
    names = {name: number for number, name in enumerate(manifest.occupations)}
    occupations = np.array([names.get(users.occupations[row], 0) for row in users.occupation], np.int64)
    found = []
    for start in range(0, len(users), BLOCK):
        some = np.arange(start, min(start + BLOCK, len(users)))
        weights, number = past.weights(some, HISTORY)
        told = ages[some], users.gender[some].astype(np.int64), occupations[some]
        answer = bundle.user_vectors(np.asarray(weights @ vectors, np.float32), np.log1p(number)[:, None], *told)
        found.append(answer.vectors @ vectors.T)
    scores = np.concatenate(found)
    cold = np.ones(len(dataset.items), np.bool_)
    cold[column] = False
    scores[:, cold] = -np.inf
    return scores


def evaluate(bundle: Bundle, data: str) -> list[Measure]:
    """Figures of a bundle on the test rows of the split that it was trained on.

    Raises:
        DatasetError: the data set is not the one that it was trained on: test rows may have been train rows.
        RecipeError: the manifest names no split.
    """
    dataset, manifest = dataset_of(data), bundle.manifest
    if dataset.version != manifest.dataset.version:
        raise DatasetError(
            f"{dataset.name} {dataset.version} is not what {manifest.version} was trained on, "
            f"{manifest.dataset.name} {manifest.dataset.version}: its test rows are not unseen"
        )
    if WARM_SPLIT not in manifest.seeds:
        raise RecipeError(f"the manifest of {manifest.version} names no {WARM_SPLIT}")
    every = splits.signals(dataset.interactions, manifest.seeds[WARM_SPLIT])
    rows = Split(*(splits.plays_of(dataset.interactions, each) for each in (every.train, every.validation, every.test)))
    own = warm(bundle_scores(bundle, dataset, rows), dataset, rows)
    others = warm_baselines(dataset, rows, ("popularity", "item_knn"))
    found = []
    for key, values in own.items():
        whole, (protocol, _, name) = bootstrap(values), key.partition("/")
        beside = {method: float(figures[key].mean()) for method, figures in others.items()}
        found.append(Measure(protocol, name, whole.mean, whole.low, whole.high, (whole.mean,), beside))
    return found
