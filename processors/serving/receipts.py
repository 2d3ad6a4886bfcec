"""Receipts: what was accepted under an idempotency key, so that a repeat emits the identical event.

``<folder>/<id>.json`` is written only where nothing is yet, before the event is published. A client that saw
no answer sends the same again; the receipt then gives the first event, its time included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from features.ownership import RECEIPTS
from features.ports import ObjectStore
from processors.serving.problems import ProblemError
from schemas.errors import UnavailableError
from schemas.upload import UploadCreated
from schemas.user import AvatarChanged

E = TypeVar("E", UploadCreated, AvatarChanged)


class Receipts(Generic[E]):
    """Receipts of one record."""

    def __init__(self, objects: ObjectStore, record: type[E], folder: str = RECEIPTS) -> None:
        self._objects = objects
        self._folder = folder
        self._adapter: TypeAdapter[E] = TypeAdapter(record)

    async def settle(self, receipt_id: str, event: E) -> E:
        """The event to publish: ``event``, or the one accepted earlier under the same id.

        Raises:
            ProblemError: 422; the id was used for something else.
            UnavailableError: the object store is away.
        """
        if await self._objects.put_new(self._key(receipt_id), self._adapter.dump_json(event)):
            return event
        first = await self.find(receipt_id)
        if first is None:
            raise UnavailableError(f"receipt {receipt_id} exists but cannot be read", code="receipt-unreadable")
        if replace(event, occurred_at=first.occurred_at) != first:
            raise ProblemError(
                422, "idempotency-mismatch", "This Idempotency-Key was used for another file or other fields."
            )
        return first

    async def find(self, receipt_id: str) -> E | None:
        """The event accepted under ``receipt_id``, an id of our own making; None if there is none."""
        try:
            data: Any = await self._objects.get(self._key(receipt_id))
        except KeyError:
            return None
        return self._adapter.validate_json(data)

    def _key(self, receipt_id: str) -> str:
        return f"{self._folder}/{receipt_id}.json"
