"""Deterministic ids: the same fact gets the same id, however often it is computed."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.UUID("6f1d2f52-6a8a-5b0e-9d8e-0f3b1c9a7e42")
"""Namespace of every UUIDv5 of this system."""


def stable_id(*parts: str) -> str:
    """UUIDv5 over ``parts``; unambiguous, since each part is preceded by its length."""
    return str(uuid.uuid5(NAMESPACE, "".join(f"{len(p)}:{p}" for p in parts)))


def media_id(uploader: str, idempotency_key: str) -> str:
    """Id of an upload: one uploader and one key name one upload."""
    return stable_id("media", uploader, idempotency_key)


def upload_event_id(media: str) -> str:
    """Id of the event that announces an upload."""
    return stable_id("upload", media)


def result_id(source_event_id: str, capability: str, model_version: str) -> str:
    """Id of a result: changes only with its input, its capability or its model."""
    return stable_id("result", source_event_id, capability, model_version)
