"""Rows that the ranker learns from: features of each pair without a trace of what is asked, and the labels.

What a user or an item is known by (plays, mean completion, taste) comes from the train rows alone. For a train row it
must not hold the row itself. Leaving out just that row gives its label away to whoever knows the rest (the mean without
a liked row is a little lower), so the train rows are cut into folds and each fold is described by the others
(out-of-fold target statistics, as in stacking: Wolpert 1992).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, DatasetError, Interactions, Items
from models.ranking_features import (
    ESTABLISHED_PLAYS,
    TASKS,
    ItemColumns,
    RankingLayout,
    RankingRows,
    interest_shift,
    ranking_rows,
    together,
    user_columns,
)
from models.recommender_bundle import HISTORY
from models.taste import COMPLETION_UNITS, mean_completion, smoothed
from models.training.data.splits import Split

DAY_MS = 86_400_000
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Config:
    """How rows are made.

    Attributes:
        folds: Parts that the train rows are cut into.
        history: Last plays of a user that he is described by; by default as many as serving has.
        cold_share: Share of the train rows whose item is shown as an unknown one, so that unknown ones can be scored.
        negatives: Items not played, drawn for each play as shown and not clicked; only where the data has no
            exposures of its own, and for the task click alone.
        users: Whether users have a field of their own (never in what is published).
        seed: Seed of folds, cold items and negatives.
    """

    folds: int = 10
    history: int = HISTORY
    cold_share: float = 0.03
    negatives: int = 1
    users: bool = False
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Labelled:
    """Features with labels.

    Attributes:
        rows: Features, [B].
        labels: float32 [B, 4] in the order of `TASKS`, 0..1.
        counts: bool [B, 4]: which label of a row is known; what was not clicked says nothing about liking.
        user: Row of the user, int32 [B].
    """

    rows: RankingRows
    labels: NDArray[np.float32]
    counts: NDArray[np.bool_]
    user: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.user)

    def of_clicks(self) -> Labelled:
        """The rows that were clicked."""
        chosen = self.counts[:, TASKS.index("like")]
        return Labelled(self.rows.take(chosen), self.labels[chosen], self.counts[chosen], self.user[chosen])


@dataclass(frozen=True, slots=True)
class RankingData:
    """All that a ranker is trained and judged on.

    Attributes:
        layout: What the fields mean.
        train, validation, test: Rows.
    """

    layout: RankingLayout
    train: Labelled
    validation: Labelled
    test: Labelled


def ranking_data(
    dataset: Dataset, split: Split, vectors: NDArray[np.float32], codes: NDArray[np.int64], config: Config
) -> RankingData:
    """Features and labels of a split.

    Args:
        dataset: Everything.
        split: Rows of its interactions.
        vectors: Item vectors learnt from the train rows alone, float32 [I, D].
        codes: Semantic codes of the items, int64 [I, L]; L = 0 leaves them out.
        config: Settings.

    Raises:
        DatasetError: no train rows.
    """
    if not len(split.train):
        raise DatasetError(f"{dataset.name}: no rows to train a ranker on")
    known = dataset.interactions
    parts = [known.take(np.sort(rows)) for rows in (split.train, split.validation, split.test)]
    random = np.random.default_rng(config.seed)
    if known.clicked.all():
        seen = np.unique(known.user.astype(np.int64) * len(dataset.items) + known.item)
        parts = [_with_negatives(each, seen, len(dataset.items), config.negatives, random) for each in parts]
    history = parts[0].take(parts[0].clicked)
    layout = _layout(dataset, history, vectors.shape[1], codes, config)
    fold = random.integers(config.folds, size=len(parts[0]))
    described = [
        _Statistics(dataset, layout, vectors, codes, parts[0].take((fold != number) & parts[0].clicked))
        for number in range(config.folds)
    ]
    pieces = [
        described[number].rows(parts[0].take(fold == number), random.random((fold == number).sum()) < config.cold_share)
        for number in range(config.folds)
    ]
    whole = _Statistics(dataset, layout, vectors, codes, history)
    order = np.argsort(np.concatenate([np.flatnonzero(fold == number) for number in range(config.folds)]))
    train = RankingRows(*(np.concatenate([getattr(p, n) for p in pieces])[order] for n in RankingRows.__slots__))
    validation, test = (whole.rows(part, np.zeros(len(part), np.bool_)) for part in parts[1:])
    return RankingData(
        layout, *(_labelled(rows, part) for rows, part in zip((train, validation, test), parts, strict=True))
    )


def check_classes(part: str, labelled: Labelled) -> None:
    """Whether each yes-or-no task has both answers.

    Raises:
        DatasetError: it has not.
    """
    for number, task in enumerate(TASKS[:-1]):
        answers = labelled.labels[labelled.counts[:, number], number] > 0
        if not answers.any() or answers.all():
            only = "no rows" if not len(answers) else f"{len(answers)} rows, all {'yes' if answers[0] else 'no'}"
            raise DatasetError(f"the {part} rows hold one class only for the task {task}: {only}")


class _Statistics:
    """What some plays (in order of time) tell of every user and item."""

    def __init__(
        self,
        dataset: Dataset,
        layout: RankingLayout,
        vectors: NDArray[np.float32],
        codes: NDArray[np.int64],
        plays: Interactions,
    ) -> None:
        self.layout, users, known = layout, dataset.users, dataset.items
        user_plays, user_rate = _rates(plays.user, plays.finished, len(users))
        item_plays, item_rate = _rates(plays.item, plays.finished, len(known))
        item_mean = _means(plays, len(known))
        self.items = ItemColumns(
            np.where(item_plays > 0, np.arange(len(known)), -1), known.tagged, known.year,
            np.full(len(known), -1, np.int8), codes, item_plays, item_rate, np.zeros(len(known)), item_plays == 0,
            vectors, item_plays, item_mean,
        )  # fmt: skip
        self.since_ms = _since(known, plays)
        each = []
        bounds = np.searchsorted(
            plays.user, np.arange(len(users) + 1), sorter=(order := np.argsort(plays.user, kind="stable"))
        )
        for user in range(len(users)):
            last = order[bounds[user] : bounds[user + 1]][: -layout.history - 1 : -1]  # the newest first, as online
            each.append(
                user_columns(
                    layout,
                    int(users.age[user]),
                    int(users.gender[user]),
                    int(users.occupation[user]),
                    int(user_plays[user]),
                    float(user_rate[user]),
                    self.items.take(plays.item[last]),
                    plays.completion[last],
                )
            )
        self.users = replace(together(each), row=np.arange(len(users)))

    def rows(self, shown: Interactions, as_cold: NDArray[np.bool_]) -> RankingRows:
        """Features of pairs, those of ``as_cold`` with the item unknown but for its content, its vector and its age."""
        users = self.users.take(shown.user)
        items = self.items.take(shown.item)
        items = replace(
            items,
            row=np.where(as_cold, -1, items.row),
            plays=np.where(as_cold, 0, items.plays),
            measured=np.where(as_cold, 0, items.measured),
            age_days=_age_days(self.since_ms, shown),
            cold=as_cold | items.cold,
        )
        return ranking_rows(self.layout, users, items)


def _since(items: Items, plays: Interactions) -> Rows:
    """Unix ms from which an item's age counts, [I]: when it was published, else its first play; without both never."""
    if items.published_ms is not None:
        return items.published_ms
    first = np.full(len(items), np.iinfo(np.int64).max)
    np.minimum.at(first, plays.item, plays.at_ms)
    return first


def _age_days(since_ms: Rows, shown: Interactions) -> NDArray[np.float64]:
    days: NDArray[np.float64] = (shown.at_ms - np.minimum(since_ms[shown.item], shown.at_ms)) / DAY_MS
    return days


def _rates(key: NDArray[np.int32], finished: NDArray[np.bool_], count: int) -> tuple[Rows, NDArray[np.float64]]:
    plays = np.bincount(key, minlength=count)
    return plays, np.bincount(key, finished, minlength=count) / np.maximum(plays, 1)


def _means(plays: Interactions, items: int) -> NDArray[np.float64]:
    """Mean completion of each item, float64 [I], with the rounding of the counts that serving has."""
    units = np.rint(plays.completion.astype(np.float64) * COMPLETION_UNITS)
    total = np.bincount(plays.item, units, minlength=items).astype(np.int64)
    return mean_completion(total, np.bincount(plays.item, minlength=items))


def _layout(
    dataset: Dataset, history: Interactions, dim: int, codes: NDArray[np.int64], config: Config
) -> RankingLayout:
    plays = np.bincount(history.user, minlength=len(dataset.users))
    item_plays = np.bincount(history.item, minlength=len(dataset.items))
    prior = float(history.completion.mean(dtype=np.float64))
    usual = smoothed(_means(history, len(dataset.items)), item_plays, prior)[history.item]
    slope, intercept = np.polyfit(usual, history.completion, 1)
    shift = interest_shift(dataset.items.tagged[history.item], plays[history.user] < ESTABLISHED_PLAYS)
    return RankingLayout(
        items=len(dataset.items),
        occupations=dataset.users.occupations,
        tags=dataset.items.tags,
        kinds=(),
        dim=dim,
        code_levels=codes.shape[1],
        code_size=int(codes.max()) + 1 if codes.size else 0,
        history=config.history,
        completion_rate=float(history.finished.mean()),
        mean_completion=prior,
        usual=(float(intercept), float(slope)),
        tag_shift=tuple(float(each) for each in shift),
        greatest_age_days=float(_age_days(_since(dataset.items, history), history).max()),
        users=len(dataset.users) if config.users else 0,
    )


def _with_negatives(
    shown: Interactions, seen: Rows, items: int, each: int, random: np.random.Generator
) -> Interactions:
    """The rows and, after each play, items that the user never played, drawn uniformly, not clicked."""
    copies = shown.take(np.repeat(np.arange(len(shown)), each))
    user = copies.user.astype(np.int64)
    item = random.integers(items, size=len(copies))
    for _ in range(20):
        again = np.isin(user * items + item, seen)
        if not again.any():
            break
        item[again] = random.integers(items, size=int(again.sum()))
    nothing = replace(
        copies,
        item=item.astype(np.int32),
        clicked=np.zeros_like(copies.clicked),
        liked=np.zeros_like(copies.liked),
        completion=np.zeros_like(copies.completion),
        played_ms=np.zeros_like(copies.played_ms),
    )
    both = [np.concatenate([getattr(side, name) for side in (shown, nothing)]) for name in Interactions.__slots__]
    return Interactions(*both)


def _labelled(rows: RankingRows, shown: Interactions) -> Labelled:
    labels = np.stack([shown.clicked, shown.liked, shown.finished, shown.completion.clip(0.0, 1.0)], axis=1)
    counts = np.stack([np.ones(len(shown), np.bool_), *[shown.clicked] * (len(TASKS) - 1)], axis=1)
    return Labelled(rows, labels.astype(np.float32), counts, shown.user)
