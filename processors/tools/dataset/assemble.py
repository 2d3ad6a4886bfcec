"""A history as a `models.dataset.Dataset`: pseudonyms for users, columns for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from models.content_vector import DIM, split
from models.dataset import GENDERS, Dataset, DatasetError, Items, Users
from models.recommender import SURE
from processors.tools.dataset.history import EPOCH, TICK, History
from processors.tools.dataset.pseudonyms import pseudonym
from processors.tools.dataset.rows import joined
from processors.tools.world.names import is_research_only, world_of
from schemas.item import ItemChanged
from schemas.user import ProfileChanged

NAME = "topics"
SOURCE = (
    "the system's topics: profiles, published items, plays and interactions, each once, without erased users; users by "
    "pseudonym, age in the year of the newest interaction"
)
OLDEST = 130
TOLD_BY = 20
"""Users who must have told an occupation for its name to be kept: it is free text, may point at one person, and stands
in the manifest of every version for ever."""
LAST_YEAR = 9999


def assemble(history: History, key: bytes) -> Dataset:
    """Users, items and rows; what is left out is counted in ``history.left_out``.

    An item that is not published, or is not known, takes its signals with it. A user who has told nothing stays, with
    age, gender and occupation unknown; so does one whose occupation fewer than `TOLD_BY` users told, with that one
    unknown. Content of another version than most items have is left out.

    Args:
        history: What the topics hold.
        key: Of the pseudonyms.

    Raises:
        DatasetError: nothing is left to learn from.
    """
    left_out = history.left_out
    published = {name: item for name, item in history.items.items() if item.change == "published"}
    signals = [signal for signal in history.signals if signal.item in published]
    missing = len(history.signals) - len(signals)
    if missing:
        left_out["of items not published"] += missing
    if not signals:
        total = sum(end - first for first, end in history.offsets.values())
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items())) or "nothing left out"
        raise DatasetError(f"the history is empty: {total} records, {told}; no play or exposure of a published item")
    names = sorted({signal.user for signal in signals} | history.profiles.keys(), key=lambda user: pseudonym(user, key))
    untold = sum(name not in history.profiles for name in names)
    if untold:
        left_out["users without a profile (kept)"] += untold
    newest_ms = max(signal.at_ms for signal in signals)
    year = (EPOCH + timedelta(milliseconds=newest_ms)).year
    users = _users([history.profiles.get(name) for name in names], [pseudonym(name, key) for name in names], year)
    items = _items([published[name] for name in sorted(published)], left_out)
    rows = joined(
        signals,
        {name: row for row, name in enumerate(names)},
        {name: row for row, name in enumerate(items.ids)},
    )
    research_only = any(is_research_only(item) for item in items.ids)
    worlds = sorted({world_of(item) for item in items.ids} - {""})
    told = f"; told by `overture world load`: {', '.join(worlds)}" if worlds else ""
    return Dataset(NAME, SOURCE + told, users, items, rows, non_commercial=research_only)


def _users(profiles: Sequence[ProfileChanged | None], ids: Sequence[str], year: int) -> Users:
    told_by = Counter(each.occupation for each in profiles if each is not None and each.occupation)
    occupations = ("", *sorted(name for name, count in told_by.items() if count >= TOLD_BY))
    place = {name: index for index, name in enumerate(occupations)}
    return Users(
        tuple(ids),
        np.array([_age(each, year) for each in profiles], np.int16),
        np.array([GENDERS.index(each.gender) if each and each.gender in GENDERS else 0 for each in profiles], np.int8),
        np.array([0 if each is None else place.get(each.occupation, 0) for each in profiles], np.int16),
        occupations,
    )


def _age(profile: ProfileChanged | None, year: int) -> int:
    if profile is None or profile.birth_year is None:
        return -1
    age = year - profile.birth_year
    return age if 0 <= age <= OLDEST else -1


def _items(items: Sequence[ItemChanged], left_out: Counter[str]) -> Items:
    sure = [{label.name for label in item.labels if label.score >= SURE} for item in items]
    tags = tuple(sorted(set().union(*sure)))
    tagged = np.array([[tag in each for tag in tags] for each in sure], np.bool_).reshape(len(items), len(tags))
    vectors, version = _vectors(items, left_out)
    parts, present = split(vectors) if version else ({}, {})
    return Items(
        tuple(item.item_id for item in items),
        tuple(item.title for item in items),
        np.array([_year(item.release_year) for item in items], np.int16),
        tags,
        tagged,
        parts,
        present,
        version,
        np.array([(item.occurred_at - EPOCH) // TICK for item in items], np.int64),
    )


def _year(year: int | None) -> int:
    return year if year is not None and 0 < year <= LAST_YEAR else 0


def _vectors(items: Sequence[ItemChanged], left_out: Counter[str]) -> tuple[NDArray[np.float32], str]:
    """Joint vectors of one version, float32 [I, 192], zeros where there is none; the version, empty if nobody has."""
    usable = {}
    for row, item in enumerate(items):
        if not item.vector:
            continue
        vector = np.array(item.vector, np.float32)
        if vector.shape != (DIM,) or not np.isfinite(vector).all():
            left_out["content vectors not finite or of another length"] += 1
        else:
            usable[row] = vector
    whole = np.zeros((len(items), DIM), np.float32)
    counts = Counter(items[row].vector_version for row in usable)
    if not counts:
        return whole, ""
    version = max(counts, key=lambda each: (counts[each], each))
    for row, vector in usable.items():
        if items[row].vector_version == version:
            whole[row] = vector
        else:
            left_out["content vectors of another version"] += 1
    return whole, version
