"""What recommender models learn from, as columns: users, items, what users saw and did.

Ids are held once; everything else counts in rows of `Users` and `Items`. Saved as two files, a description in JSON and
the columns in safetensors; the version is the hash of both, so that a model can name exactly what it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from schemas.errors import AppError

GENDERS = ("", "female", "male")
"""By number in `Users.gender`; the first stands for unknown."""
FINISHED = 0.9
"""Completion from which a play counts as finished, here as in `play_aggregation`."""
DESCRIPTION, COLUMNS = "dataset.json", "columns.safetensors"


class DatasetError(AppError):
    """A data set that cannot be used: inconsistent, empty, or not the file that was saved."""

    code = "dataset-unusable"


@dataclass(frozen=True, slots=True)
class Users:
    """One row a user, [U].

    Attributes:
        ids: Ids, or pseudonyms of them.
        age: Years, int16; -1 unknown.
        gender: Index into `GENDERS`, int8.
        occupation: Index into `occupations`, int16.
        occupations: Names; the first is empty and stands for unknown.
    """

    ids: tuple[str, ...]
    age: NDArray[np.int16]
    gender: NDArray[np.int8]
    occupation: NDArray[np.int16]
    occupations: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Items:
    """One row an item, [I].

    Attributes:
        ids: Ids.
        titles: Titles.
        year: Year of release, int16; 0 unknown.
        tags: Names of tags (genres, classes).
        tagged: bool [I, T]: which item has which.
        parts: Content by modality, float32 [I, D] each, finite; zeros where absent.
        present: bool [I] by modality: whether the item has it.
        content_version: Version of the encoders and the projection behind ``parts``; empty for parts made otherwise.
        published_ms: When each came into the catalogue, Unix time in ms, int64 [I]; None where nobody knows.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    year: NDArray[np.int16]
    tags: tuple[str, ...]
    tagged: NDArray[np.bool_]
    parts: dict[str, NDArray[np.float32]]
    present: dict[str, NDArray[np.bool_]]
    content_version: str = ""
    published_ms: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Interactions:
    """One row for each time an item was shown to a user, [N], in order of time.

    Attributes:
        user: Row of the user, int32.
        item: Row of the item, int32.
        at_ms: When, Unix time in ms, int64.
        clicked: Whether it was played at all.
        liked: Whether the user liked it.
        completion: Share listened to, 0..1, float32; 0 where not played.
        played_ms: Time listened, ms, int32; 0 where not played.
        position: Rank in the list shown, from 0, int16; -1 unknown.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    clicked: NDArray[np.bool_]
    liked: NDArray[np.bool_]
    completion: NDArray[np.float32]
    played_ms: NDArray[np.int32]
    position: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Whether it was played to its end, bool [N]."""
        done: NDArray[np.bool_] = self.clicked & (self.completion >= FINISHED)
        return done

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Interactions:
        """The rows that an index or a mask names."""
        return Interactions(*(getattr(self, name)[rows] for name in Interactions.__slots__))


@dataclass(frozen=True, slots=True)
class Dataset:
    """All three, with where they come from.

    Attributes:
        name: For example ``ml-100k`` or ``topics``.
        source: One sentence: where the rows come from and by what rule.
        non_commercial: Whether a licence excludes commercial use of what is learnt from it.
    """

    name: str
    source: str
    users: Users
    items: Items
    interactions: Interactions
    non_commercial: bool = False

    @property
    def version(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 over description and columns."""
        description, columns = _encoded(self)
        return hashlib.sha256(description + columns).hexdigest()[:16]

    def with_parts(self, parts: dict[str, NDArray[np.float32]], present: dict[str, NDArray[np.bool_]]) -> Dataset:
        """The same with further content of the items."""
        items = self.items
        return replace(self, items=replace(items, parts={**items.parts, **parts}, present={**items.present, **present}))


def check(dataset: Dataset) -> None:
    """Whether it can be learnt from.

    Raises:
        DatasetError: no rows, rows that name no user or item, lengths that differ, or values that are not finite; the
            message names the column.
    """
    users, items, rows = dataset.users, dataset.items, dataset.interactions
    if not len(rows):
        raise DatasetError(f"{dataset.name}: the history is empty")
    for name in Interactions.__slots__:
        if len(getattr(rows, name)) != len(rows):
            raise DatasetError(f"{dataset.name}: column {name} has another length than the others")
    for name, column, count in (("user", rows.user, len(users)), ("item", rows.item, len(items))):
        if column.min() < 0 or column.max() >= count:
            raise DatasetError(f"{dataset.name}: column {name} names row {int(column.max())} of {count}")
    for name, length in (("age", len(users.age)), ("gender", len(users.gender)), ("occupation", len(users.occupation))):
        if length != len(users):
            raise DatasetError(f"{dataset.name}: users' {name} has {length} rows of {len(users)}")
    if items.tagged.shape != (len(items), len(items.tags)) or len(items.year) != len(items):
        raise DatasetError(f"{dataset.name}: tags or years do not belong to the {len(items)} items")
    if items.published_ms is not None and len(items.published_ms) != len(items):
        raise DatasetError(f"{dataset.name}: {len(items.published_ms)} publication times of {len(items)} items")
    for name, matrix in items.parts.items():
        if name not in items.present or len(matrix) != len(items) or len(items.present[name]) != len(items):
            raise DatasetError(f"{dataset.name}: part {name} does not belong to the {len(items)} items")
        if not np.isfinite(matrix).all():
            row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
            raise DatasetError(f"{dataset.name}: part {name} of item {items.ids[row]} is not finite")
    if not np.isfinite(rows.completion).all():
        raise DatasetError(f"{dataset.name}: a completion is not finite")


def write(dataset: Dataset, folder: Path) -> str:
    """Saves it under ``folder/<version>``; the version.

    Raises:
        DatasetError: see `check`.
    """
    check(dataset)
    description, columns = _encoded(dataset)
    version = hashlib.sha256(description + columns).hexdigest()[:16]
    place = folder / version
    place.mkdir(parents=True, exist_ok=True)
    (place / COLUMNS).write_bytes(columns)
    (place / DESCRIPTION).write_bytes(description)
    return version


def read(folder: Path) -> Dataset:
    """What `write` left in ``folder`` (named by its version).

    Raises:
        DatasetError: it is not there, not readable, or its bytes are not those of its name.
    """
    try:
        description, columns = (folder / DESCRIPTION).read_bytes(), (folder / COLUMNS).read_bytes()
    except OSError as error:
        raise DatasetError(f"{folder}: {error.strerror}") from error
    if hashlib.sha256(description + columns).hexdigest()[:16] != folder.name:
        raise DatasetError(f"{folder}: the bytes are not those that were saved")
    words, arrays = json.loads(description), load(columns)
    parts = {name.removeprefix("part."): a for name, a in arrays.items() if name.startswith("part.")}
    present = {name.removeprefix("present."): a for name, a in arrays.items() if name.startswith("present.")}
    dataset = Dataset(
        words["name"],
        words["source"],
        Users(
            tuple(words["users"]), arrays["age"], arrays["gender"], arrays["occupation"], tuple(words["occupations"])
        ),
        Items(
            tuple(words["items"]),
            tuple(words["titles"]),
            arrays["year"],
            tuple(words["tags"]),
            arrays["tagged"],
            parts,
            present,
            words["content_version"],
            arrays.get("published_ms"),
        ),
        Interactions(*(arrays[f"row.{name}"] for name in Interactions.__slots__)),
        words["non_commercial"],
    )
    check(dataset)
    return dataset


def _encoded(dataset: Dataset) -> tuple[bytes, bytes]:
    users, items, rows = dataset.users, dataset.items, dataset.interactions
    words = {
        "name": dataset.name,
        "source": dataset.source,
        "non_commercial": dataset.non_commercial,
        "users": users.ids,
        "occupations": users.occupations,
        "items": items.ids,
        "titles": items.titles,
        "tags": items.tags,
        "content_version": items.content_version,
    }
    arrays = {"age": users.age, "gender": users.gender, "occupation": users.occupation}
    arrays |= {"year": items.year, "tagged": items.tagged}
    # only where it is known, so that the versions of data sets without it stay
    arrays |= {} if items.published_ms is None else {"published_ms": items.published_ms}
    arrays |= {f"part.{name}": matrix for name, matrix in items.parts.items()}
    arrays |= {f"present.{name}": mask for name, mask in items.present.items()}
    arrays |= {f"row.{name}": getattr(rows, name) for name in Interactions.__slots__}
    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    return json.dumps(words, ensure_ascii=False, sort_keys=True).encode(), save(ordered)
