"""Prompts embedded by a model elsewhere: real encoders, real streams, a small server of the same protocol."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Message
from prometheus_client import REGISTRY

from models.content_vector import DIM as JOINT_DIM
from models.content_vector import ContentVectoriser
from models.remote_embedding import AWAY, EmbeddingRefusedError
from models.song_prompt import VERSION
from models.text_embedding import DIM as TEXT_DIM
from processors.content_embedding import content_embedding
from processors.runtime import topics_admin
from processors.runtime.processor import Emit
from processors.runtime.settings import Embedding, Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from processors.tools.reembed import reembed
from schemas.content import ContentEmbedded
from schemas.item import ItemChanged
from schemas.media import MediaAnalysed
from schemas.topics import CONTENT_EMBEDDED, ITEM_CHANGED, MEDIA_ANALYSED
from tests.fakes.runtime import NOW, KafkaRecord
from tests.unit.models.embedding_server import DIM, KEY, Model, serving

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as served:
        yield served


@pytest.fixture
async def elsewhere(streams_settings: Settings, tmp_path: Path, model: Model) -> AsyncIterator[Wiring]:
    embedding = {"url": model.url, "model": "song-llm", "dim": DIM, "api_key": KEY, "attempts": 1, "timeout_s": 20.0}
    settings = streams_settings.model_copy(
        update={"data_dir": tmp_path, "embedding": Embedding.model_validate(embedding)}
    )
    with closing(Wiring(settings)) as wiring:
        topics_admin.apply(settings.kafka, wiring.registry, [content_embedding])
        yield wiring
        await wiring.redis.aclose()


def analysed(media_id: str) -> MediaAnalysed:
    return MediaAnalysed(
        event_id=f"analysed-{media_id}",
        source_event_id=f"uploaded-{media_id}",
        occurred_at=NOW,
        produced_at=NOW,
        media_id=media_id,
        kind="post",
        uploader="ada",
        title="Night train",
        text="the rails hum",
        analyser_version="1",
    )


def upload(wiring: Wiring, media_id: str) -> KafkaRecord:
    return KafkaRecord(MEDIA_ANALYSED.name, wiring.codec.encode(analysed(media_id)), media_id.encode())


def sent(wiring: Wiring, topic: str, media_id: str) -> list[Message]:
    found = read_to_end(wiring.settings.kafka, [topic])
    return [message for message in found if message.key() == media_id.encode()]


async def test_prompts_are_embedded_by_the_model_elsewhere(elsewhere: Wiring, model: Model) -> None:
    runner = elsewhere.runner(content_embedding)
    await runner.warm()
    asked = len(model.bodies)
    await runner.handle(upload(elsewhere, "elsewhere-1"))
    [body] = model.bodies[asked:]
    assert body["input"] == ["title: Night train\nabout: the rails hum"]
    assert set(model.keys) == {f"Bearer {KEY}"}
    [message] = sent(elsewhere, CONTENT_EMBEDDED.name, "elsewhere-1")
    embedded = elsewhere.codec.decode(message.value(), ContentEmbedded)
    assert re.search(rf"\+song-llm@remote-[0-9a-f]{{8}}\+song-prompt@{VERSION}$", embedded.vector_version)
    # search by text and classes keep the packaged encoder, the joint vector has the model's
    assert len(embedded.text) == TEXT_DIM
    packaged = ContentVectoriser().join(None, None, np.array(embedded.text, np.float32))
    assert len(embedded.vector) == JOINT_DIM
    assert not np.allclose(embedded.vector, packaged, atol=0.1)


async def test_a_model_that_is_away_sends_the_event_on_the_retry_path(elsewhere: Wiring, model: Model) -> None:
    model.answers = [503, 503]
    runner = elsewhere.runner(content_embedding)
    await runner.warm()
    before = counted()
    event = upload(elsewhere, "elsewhere-2")
    await runner.handle(event)
    assert counted() == before + 1
    retry, _ = content_embedding.retry_topics[0]
    [waiting] = sent(elsewhere, retry, "elsewhere-2")
    assert waiting.value() == event.value
    assert sent(elsewhere, CONTENT_EMBEDDED.name, "elsewhere-2") == []
    await runner.handle(event)
    assert len(sent(elsewhere, CONTENT_EMBEDDED.name, "elsewhere-2")) == 1


async def test_a_model_of_another_width_is_refused_at_the_start(elsewhere: Wiring, model: Model) -> None:
    model.answers = [b'{"data": [%s]}' % b",".join(b'{"index": %d, "embedding": [1.0, 2.0]}' % i for i in range(16))]
    with pytest.raises(EmbeddingRefusedError, match=f"a vector of 2 numbers, {DIM} expected"):
        await elsewhere.runner(content_embedding).warm()


async def test_items_of_another_version_are_embedded_anew(elsewhere: Wiring) -> None:
    version = elsewhere.encoders.joint.version
    items = {
        "reembed-old": in_catalogue("reembed-old", "content-means@1.0/1"),
        "reembed-current": in_catalogue("reembed-current", version),
        "reembed-gone": in_catalogue("reembed-gone", "content-means@1.0/1", change="withdrawn"),
        "reembed-expired": in_catalogue("reembed-expired", "content-means@1.0/1"),
    }
    await elsewhere.publisher.publish([Emit(ITEM_CHANGED, key, item) for key, item in items.items()])
    there = [key for key in items if key != "reembed-expired"]
    await elsewhere.publisher.publish([Emit(MEDIA_ANALYSED, key, analysed(key)) for key in there])
    told: list[tuple[str, int, int]] = []
    found = await reembed(elsewhere, lambda *step: told.append(step))
    assert "reembed-old" in found.done
    assert not {"reembed-current", "reembed-gone"} & {*found.done, *found.failed}
    assert "no longer in media.upload.analysed.v1" in found.failed["reembed-expired"]
    [message] = sent(elsewhere, CONTENT_EMBEDDED.name, "reembed-old")
    assert elsewhere.codec.decode(message.value(), ContentEmbedded).vector_version == version
    assert [sent(elsewhere, CONTENT_EMBEDDED.name, key) for key in ("reembed-current", "reembed-gone")] == [[], []]
    assert told[-1][1] == told[-1][2] >= len(found.done)


def in_catalogue(item_id: str, version: str, change: Any = "published") -> ItemChanged:
    return ItemChanged(
        event_id=f"changed-{item_id}",
        occurred_at=NOW,
        changed_at=NOW,
        item_id=item_id,
        kind="post",
        change=change,
        seq=1,
        vector=(1.0,) if change == "published" else (),
        vector_version=version if change == "published" else "",
    )


def counted() -> float:
    """Events that failed since the model was away."""
    labels = {"capability": content_embedding.name, "code": AWAY}
    return REGISTRY.get_sample_value("overture_errors_total", labels) or 0.0
