"""Table of the cold-user protocol on ml-100k: ``python -m models.training.tables.cold_user``.

A fifth of the users is cold; half of them choose when to stop, half are reported; the protocol is that of
``models.training.cold_protocol``. In LightGCN's space, and in that of the two-tower, which a version has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.dataset import Dataset
from models.training import baselines, demographic_prior, lightgcn, two_tower, user_cold
from models.training.backbone import Backbone
from models.training.cold_protocol import GIVEN, ColdGroup, later_plays, shown
from models.training.data import splits
from models.training.data.splits import ColdUsers, Split
from models.training.histories import histories
from models.training.loop import Watch
from models.training.ranking_metrics import Scores, bootstrap, coverage, matrix
from models.training.tables import pages
from models.training.two_tower import Demographics, demographics

COMMAND = "python -m models.training.tables.cold_user"
POPULARITY, OURS, TOWER = "popularity", "user cold start", "two-tower alone"
OURS_OF_TOWERS, AS_SERVED = "user cold start, two-tower's space", "both towers, as served"
FOLDED, EASE = "fold-in", "EASE fold-in"
KERNEL = "later plays of users like him"
"""The distribution that the prior is fitted to, as it is: what the space of the vectors costs."""
NEED_PLAYS = (FOLDED, EASE)
"""Methods that have nothing to say of a user without plays."""
EARLY = ", the first k plays"
PRIOR = 3.0
"""Plays that the prior of the blended fold-in is worth (research/recommend.md)."""
BARS = {0: 0.115, 5: 0.14, 10: 0.154}
"""Recall@20 to reach."""
COLUMNS = ("recall@20", "ndcg@20", "niche recall@20", "coverage@20")

Method = Callable[[ColdGroup, int], Scores]
Found = dict[str, dict[int, dict[str, NDArray[np.float64]]]]
"""By method and plays given: one value a user, or one in all; ``niche`` says which users are."""


def bases(dataset: Dataset, split: ColdUsers, backbone: Backbone, told: Demographics) -> dict[str, Method]:
    """What a cold start must beat; all know the warm users' plays only."""
    interactions, shape = dataset.interactions, (len(dataset.users), len(dataset.items))
    plays = matrix(interactions.user[split.train], interactions.item[split.train], shape)
    popular = np.asarray(plays.sum(axis=0), np.float32).ravel()  # [I]
    warm = np.flatnonzero(np.diff(plays.indptr))
    fields = np.concatenate([np.eye(int(each.max()) + 1)[each.numpy()] for each in told], axis=1)  # [U, F]
    square = fields[warm].T @ fields[warm] + 10 * np.eye(fields.shape[1])
    prior = fields @ np.linalg.solve(square, fields[warm].T @ backbone.users[warm])  # [U, D]
    same = told.age * 8 + told.gender  # [U]
    weights = baselines.ease_weights(plays)  # [I, I]
    past, settings = histories(interactions, split.train, shape), demographic_prior.Config()
    alike = demographic_prior.likeness(dataset.users, told, warm, settings)  # [C, W]
    head = demographic_prior.expected(alike, later_plays(past, warm), settings.activity)  # [C, I]
    cell = demographic_prior.cell_of(*told, len(dataset.users.occupations)).numpy()  # [U]

    def like_him(group: ColdGroup, _given: int) -> Scores:
        alike = (same[group.users][:, None] == same[warm][None, :]).numpy().astype(np.float32)  # [V, W]
        # where nobody of his group played an item, everybody decides
        return np.asarray(alike @ plays[warm].toarray() + 1e-3 * popular, np.float32)

    def folded(group: ColdGroup, given: int) -> NDArray[np.float32]:
        return shown(group.known(given), told.take(group.users), backbone.items).history.numpy()

    def blended(group: ColdGroup, given: int) -> Scores:
        vectors = (given * folded(group, given) + PRIOR * prior[group.users]) / (given + PRIOR)
        return np.asarray(vectors @ backbone.items.T, np.float32)

    return {
        POPULARITY: lambda group, _given: np.tile(popular, (len(group.users), 1)),
        "popularity by age and gender": like_him,
        KERNEL: lambda group, _given: head[cell[group.users]],
        FOLDED: lambda group, given: folded(group, given) @ backbone.items.T,
        "fold-in with demographic prior": blended,
        EASE: lambda group, given: np.asarray(group.known(given) @ weights, np.float32),
    }


def tower(module: nn.Module, told: Demographics, items: NDArray[np.float32]) -> Method:
    """A user tower as a method."""

    def scores(group: ColdGroup, given: int) -> Scores:
        with torch.no_grad():
            vectors = module(*shown(group.known(given), told.take(group.users), items)).numpy()  # [V, D]
        return np.asarray(vectors @ items.T, np.float32)

    return scores


def methods(dataset: Dataset, split: ColdUsers, watch: Watch) -> dict[str, Method]:
    """All that is compared, in the order of the table."""
    shape, told = (len(dataset.users), len(dataset.items)), demographics(dataset.users)
    none, config = np.empty(0, np.int64), user_cold.Config()
    rows = Split(split.train, none, none)
    graph = lightgcn.fit_lightgcn(dataset.interactions, rows, shape, lightgcn.Config(), watch)
    module = user_cold.fit_user_cold(dataset, split, graph, config, watch)
    others = told.take(np.random.default_rng(0).permutation(shape[0]))
    both = two_tower.fit_two_tower(dataset, rows, two_tower.Config(), watch, graph.items)
    space = both.backbone(histories(dataset.interactions, split.train, shape), told)
    of_towers = user_cold.fit_user_cold(dataset, split, space, config, watch)
    return bases(dataset, split, graph, told) | {
        f"{OURS}, told of others": tower(module, others, graph.items),
        OURS: tower(module, told, graph.items),
        TOWER: tower(both.user, told, space.items),
        OURS_OF_TOWERS: tower(of_towers, told, space.items),
        AS_SERVED: tower(user_cold.UserTowers(of_towers, both.user).eval(), told, space.items),
    }


def measured(method: Method, group: ColdGroup, popular: NDArray[np.float64]) -> dict[int, dict[str, NDArray[Any]]]:
    """Measures of one method on the test users, by plays given."""
    taste = (group.rest @ popular) / np.maximum(np.diff(group.rest.indptr), 1)
    niche = taste[np.diff(group.rest.indptr) > 0]
    found = {}
    for given in GIVEN:
        lists = group.lists(method(group, given), given)
        recall, ndcg = group.metrics(lists)
        found[given] = {
            "recall@20": recall,
            "ndcg@20": ndcg,
            "niche recall@20": recall[niche <= np.quantile(niche, 0.25)],
            "coverage@20": np.array([coverage(lists, len(popular))]),
        }
    return found


def summary(by_split: list[Found], seeds: list[int]) -> dict[str, Any]:
    """Means over splits, and ours against each other method, paired by user and split."""
    names = list(by_split[0])

    def mean(name: str, given: int, column: str) -> float:
        return float(np.mean([split[name][given][column].mean() for split in by_split]))

    def against(name: str, given: int, column: str) -> dict[str, float]:
        pairs = [split[OURS][given][column] - split[name][given][column] for split in by_split]
        return asdict(bootstrap(np.concatenate(pairs)))

    means = {name: {given: {c: mean(name, given, c) for c in COLUMNS} for given in GIVEN} for name in names}
    return {
        "splits": seeds,
        "means": means,
        "by_split": {
            name: {given: [float(s[name][given]["recall@20"].mean()) for s in by_split] for given in GIVEN}
            for name in (POPULARITY, OURS, AS_SERVED)
        },
        "ours_minus": {
            name: {given: {c: against(name, given, c) for c in ("recall@20", "ndcg@20")} for given in GIVEN}
            for name in names
            if name != OURS and not name.endswith(EARLY)
        },
    }


def table(found: dict[str, Any], dataset: Dataset) -> str:
    """The same in words and columns."""
    means, given = found["means"], [str(each) for each in GIVEN]
    lines = [
        "# Recommender: cold users",
        "",
        f"{dataset.source}. A fifth of the users is cold: nothing of them is learnt from; half of them say when to",
        "stop, half are reported here. All plays after their first ten are the test, the same for every k; given are",
        "the k plays right before it (in two rows the first k instead, which lie up to ten plays back). What is given",
        "is left out of the lists of every method, popularity too, which makes its NDCG rise with k. Item space:",
        f"LightGCN's, where none is named. Mean of splits {', '.join(map(str, found['splits']))}. `{COMMAND}`.",
    ]
    for column in COLUMNS:
        lines += ["", f"## {column}", "", "| method | " + " | ".join(f"k={k}" for k in given) + " |"]
        lines += ["| --- |" + " ---: |" * len(given)]
        for name, row in means.items():
            cells = [f"{row[k][column]:.3f}" if k or name not in NEED_PLAYS else "-" for k in GIVEN]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Niche: the quarter of the test users whose later plays are the least popular.", "", "## Bars", ""]
    for name in (OURS, AS_SERVED):
        for k, bar in BARS.items():
            value = means[name][k]["recall@20"]
            lines.append(f"- {name}, Recall@20 with k={k}: {value:.4f} of {bar}, {'met' if value >= bar else 'missed'}")
        below = [k for k in GIVEN if means[name][k]["ndcg@20"] < means[POPULARITY][k]["ndcg@20"]]
        lines.append(f"- {name}, NDCG@20 below popularity's: {', '.join(f'k={k}' for k in below) or 'at no k'}")
    for name, by_given in found["by_split"].items():
        lines += ["", f"Recall@20 of {name} split by split:", ""]
        lines += [f"- k={k}: " + " ".join(f"{value:.3f}" for value in values) for k, values in by_given.items()]
    lines += ["", f"## {OURS} minus the others, paired by user and split, 95 % bootstrap interval", ""]
    lines += ["| against | k | Recall@20 | NDCG@20 |", "| --- | ---: | --- | --- |"]
    for name, by_given in found["ours_minus"].items():
        for k, row in by_given.items():
            if not k and name in NEED_PLAYS:
                continue
            cells = [f"{each['mean']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}]" for each in row.values()]
            lines.append(f"| {name} | {k} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def measure_split(dataset: Dataset, seed: int, watch: Watch) -> Found:
    """Measures by method and plays given."""
    shape = (len(dataset.users), len(dataset.items))
    split = splits.cold_users(dataset.interactions, shape[0], seed)
    group = ColdGroup.of(dataset.interactions, split, split.test_users, shape)
    popular = np.bincount(dataset.interactions.item[split.train], minlength=shape[1]).astype(np.float64)
    todo, early = methods(dataset, split, watch), replace(group, latest=False)
    found = {name: measured(method, group, popular) for name, method in todo.items()}
    return found | {f"{name}{EARLY}": measured(todo[name], early, popular) for name in (POPULARITY, OURS)}


def page(dataset: Dataset, by_split: list[Found], seeds: list[int]) -> tuple[dict[str, Any], str]:
    """Figures, and the same in words and columns."""
    found = summary(by_split, seeds)
    return found, table(found, dataset)


TABLE = pages.Table("recommender-cold-user", measure_split, page)

if __name__ == "__main__":
    pages.command(TABLE)
