"""What each user did with what was offered: the joined window as columns, a row for each user under one set of arms."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from processors.play_aggregation.counting import COMPLETED
from processors.tools.experiments.reading import WindowLog
from schemas.interaction import ItemInteracted
from schemas.play import SongPlayed
from schemas.recommendation import ListServed

COLUMNS = ("offered", "cold_offered", "opened", "liked", "plays", "full_plays", "cold_plays", "minutes")
"""What is counted of a user; see ``docs/experiments.md``. ``opened`` and ``liked`` are distinct places of lists."""
Arms = tuple[tuple[str, str], ...]
"""(Experiment, arm) of each layer that has one."""


@dataclass(frozen=True)
class Sample:
    """Users under one arm.

    Attributes:
        counts: Column -> float64 [users].
        offer_users: Row of the user, int64 [offers].
        offer_items: Item offered, as a number, int64 [offers].
        items: Number of items that anybody was offered.
    """

    counts: Mapping[str, NDArray[np.float64]]
    offer_users: NDArray[np.int64]
    offer_items: NDArray[np.int64]
    items: int

    def __len__(self) -> int:
        return len(self.counts[COLUMNS[0]])

    def users(self, rows: NDArray[np.int64]) -> Sample:
        """Some of the users, each once."""
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(rows))
        kept = place[self.offer_users] >= 0
        counts = {name: column[rows] for name, column in self.counts.items()}
        return Sample(counts, place[self.offer_users[kept]], self.offer_items[kept], self.items)


@dataclass(frozen=True)
class Observations:
    """The joined window.

    Attributes:
        user_ids: Of each row.
        arms: Of each row; a user whose arms changed within the window has several rows.
        table: float64 [rows, columns], in the order of ``COLUMNS``.
        offer_rows: Row of each offer, int64 [offers].
        offer_items: Item of each offer, as a number, int64 [offers].
        items: Number of different items.
        left_out: Events that belong to no offer, by reason.
    """

    user_ids: Sequence[str]
    arms: Sequence[Arms]
    table: NDArray[np.float64]
    offer_rows: NDArray[np.int64]
    offer_items: NDArray[np.int64]
    items: int
    left_out: Mapping[str, int]

    def everybody(self) -> tuple[Sequence[str], Sample]:
        """Ids and sums of all users, whatever their arms."""
        ids = sorted(set(self.user_ids))
        number = {user: place for place, user in enumerate(ids)}
        return ids, self._sample(np.array([number[user] for user in self.user_ids], np.int64), len(ids))

    def by_arm(self, experiment: str) -> tuple[dict[str, Sample], int]:
        """Users of each arm that had lists, and how many users were left out since they had two arms."""
        seen: dict[str, set[str]] = {}
        of_row = [dict(arms).get(experiment) for arms in self.arms]
        for user, arm in zip(self.user_ids, of_row, strict=True):
            if arm is not None:
                seen.setdefault(user, set()).add(arm)
        found = {}
        for arm in sorted({arm for arms in seen.values() for arm in arms}):
            number = {user: place for place, user in enumerate(sorted(u for u, arms in seen.items() if arms == {arm}))}
            wanted = [
                number.get(user, -1) if its == arm else -1 for user, its in zip(self.user_ids, of_row, strict=True)
            ]
            found[arm] = self._sample(np.array(wanted, np.int64), len(number))
        return found, sum(len(arms) > 1 for arms in seen.values())

    def _sample(self, user_of_row: NDArray[np.int64], users: int) -> Sample:
        """Sums over each user's rows; rows of user -1 are left out."""
        kept = user_of_row >= 0
        sums = np.zeros((users, len(COLUMNS)))
        np.add.at(sums, user_of_row[kept], self.table[kept])
        of_offer = user_of_row[self.offer_rows]
        mine = of_offer >= 0
        counts = {name: sums[:, place] for place, name in enumerate(COLUMNS)}
        return Sample(counts, of_offer[mine], self.offer_items[mine], self.items)


def join(log: WindowLog) -> Observations:
    """Attribute what users did to what they were offered."""
    return _Join(log).observations()


class _Join:
    """Rows, and the way from an event to the row that it counts for."""

    def __init__(self, log: WindowLog) -> None:
        self._lists = log.lists
        self._rows: dict[tuple[str, Arms], int] = {}
        self._table: list[list[float]] = []
        self._row_of: dict[str, int] = {}
        self._cold: dict[str, dict[str, bool]] = {}
        self._served: dict[str, list[tuple[datetime, int]]] = {}
        self._left_out: Counter[str] = Counter(log.left_out)
        for served in log.lists.values():
            self._offer(served)
        for times in self._served.values():
            times.sort()
        self._interact(log.interactions.values())
        for play in log.plays.values():
            self._play(play)

    def observations(self) -> Observations:
        number: dict[str, int] = {}
        offers = [
            (self._row_of[request], number.setdefault(item, len(number)))
            for request, items in self._cold.items()
            for item in items
        ]
        columns = np.array(offers, np.int64).reshape(-1, 2)
        return Observations(
            [user for user, _ in self._rows],
            [arms for _, arms in self._rows],
            np.array(self._table, np.float64).reshape(-1, len(COLUMNS)),
            columns[:, 0],
            columns[:, 1],
            len(number),
            self._left_out,
        )

    def _offer(self, served: ListServed) -> None:
        arms = tuple((each.experiment, each.arm) for each in served.arms if each.experiment)
        row = self._rows.setdefault((served.user_id, arms), len(self._rows))
        if row == len(self._table):
            self._table.append([0.0] * len(COLUMNS))
        cold = {item.item_id: item.cold for item in served.items}
        self._row_of[served.request_id], self._cold[served.request_id] = row, cold
        self._served.setdefault(served.user_id, []).append((served.occurred_at, row))
        self._add(row, offered=len(cold), cold_offered=sum(cold.values()))

    def _interact(self, interactions: Iterable[ItemInteracted]) -> None:
        """Places opened and liked, each once."""
        found: dict[str, set[tuple[str, str]]] = {"clicked": set(), "liked": set()}
        for event in interactions:
            if event.action in found and self._is_of_a_list(event.user_id, event.item_id, event):
                assert event.exposure is not None  # noqa: S101 - else it is of no list
                found[event.action].add((event.exposure.request_id, event.item_id))
        for request, _ in found["liked"]:
            self._add(self._row_of[request], liked=1)
        for request, _ in found["clicked"]:
            self._add(self._row_of[request], opened=1)
        self._opened = found["clicked"]

    def _play(self, play: SongPlayed) -> None:
        minutes = play.played_ms / 60_000.0
        if play.exposure is not None and play.exposure.request_id:
            if not self._is_of_a_list(play.user_id, play.song_id, play):
                return
            request = play.exposure.request_id
            cold = self._cold[request][play.song_id]
            full = play.completion >= COMPLETED
            new = (request, play.song_id) not in self._opened
            self._opened.add((request, play.song_id))
            self._add(self._row_of[request], opened=new, plays=1, full_plays=full, cold_plays=cold, minutes=minutes)
            return
        # what was not played from a list is still time that the arm in force may have won or lost
        times = self._served.get(play.user_id, [])
        before = bisect_right(times, play.occurred_at, key=lambda each: each[0])
        if before:
            self._add(times[before - 1][1], minutes=minutes)

    def _is_of_a_list(self, user: str, item: str, event: ItemInteracted | SongPlayed) -> bool:
        request = event.exposure.request_id if event.exposure else ""
        served = self._lists.get(request)
        reason = ""
        if served is None:
            reason = "of-no-list" if not request else "of-another-window"
        elif served.user_id != user:
            reason = "of-another-user"
        elif item not in self._cold[request]:
            reason = "not-offered"
        if reason:
            self._left_out[reason] += 1
        return not reason

    def _add(self, row: int, **amounts: float) -> None:
        for name, amount in amounts.items():
            self._table[row][PLACE[name]] += amount


PLACE = {name: place for place, name in enumerate(COLUMNS)}
"""Column of ``Observations.table``."""
