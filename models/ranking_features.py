"""Features of the ranker: one function for training and serving.

Columns of users and of items go in, numbered fields, dense values and a group come out. A row's features depend on
that row alone, bit by bit, whichever rows stand beside it. Nothing names a user.

How a user feels about an item that he has not played is told by a ridge regression (Hoerl & Kennard 1970) of his last
plays' completions on the items' vectors: `taste` gives its weights, ``weights . vector`` is its prediction.

Groups are activity by gender; how far new and old users differ in what they play is told by `interest_shift`, after
the personalised grouping of music recommenders (new and old users' interest by category, with gender as a prior).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.dataset import GENDERS
from models.taste import SMOOTHING, smoothed, taste, unit
from schemas.errors import AppError

TASKS = ("click", "like", "finish", "play_time")
"""Order of the ranker's answers: three logits, and the logit of the share of an item's length that is played."""
ESTABLISHED_PLAYS = 50
"""Plays from which a user counts as old."""
GROUPS = tuple(f"{activity} {gender or 'unknown'}" for gender in GENDERS for activity in ("new", "old"))
AGE_FROM = (18, 25, 35, 45, 50, 56)
"""Least age of each bucket after the first one; MovieLens 1M's buckets."""
YEAR_FROM = tuple(range(1950, 2035, 5))
LOG_BUCKETS = 16
"""Buckets of counts: 0, 1, 2-3, 4-7 and so on."""
TAG_SLOTS = 3
DENSE = (
    "user_plays", "user_completion", "user_lift", "item_plays", "item_completion",
    "affinity", "closeness", "tag_match", "interest_shift", "item_age", "item_year", "user_mean", "item_mean",
)  # fmt: skip

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]


class RankingInputError(AppError):
    """Columns or features that the ranker cannot score; the message names the one."""

    code = "ranking-input"


@dataclass(frozen=True, slots=True)
class RankingLayout:
    """What the numbers of the fields mean; part of the bundle's manifest.

    Attributes:
        items: Trained items.
        occupations: Names, the first for unknown.
        tags: Vocabulary of the items' tags.
        kinds: Kinds of items; empty where the data tells of none, and then kinds are not looked at.
        dim: Length of the item vectors.
        code_levels: Semantic codes an item; 0 leaves them out.
        code_size: Values of a code.
        history: Last plays of a user that his columns are made of; more are not looked at.
        completion_rate: Share of the train rows' plays that were finished, the prior of users and items.
        mean_completion: Mean completion of the train rows' plays, the prior of users and items.
        usual: Intercept and slope of the completion that is usual for an item by its mean, see `surplus`.
        tag_shift: By tag, `interest_shift` of the train rows.
        users: Users with a field of their own; 0, as in everything that is published: none.
        greatest_age_days: Greatest age of an item among the train plays, older ones count as this old; None, of
            versions made before it was kept: no bound.
    """

    items: int
    occupations: tuple[str, ...]
    tags: tuple[str, ...]
    kinds: tuple[str, ...]
    dim: int
    code_levels: int
    code_size: int
    history: int
    completion_rate: float
    mean_completion: float
    usual: tuple[float, ...]
    tag_shift: tuple[float, ...]
    users: int = 0
    greatest_age_days: float | None = None

    @property
    def fields(self) -> tuple[tuple[str, int], ...]:
        """Name and vocabulary size of each field, in order; 0 stands for unknown in each."""
        return (
            ("age", len(AGE_FROM) + 2),
            ("gender", len(GENDERS)),
            ("occupation", len(self.occupations)),
            ("activity", LOG_BUCKETS),
            ("item", self.items + 1),
            *((f"tag_{slot}", len(self.tags) + 1) for slot in range(TAG_SLOTS)),
            ("year", len(YEAR_FROM) + 2),
            ("kind", len(self.kinds) + 1),
            ("popularity", LOG_BUCKETS),
            ("catalogue_age", LOG_BUCKETS),
            ("cold", 2),
            *((f"code_{level}", self.code_size + 1) for level in range(self.code_levels)),
            *((("user", self.users + 1),) if self.users else ()),
        )

    def manifest(self) -> dict[str, Any]:
        """For the manifest: JSON values."""
        return asdict(self)

    @staticmethod
    def from_manifest(words: Mapping[str, Any]) -> RankingLayout:
        """What `manifest` gave, read back from JSON.

        Raises:
            RankingInputError: a name is missing or unknown.
        """
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in words.items()}
        try:
            return RankingLayout(**values)
        except TypeError as error:
            raise RankingInputError(f"ranking layout of the manifest: {error}") from error


@dataclass(frozen=True, slots=True)
class UserColumns:
    """Users, [n], or one for all items, [1].

    Attributes:
        age: Years, int16; -1 unknown.
        gender: Index into `GENDERS`, int8.
        occupation: Index into the layout's occupations, int16.
        plays: Plays in all, int64.
        completion: Share of these that were finished, float64, 0..1; means nothing without plays.
        taste: Weights by `taste`, float32 [n, D].
        lift: Mean surplus by `taste`, float64.
        recent: Mean of the unit vectors of the last plays, float32 [n, D]; zeros without plays.
        tag_share: Mean of the tags of the last plays, float32 [n, T]; zeros without plays.
        row: Number of the user for a layout with `RankingLayout.users`, -1 unknown, int64; else not read.
        mean: Mean completion of the last plays, drawn to the layout's, float64.
    """

    age: NDArray[np.int16]
    gender: NDArray[np.int8]
    occupation: NDArray[np.int16]
    plays: Longs
    completion: Doubles
    taste: Floats
    lift: Doubles
    recent: Floats
    tag_share: Floats
    row: Longs
    mean: Doubles

    def __len__(self) -> int:
        return len(self.age)

    def take(self, rows: NDArray[Any]) -> UserColumns:
        """The rows that an index or a mask names."""
        return UserColumns(*(getattr(self, name)[rows] for name in UserColumns.__slots__))


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """Items, [n].

    Attributes:
        row: Row of a trained item, int64; -1 for any other.
        tagged: bool [n, T]: which item has which tag.
        year: Year of release, int16; 0 unknown.
        kind: Index into the layout's kinds, int8; -1 unknown; not read where it has none.
        codes: Semantic codes, int64 [n, L]; -1 unknown.
        plays: Plays in all, int64.
        completion: Share of these that were finished, float64, 0..1; means nothing without plays.
        age_days: Days since the item came into the catalogue, float64, >= 0.
        cold: Whether the item counts as cold, bool.
        vector: Vectors of any length, float32 [n, D]; zeros where there is none.
        measured: Plays that ``mean`` is known of, int64.
        mean: Mean completion by `taste.mean_completion`, float64, 0..1; means nothing where none was measured.
    """

    row: Longs
    tagged: NDArray[np.bool_]
    year: NDArray[np.int16]
    kind: NDArray[np.int8]
    codes: Longs
    plays: Longs
    completion: Doubles
    age_days: Doubles
    cold: NDArray[np.bool_]
    vector: Floats
    measured: Longs
    mean: Doubles

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: NDArray[Any] | slice) -> ItemColumns:
        """The rows that an index, a mask or a slice names."""
        return ItemColumns(*(getattr(self, name)[rows] for name in ItemColumns.__slots__))


@dataclass(frozen=True, slots=True)
class RankingRows:
    """What the network takes.

    Attributes:
        fields: int64 [B, F], each within its field's vocabulary.
        dense: float32 [B, D], finite, in the order of `DENSE`.
        group: int64 [B], index into `GROUPS`.
    """

    fields: Longs
    dense: Floats
    group: Longs

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: Longs | NDArray[np.bool_]) -> RankingRows:
        """The rows that an index or a mask names."""
        return RankingRows(self.fields[rows], self.dense[rows], self.group[rows])


def ranking_rows(layout: RankingLayout, users: UserColumns, items: ItemColumns) -> RankingRows:
    """Features of pairs: user n with item n, or the one user with each item.

    Raises:
        RankingInputError: lengths that do not belong together, a number outside its vocabulary, or a value that is
            not finite.
    """
    if len(users) not in (1, len(items)):
        raise RankingInputError(f"{len(users)} users for {len(items)} items: one, or as many, expected")
    count = len(items)
    items = replace(items, vector=unit(items.vector), age_days=_age_days(layout, items.age_days))
    dense = np.empty((count, len(DENSE)), np.float32)  # [B, D]
    for place, (name, values) in enumerate(_dense(layout, users, items).items()):
        if not np.isfinite(values).all():
            raise RankingInputError(f"ranking feature {name} is not finite")
        dense[:, place] = values
    fields = np.empty((count, len(layout.fields)), np.int64)  # [B, F]
    columns = {**_user_fields(layout, users), **_item_fields(layout, items)}
    for place, (name, size) in enumerate(layout.fields):
        column = columns[name]
        if len(column) and (column.min() < 0 or column.max() >= size):
            raise RankingInputError(f"ranking field {name}: {column.min()}..{column.max()} of {size} values")
        fields[:, place] = column
    return RankingRows(fields, dense, np.broadcast_to(groups(users.gender, users.plays), count).copy())


def groups(gender: NDArray[np.int8], plays: Longs) -> Longs:
    """Group of each user, int64 [n], index into `GROUPS`: activity by gender."""
    return 2 * gender.astype(np.int64) + (plays >= ESTABLISHED_PLAYS)


def interest_shift(tagged: NDArray[np.bool_], new: NDArray[np.bool_]) -> Doubles:
    """How far each tag's share among new users' plays differs from that among old users', float64 [T].

    The natural logarithm of the ratio of the shares, each drawn to the share of all plays with the weight of 100
    plays; 0 where new and old users play a tag alike.

    Args:
        tagged: Tags of the played items, bool [N, T].
        new: Whether a new user played, bool [N].
    """
    overall = tagged.sum(axis=0) + 1.0
    overall = overall / overall.sum()
    counts = [tagged[side].sum(axis=0) + 100.0 * overall for side in (new, ~new)]
    fresh, old = (count / count.sum() for count in counts)
    shift: Doubles = np.log(fresh / old)
    return shift


def user_columns(
    layout: RankingLayout, age: int, gender: int, occupation: int, plays: int, completion: float, heard: ItemColumns,
    completions: Floats,
) -> UserColumns:  # fmt: skip
    """One user as columns, [1].

    Args:
        layout: Layout.
        age, gender, occupation, plays, completion: See `UserColumns`.
        heard: Items of the last plays, the newest first; those beyond the layout's history are not looked at.
        completions: Share played of each, float32 [n], 0..1.
    """
    heard, completions = heard.take(slice(layout.history)), completions[: layout.history]
    vectors = unit(heard.vector)
    weights, lift = taste(vectors, surplus(layout, heard, completions))
    count = max(len(heard), 1)
    return UserColumns(
        np.array([age], np.int16),
        np.array([gender], np.int8),
        np.array([occupation], np.int16),
        np.array([plays], np.int64),
        np.array([completion], np.float64),
        weights[None],
        np.array([lift]),
        (vectors.sum(axis=0) / count)[None],
        (heard.tagged.sum(axis=0, dtype=np.float32) / np.float32(count))[None],
        np.full(1, -1, np.int64),
        np.array([(completions.sum(dtype=np.float64) + SMOOTHING * layout.mean_completion) / (len(heard) + SMOOTHING)]),
    )


def together(users: Sequence[UserColumns]) -> UserColumns:
    """Columns of several users as one, at least one."""
    return UserColumns(*(np.concatenate([getattr(each, name) for each in users]) for name in UserColumns.__slots__))


def surplus(layout: RankingLayout, items: ItemColumns, completions: Floats) -> Doubles:
    """How much further items [n] were played, float64 [n], than is usual for items of their mean completion."""
    intercept, slope = layout.usual
    mean = smoothed(items.mean, items.measured, layout.mean_completion)
    beyond: Doubles = completions.astype(np.float64) - (intercept + slope * mean)
    return beyond


def _age_days(layout: RankingLayout, age_days: Doubles) -> Doubles:
    """At most the greatest trained one, beyond which the network only guesses; what is not finite stays an error."""
    if layout.greatest_age_days is None:
        return age_days
    return np.where(np.isfinite(age_days), np.minimum(age_days, layout.greatest_age_days), age_days)


def _user_fields(layout: RankingLayout, users: UserColumns) -> dict[str, Longs]:
    age = np.where(users.age < 0, 0, 1 + np.searchsorted(AGE_FROM, users.age, side="right"))
    return {
        "age": age,
        "gender": users.gender.astype(np.int64),
        "occupation": users.occupation.astype(np.int64),
        "activity": _log_bucket(users.plays),
        **({"user": users.row + 1} if layout.users else {}),
    }


def _item_fields(layout: RankingLayout, items: ItemColumns) -> dict[str, Longs]:
    # a stable sort of "not tagged" brings the numbers of the item's tags to the front
    first = np.argsort(~items.tagged, axis=1, kind="stable")[:, :TAG_SLOTS]  # [B, <=slots]
    slots = np.zeros((len(items), TAG_SLOTS), np.int64)
    slots[:, : first.shape[1]] = np.where(np.take_along_axis(items.tagged, first, axis=1), first + 1, 0)
    return {
        "item": items.row + 1,
        **{f"tag_{slot}": slots[:, slot] for slot in range(TAG_SLOTS)},
        "year": np.where(items.year > 0, 1 + np.searchsorted(YEAR_FROM, items.year, side="right"), 0),
        "kind": items.kind.astype(np.int64) + 1 if layout.kinds else np.zeros(len(items), np.int64),
        "popularity": _log_bucket(items.plays),
        "catalogue_age": _log_bucket(items.age_days.astype(np.int64)),
        "cold": items.cold.astype(np.int64),
        **{f"code_{level}": items.codes[:, level] + 1 for level in range(layout.code_levels)},
    }


def _dense(layout: RankingLayout, users: UserColumns, items: ItemColumns) -> dict[str, Doubles]:
    tags = items.tagged.astype(np.float64)  # [B, T]
    per_tag = 1.0 / np.maximum(items.tagged.sum(axis=1), 1)  # [B]
    values = {
        "user_plays": np.log1p(users.plays.astype(np.float64)),
        "user_completion": smoothed(users.completion, users.plays, layout.completion_rate),
        "user_lift": users.lift,
        "item_plays": np.log1p(items.plays.astype(np.float64)),
        "item_completion": smoothed(items.completion, items.plays, layout.completion_rate),
        "affinity": _dot(users.taste, items.vector),
        "closeness": _dot(users.recent, items.vector),
        "tag_match": _dot(users.tag_share, tags) * per_tag,
        "interest_shift": _dot(np.array([layout.tag_shift]), tags) * per_tag,
        "item_age": np.log1p(items.age_days),
        "user_mean": users.mean,
        "item_mean": smoothed(items.mean, items.measured, layout.mean_completion),
        "item_year": np.where(items.year > 0, (items.year - 2000) / 20.0, 0.0),
    }
    return {name: values[name] for name in DENSE}


def _dot(left: NDArray[Any], right: NDArray[Any]) -> Doubles:
    """Inner products row by row, [B]; by sums of rows, since a matrix product's last bits depend on the batch."""
    products: Doubles = (left.astype(np.float64) * right).sum(axis=1)
    return products


def _log_bucket(count: Longs) -> Longs:
    """0 for 0, 1 for 1, 2 for 2-3, 3 for 4-7 and so on, at most the last bucket."""
    exponent = np.frexp(np.maximum(count, 0).astype(np.float64))[1]
    return np.minimum(exponent, LOG_BUCKETS - 1).astype(np.int64)
