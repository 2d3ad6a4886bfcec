"""The newest uploads and what happened to them, kept in bounded memory beside the views that serve requests."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from schemas.item import ItemIndexed
from schemas.media import MediaStatus
from schemas.pipeline import DeadLettered
from schemas.topics import DEAD_LETTERED, ITEM_CHANGED, ITEM_INDEXED

UPLOADS_KEPT = 500
TIMES_KEPT = 5_000
LETTERS_KEPT = 1_000
LETTERS_PER_KEY = 20

V = TypeVar("V")


class Newest(Generic[V]):
    """The values of the keys that were set last; the one set longest ago goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def set(self, key: str, value: V) -> None:
        """Remember ``value`` as the newest."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)

    def get(self, key: str) -> V | None:
        """None if it was never set or has gone."""
        return self._values.get(key)

    def drop(self, key: str) -> None:
        """Forget ``key``; an unknown one is no error."""
        with self._lock:
            self._values.pop(key, None)


class RecentUploads:
    """Status of the uploads accepted last, without their vectors.

    Args:
        most: How many are answered; up to twice as many are held.
    """

    def __init__(self, most: int = UPLOADS_KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._uploads: dict[str, MediaStatus] = {}

    def __len__(self) -> int:
        return len(self._uploads)

    def take(self, media_id: str, status: MediaStatus | None) -> None:
        """The newest status of an upload; None: it is forgotten everywhere. Called in a follower's thread."""
        with self._lock:
            if status is None:
                self._uploads.pop(media_id, None)
                return
            self._uploads[media_id] = dataclasses.replace(status, vector=())
            if len(self._uploads) > 2 * self._most:
                self._uploads = {each.media_id: each for each in self._sorted()}

    def newest(self) -> list[MediaStatus]:
        """At most ``most`` uploads, the one accepted last first."""
        with self._lock:
            return self._sorted()

    def _sorted(self) -> list[MediaStatus]:
        found = sorted(self._uploads.values(), key=lambda s: (s.accepted_at or s.changed_at, s.media_id), reverse=True)
        return found[: self._most]


class RecallTimes:
    """When each item came into the snapshot that recall searches. Stands before ``CatalogueSnapshot.apply``.

    Args:
        catalogue: The snapshot.
        live: Whether the snapshot's follower has caught up: what it loads before that was recallable long ago.
        now: Clock, UTC.
    """

    def __init__(self, catalogue: CatalogueSnapshot, live: Callable[[], bool], now: Callable[[], datetime]) -> None:
        self._catalogue = catalogue
        self._live = live
        self._now = now
        self._at: Newest[datetime] = Newest(TIMES_KEPT)

    def apply(self, topic: str, key: str, value: bytes | None) -> None:
        """As ``CatalogueSnapshot.apply``, and note the time if it brings a new item in."""
        if topic != ITEM_CHANGED.name:
            self._catalogue.apply(topic, key, value)
            return
        before = self._held(key)
        self._catalogue.apply(topic, key, value)
        after = self._held(key)
        if after and not before and self._live():
            self._at.set(key, self._now())
        elif not after:
            self._at.drop(key)

    def get(self, item_id: str) -> datetime | None:
        """None: not in the snapshot, or in it since before this process watched."""
        return self._at.get(item_id)

    def _held(self, item_id: str) -> bool:
        return len(self._catalogue.pick([item_id], None)) == 1


class StoreFacts:
    """What the indexing and the dead letters say of items. ``apply`` takes the records of ``TOPICS``.

    Args:
        decoder: Decodes them.
    """

    TOPICS = (ITEM_INDEXED.name, DEAD_LETTERED.name)

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._indexed: Newest[ItemIndexed] = Newest(TIMES_KEPT)
        self._letters: Newest[tuple[DeadLettered, ...]] = Newest(LETTERS_KEPT)

    def apply(self, topic: str, key: str, value: bytes | None) -> None:
        """Take one record.

        Raises:
            BadEventError: it does not decode.
            UnavailableError: its schema cannot be fetched at the moment.
        """
        if topic == ITEM_INDEXED.name:
            if value is None:
                self._indexed.drop(key)
                return
            indexed = self._decoder.decode(value, ItemIndexed)
            known = self._indexed.get(indexed.item_id)
            if known is None or indexed.seq >= known.seq:
                self._indexed.set(indexed.item_id, indexed)
        elif value is not None:
            letter = self._decoder.decode(value, DeadLettered)
            others = [other for other in self._letters.get(letter.key) or () if other.event_id != letter.event_id]
            self._letters.set(letter.key, (*others, letter)[-LETTERS_PER_KEY:])

    def indexed(self, item_id: str) -> ItemIndexed | None:
        """The newest word of the indexing on an item."""
        return self._indexed.get(item_id)

    def letters(self, key: str) -> tuple[DeadLettered, ...]:
        """Events of this key that were given up, oldest first."""
        return self._letters.get(key) or ()
