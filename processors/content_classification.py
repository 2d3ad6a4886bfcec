"""Says what an upload is about, from sound, picture and text together.

consumes  content.item.embedded.v1
produces  content.item.classified.v1
models    `content_classification`
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from models.content_classification import ContentClassifier
from processors.runtime.processor import Emit, Offload, capability
from schemas.content import ContentClassified, ContentEmbedded
from schemas.ids import result_id
from schemas.topics import CONTENT_CLASSIFIED, CONTENT_EMBEDDED


@capability(consumes=(CONTENT_EMBEDDED,), produces=(CONTENT_CLASSIFIED,), weight="thread")
async def content_classification(
    event: ContentEmbedded, *, classifier: ContentClassifier, offload: Offload
) -> list[Emit]:
    """Labels an upload from its vectors."""
    labels = await offload(classifier.classify, _array(event.audio), _array(event.image), _array(event.text))
    record = ContentClassified(
        event_id=result_id(event.source_event_id, "content_classification", classifier.version),
        source_event_id=event.source_event_id,
        occurred_at=event.occurred_at,
        produced_at=datetime.now(UTC),
        media_id=event.media_id,
        labels=labels,
        model_version=classifier.version,
    )
    return [Emit(CONTENT_CLASSIFIED, event.media_id, record)]


def _array(values: tuple[float, ...]) -> NDArray[np.float32] | None:
    return np.asarray(values, dtype=np.float32) if values else None
