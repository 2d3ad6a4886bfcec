"""Opening an upload once: what is read, kept, and said; decoding is a fake."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
from typing import Any

import numpy as np
import pytest

from models.media.analysis import ANALYSER_VERSION, Analysis, from_blob
from models.media.facts import EmbeddedText, Facts, complete
from processors.media_analysis import media_analysis
from processors.runtime.offload import Inline
from schemas import topics
from schemas.common import ObjectRef
from schemas.errors import BadEventError, BadMediaError, UnavailableError
from schemas.ids import result_id
from schemas.media import MediaAnalysed
from schemas.upload import UploadCreated
from tests.fakes.features import MemoryObjects
from tests.fakes.runtime import NOW, codec

DATA = b"bytes of a video"
FACTS = Facts(
    kind="video",
    container="mov",
    has_video=True,
    has_audio=True,
    width=320,
    height=240,
    duration_ms=1500,
    frame_count=45,
    silence_share=0.25,
    loudness_dbfs=-20.0,
)


class Analyser:
    """Gives ``result`` for every file and notes what it was shown."""

    def __init__(self, result: Analysis | Exception) -> None:
        self.result = result
        self.shown: list[tuple[bytes, str, int]] = []

    def analyse(self, fd: int, kind: str, *, size: int) -> Analysis:
        self.shown.append((os.pread(fd, 1000, 0), kind, size))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def analysis() -> Analysis:
    arrays = complete(
        {
            "frames": np.zeros((3, 4, 4, 3), dtype=np.uint8),
            "shots": np.array([[0, 700], [700, 1500]], dtype=np.int64),
        }
    )
    return Analysis(FACTS, arrays, EmbeddedText({"title": "Dawn", "artist": "A"}, "la la"))


def upload(kind: str = "video", ref: ObjectRef | None = None, **more: Any) -> UploadCreated:
    values: dict[str, Any] = {
        "event_id": "u",
        "occurred_at": NOW,
        "media_id": "m",
        "kind": kind,
        "uploader": "alice",
        "title": "T",
        "text": "words",
        "tags": ("a", "b"),
        "song_id": "s",
        "language": "en",
        "object": ref,
    }
    return UploadCreated(**values | more)


class Desk:
    def __init__(self, result: Analysis | Exception | None = None) -> None:
        self.objects = MemoryObjects()
        self.analyser = Analyser(result or analysis())

    async def store(self, data: bytes = DATA) -> ObjectRef:
        digest = hashlib.sha256(data).hexdigest()
        return await self.objects.put(f"uploads/{digest[:2]}/{digest}", data, "video/mp4")

    async def work(self, event: UploadCreated) -> MediaAnalysed:
        needs: dict[str, Any] = {"objects": self.objects, "analyser": self.analyser, "offload": Inline()}
        (emit,) = await media_analysis.handler(event, **needs)
        assert (emit.topic, emit.key) == (topics.MEDIA_ANALYSED, event.media_id)
        assert isinstance(emit.record, MediaAnalysed)
        return emit.record


async def test_what_the_upload_said_is_carried_on() -> None:
    desk = Desk()
    event = upload(ref=await desk.store())
    found = await desk.work(event)
    for name in ("media_id", "kind", "uploader", "title", "text", "tags", "song_id", "language", "object"):
        assert getattr(found, name) == getattr(event, name), name
    assert (found.occurred_at, found.source_event_id) == (NOW, "u")
    assert found.event_id == result_id("u", "media_analysis", ANALYSER_VERSION), "the same at every delivery"
    assert found.analyser_version == ANALYSER_VERSION


async def test_what_was_measured() -> None:
    desk = Desk()
    found = await desk.work(upload(ref=await desk.store()))
    assert desk.analyser.shown == [(DATA, "video", len(DATA))]
    assert (found.container, found.width_px, found.height_px, found.duration_ms) == ("mov", 320, 240, 1500)
    assert (found.frame_count, found.sampled_frames, found.shot_count) == (45, 3, 2)
    assert (found.has_video, found.has_audio, found.silence_share, found.loudness_dbfs) == (True, True, 0.25, -20.0)
    assert sorted(found.embedded_text.splitlines()[:2]) == ["A", "Dawn"]
    assert found.embedded_text.endswith("\nla la")
    known = codec()
    assert known.decode(known.encode(found), MediaAnalysed).shot_count == 2


async def test_the_arrays_are_kept() -> None:
    desk = Desk()
    found = await desk.work(upload(ref=await desk.store()))
    assert found.blob is not None
    kept = desk.objects.data[found.blob.key]
    assert (found.blob.sha256, found.blob.size_bytes) == (hashlib.sha256(kept).hexdigest(), len(kept))
    assert from_blob(kept).facts == FACTS
    assert ANALYSER_VERSION in found.blob.key


async def test_a_thumbnail_is_made_from_the_arrays_not_from_the_file() -> None:
    desk = Desk()
    ref = await desk.store()
    found = await desk.work(upload(ref=ref))
    assert found.thumbnail is not None
    picture = desk.objects.data[found.thumbnail.key]
    assert (found.thumbnail.content_type, picture[8:12]) == ("image/webp", b"WEBP")
    assert found.thumbnail.key.startswith("derived/items/m/")
    assert (await desk.work(upload(ref=ref))).thumbnail == found.thumbnail
    assert (await desk.work(upload("post"))).thumbnail is None


async def test_a_redelivery_does_not_open_the_file_again() -> None:
    desk = Desk()
    ref = await desk.store()
    one, two = await desk.work(upload(ref=ref)), await desk.work(upload(ref=ref))
    assert len(desk.analyser.shown) == 1
    assert one.blob == two.blob


async def test_equal_files_of_two_uploads_are_kept_apart() -> None:
    """Erasing one must not take the other's arrays away."""
    desk = Desk()
    ref = await desk.store()
    one = await desk.work(upload(ref=ref))
    two = await desk.work(upload(ref=ref, event_id="u2", media_id="m2", title="Other"))
    assert (two.title, two.media_id, two.width_px) == ("Other", "m2", 320)
    assert one.blob is not None
    assert two.blob is not None
    assert (one.blob.key, one.blob.sha256) == (one.blob.key.replace("m2", "m"), two.blob.sha256)
    assert one.blob.key != two.blob.key


async def test_a_redelivery_says_the_same() -> None:
    """One event id, one content: also the text vector of the item hangs on it."""
    desk = Desk()
    event = upload(ref=await desk.store())
    one, two = await desk.work(event), await desk.work(event)
    assert one.embedded_text == two.embedded_text
    assert dataclasses.replace(one, produced_at=NOW) == dataclasses.replace(two, produced_at=NOW)


async def test_the_same_bytes_as_another_kind_are_opened_again() -> None:
    desk = Desk()
    ref = await desk.store()
    one, two = await desk.work(upload("video", ref)), await desk.work(upload("audio", ref))
    assert [kind for _, kind, _ in desk.analyser.shown] == ["video", "audio"]
    assert one.blob is not None
    assert two.blob is not None
    assert one.blob.key != two.blob.key


@pytest.mark.parametrize(
    ("kind", "opened_as"),
    [("video", "video"), ("audio", "audio"), ("post", "picture"), ("score", "picture"), ("screenshot", "picture")],
)
async def test_how_each_kind_is_opened(kind: str, opened_as: str) -> None:
    desk = Desk()
    await desk.work(upload(kind, await desk.store()))
    assert desk.analyser.shown[0][1] == opened_as


async def test_every_kind_of_upload_can_be_opened() -> None:
    from processors.media_analysis import OPENED_AS

    assert set(OPENED_AS) == set(topics.UPLOAD_BY_KIND)


async def test_a_text_is_not_opened() -> None:
    desk = Desk()
    found = await desk.work(upload("post"))
    assert desk.analyser.shown == []
    assert (found.blob, found.object, found.text, found.loudness_dbfs) == (None, None, "words", -120.0)


async def test_a_file_that_is_not_there() -> None:
    ref = ObjectRef(key="uploads/aa/none", sha256="aa" * 32, size_bytes=1, content_type="video/mp4")
    with pytest.raises(BadEventError) as caught:
        await Desk().work(upload(ref=ref))
    assert caught.value.code == "object-missing"


async def test_unusable_media_is_the_uploaders_matter_and_nothing_is_kept() -> None:
    desk = Desk(BadMediaError("no", code="media-truncated"))
    ref = await desk.store()
    with pytest.raises(BadMediaError):
        await desk.work(upload(ref=ref))
    assert set(desk.objects.data) == {ref.key}


class Half(MemoryObjects):
    """Refuses the arrays at once and takes its time for all else."""

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        if "/analysis-" in key:
            raise UnavailableError("disk full", code="objects-unavailable")
        await some_turns()
        return await super().put(key, data, content_type)


async def some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_is_written_any_more_after_a_failure() -> None:
    """An erasure may follow."""
    desk = Desk()
    desk.objects = Half()
    event = upload(ref=await desk.store())
    with pytest.raises(UnavailableError, match="disk full"):
        await desk.work(event)
    left = set(desk.objects.data)
    await some_turns()
    assert set(desk.objects.data) == left
