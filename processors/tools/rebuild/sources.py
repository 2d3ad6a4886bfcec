"""What the topics say the stores should hold."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from features.checks import check_row, checked_row
from features.ports import FeatureReader, FeatureRow, ObjectStore
from features.views import ITEM_PLAYS, USER_TASTE, View
from processors.item_indexing import ItemRows, Layout, item_rows
from processors.play_aggregation.rows import plays_row, tastes
from processors.tools.rebuild.fingerprints import Row, Target
from processors.tools.rebuild.groups import Places
from processors.tools.rebuild.newest import NewestRecords
from schemas.errors import BadEventError
from schemas.item import ItemChanged
from schemas.play import PlayAggregate
from schemas.record import Record

R = TypeVar("R", bound=Record)
USER, TOTAL = "user:", "total:"


@dataclass
class Derived:
    """Rows of some keys.

    Attributes:
        rows: Target name -> row id -> row.
        failed: Why a key has no rows although it should, by key.
    """

    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class Source(ABC):
    """A topic and the rows that follow from it.

    Attributes:
        targets: Views and collections that it fills.
        leads: Whether everything in the stores was in the topic before. Else the worker writes rows first and the
            topic after, and a row that is newer than the topic is right.
    """

    targets: tuple[Target, ...]
    leads: bool

    @abstractmethod
    def advance(self) -> set[str]:
        """Read the topic on; keys that changed (all, the first time)."""

    def on_their_way(self) -> set[str]:
        """Keys whose rows the worker had perhaps not brought up to the topic when reading began."""
        return set()

    @abstractmethod
    def known(self) -> Iterable[str]:
        """Keys with a value."""

    @abstractmethod
    def knows(self, key: str) -> bool:
        """Whether a key has a value."""

    @abstractmethod
    def places(self, key: str) -> Sequence[tuple[Target, str]]:
        """Every target and row id that a key may have a row at."""

    @abstractmethod
    def key_of(self, target: Target, row_id: str) -> str:
        """Key that a row belongs to."""

    @abstractmethod
    async def derive(self, keys: Sequence[str]) -> Derived:
        """Rows of keys.

        Raises:
            UnavailableError: a store that is read does not answer.
        """


class ItemSource(Source):
    """The catalogue's items as one version of item_indexing writes them.

    Args:
        records: The catalogue.
        layout: The version.
        objects: Where vectors lie.
        done: How far the worker was in the catalogue before anything was read; None: it had done all.
    """

    leads = True

    def __init__(
        self, records: NewestRecords[ItemChanged], layout: Layout, objects: ObjectStore, done: Places | None = None
    ) -> None:
        self._records = records
        self._done = done
        self._layout = layout
        self._objects = objects
        self.targets = (layout.view, *layout.collections)

    def advance(self) -> set[str]:
        return self._records.advance()

    def on_their_way(self) -> set[str]:
        # a group without any commit says nothing of its rows: they are compared
        return self._records.since(self._done) if self._done and any(self._done.values()) else set()

    def known(self) -> Iterable[str]:
        return self._records

    def knows(self, key: str) -> bool:
        return key in self._records

    def places(self, key: str) -> Sequence[tuple[Target, str]]:
        return [(target, key) for target in self.targets]

    def key_of(self, target: Target, row_id: str) -> str:  # noqa: ARG002 (the same for every target)
        return row_id

    async def derive(self, keys: Sequence[str]) -> Derived:
        found = Derived()
        results = await asyncio.gather(*[self._rows(key) for key in keys])
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, str):
                found.failed[key] = result
            elif result is not None:
                found.rows.setdefault(self._layout.view.name, {})[key] = result.feature
                for each in self._layout.collections:
                    if each.alias in result.vectors:
                        found.rows.setdefault(each.name, {})[key] = result.vectors[each.alias]
        return found

    async def _rows(self, key: str) -> ItemRows | str | None:
        try:
            item = self._records.get(key)
            if item is None or item.change != "published":
                return None
            rows = await item_rows(item, self._layout, self._objects)
            for each in self._layout.collections:
                if each.alias in rows.vectors:
                    check_row(each, rows.vectors[each.alias])
            return ItemRows(checked_row(self._layout.view, rows.feature), rows.vectors)
        except KeyError as error:
            return f"its vectors are not in the object store: {error}"
        except (ValueError, BadEventError) as error:
            return str(error)


class PlaySource(Source):
    """Users' tastes and items' plays, from the state of play_aggregation."""

    leads = False
    targets = (USER_TASTE, ITEM_PLAYS)

    def __init__(self, records: NewestRecords[PlayAggregate], reader: FeatureReader, half_life: timedelta) -> None:
        self._records = records
        self._reader = reader
        self._half_life = half_life

    def advance(self) -> set[str]:
        return {key for key in self._records.advance() if key.startswith((USER, TOTAL))}

    def known(self) -> Iterable[str]:
        return (key for key in self._records if key.startswith((USER, TOTAL)))

    def knows(self, key: str) -> bool:
        return key in self._records

    def places(self, key: str) -> Sequence[tuple[Target, str]]:
        if key.startswith(USER):
            return [(USER_TASTE, key.removeprefix(USER))]
        return [(ITEM_PLAYS, key.removeprefix(TOTAL))]

    def key_of(self, target: Target, row_id: str) -> str:
        return (USER if target is USER_TASTE else TOTAL) + row_id

    async def derive(self, keys: Sequence[str]) -> Derived:
        found = Derived()
        users: list[PlayAggregate] = []
        for key in keys:
            try:
                aggregate = self._records.get(key)
            except BadEventError as error:
                found.failed[key] = str(error)
                continue
            if aggregate is None or aggregate.plays == 0:
                continue
            if key.startswith(USER):
                users.append(aggregate)
            else:
                row = checked_row(ITEM_PLAYS, plays_row(aggregate))
                found.rows.setdefault(ITEM_PLAYS.name, {})[row.entity_id] = row
        for row in await tastes(users, self._reader, self._half_life) if users else ():
            found.rows.setdefault(USER_TASTE.name, {})[row.entity_id] = checked_row(USER_TASTE, row)
        return found


class UserSource(Source, Generic[R]):
    """Users' rows of one view, each from the user's newest record in the state of a capability.

    Args:
        records: The state, keyed by user id.
        view: The view.
        row_of: Row of a record; None: it has none.
    """

    leads = False

    def __init__(self, records: NewestRecords[R], view: View, row_of: Callable[[R], FeatureRow | None]) -> None:
        self._records = records
        self._view = view
        self._row_of = row_of
        self.targets = (view,)

    def advance(self) -> set[str]:
        return self._records.advance()

    def known(self) -> Iterable[str]:
        return self._records

    def knows(self, key: str) -> bool:
        return key in self._records

    def places(self, key: str) -> Sequence[tuple[Target, str]]:
        return [(self._view, key)]

    def key_of(self, target: Target, row_id: str) -> str:  # noqa: ARG002 (there is one)
        return row_id

    async def derive(self, keys: Sequence[str]) -> Derived:
        found = Derived()
        for key in keys:
            try:
                record = self._records.get(key)
            except BadEventError as error:
                found.failed[key] = str(error)
                continue
            row = None if record is None else self._row_of(record)
            if row is not None:
                found.rows.setdefault(self._view.name, {})[key] = checked_row(self._view, row)
        return found
