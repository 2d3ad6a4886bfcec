"""Labels of an upload from its vectors; the classifier is a fake."""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.content_classification import content_classification
from processors.runtime.offload import Inline
from schemas import topics
from schemas.common import Label, ObjectRef
from schemas.content import ContentClassified, ContentEmbedded
from schemas.ids import result_id
from tests.fakes.runtime import NOW, codec

LABELS = (Label(name="jazz", score=0.75), Label(name="piano", score=0.5))


class Classifier:
    version = "classes-1"

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def classify(self, *vectors: Any) -> tuple[Label, ...]:
        self.seen.append(vectors)
        return LABELS


def embedded(**more: Any) -> ContentEmbedded:
    values: dict[str, Any] = {
        "event_id": "e",
        "source_event_id": "u",
        "occurred_at": NOW,
        "produced_at": NOW,
        "media_id": "m",
        "kind": "video",
        "has_audio": True,
        "has_image": False,
        "has_text": True,
        "audio": (1.0, 0.5),
        "text": (0.25,),
        "vector": (1.0,),
        "vector_version": "v1",
        "encoder_versions": {},
        "vectors": ObjectRef(key="k", sha256="", size_bytes=0, content_type=""),
        "model_version": "1",
    }
    return ContentEmbedded(**values | more)


async def work(classifier: Classifier, event: ContentEmbedded) -> ContentClassified:
    needs: dict[str, Any] = {"classifier": classifier, "offload": Inline()}
    (emit,) = await content_classification.handler(event, **needs)
    assert (emit.topic, emit.key) == (topics.CONTENT_CLASSIFIED, "m")
    assert isinstance(emit.record, ContentClassified)
    return emit.record


async def test_labels_of_an_upload() -> None:
    found = await work(Classifier(), embedded())
    assert found.labels == LABELS
    assert (found.media_id, found.source_event_id, found.occurred_at) == ("m", "u", NOW)
    assert found.model_version == "classes-1"
    assert found.event_id == result_id("u", "content_classification", "classes-1"), "the same at every delivery"
    known = codec()
    assert known.decode(known.encode(found), ContentClassified).labels == LABELS


async def test_vectors_come_as_float32_and_absent_ones_as_none() -> None:
    classifier = Classifier()
    await work(classifier, embedded())
    ((audio, image, text),) = classifier.seen
    assert audio.dtype == text.dtype == np.float32
    assert (audio.tolist(), image, text.tolist()) == ([1.0, 0.5], None, [0.25])
