"""Dead letters as the worker writes them."""

from __future__ import annotations

import dataclasses
from typing import Any

from confluent_kafka import Message

from processors.catalogue import CAPABILITIES
from processors.runtime.letters import Letter
from processors.runtime.processor import Capability
from processors.tools.dlq.letters import DeadLetter, Place, dead_letter
from schemas.errors import BadEventError
from tests.fakes.runtime import NOW, KafkaRecord, at

BY_NAME = {c.name: c for c in CAPABILITIES}
MODERATION = BY_NAME["content_moderation"]
PLAYS = BY_NAME["play_aggregation"]


def message(headers: list[tuple[str, bytes | None]], **more: Any) -> Message:
    values: dict[str, Any] = {"topic": "x.dead-letter.v1", "partition": 0, "offset": 7, "key": b"k", "value": b"\0v"}
    return Message(headers=headers, timestamp=(1, 1_700_000_000_000), **values | more)


def letter(capability: Capability = MODERATION, offset: int = 0, seconds: float = 0, **more: Any) -> DeadLetter:
    """A letter that the worker wrote."""
    origin = more.pop("origin", Place(capability.consumes[0].name, 5, 77))
    made = DeadLetter(
        place=Place(capability.dead_letter_topic, 0, offset),
        capability=capability.name,
        code="bug",
        text="told to",
        key=b"m1",
        attempts=2,
        origin=origin,
        first_seen=NOW,
        given_up=at(seconds),
        size_bytes=2,
        headers=(),
    )
    return dataclasses.replace(made, **more)


def written(capability: Capability) -> DeadLetter:
    """The same by way of the worker's own headers."""
    record = KafkaRecord(capability.consumes[0].name, b"\0v", b"m1", 5, 77, headers=[("traceparent", b"00-1")])
    failed = Letter.of(record, 1000, retried=False).failed()
    headers: list[tuple[str, bytes | None]] = [*failed.headers(capability.name, BadEventError("no", code="bad"))]
    return dead_letter(message(headers, topic=capability.dead_letter_topic, key=b"m1"))
