"""Vectors of an upload; the encoders are fakes that tell what they saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from models.audio_embedding import MSD_TAGS, MTT_TAGS, AudioFeatures
from models.image_embedding import CLASSES, ImageFeatures, class_names
from models.media.analysis import Analysis, to_blob
from models.media.facts import EmbeddedText, Facts, complete
from models.packaged_embedding import PackagedEmbedder
from models.remote_embedding import data_url
from models.song_prompt import Prompt, versioned
from processors.content_embedding import AUDIO_TAGS, Encoders, content_embedding
from processors.runtime.offload import Inline
from schemas import topics
from schemas.common import Label
from schemas.content import ContentEmbedded
from schemas.errors import BadEventError
from schemas.ids import result_id
from schemas.media import MediaAnalysed
from tests.fakes.features import MemoryObjects
from tests.fakes.runtime import NOW, codec

AUDIO, TEXT, PROMPT, JOINT = (np.full(2, v, dtype=np.float32) for v in (1.0, 3.0, 5.0, 4.0))
SEEN, SPREAD = "valley", 12.0


class Audio:
    version = "audio-1"

    def encode(self, logmel: Any) -> AudioFeatures:
        assert logmel.shape[1] == 96
        mtt = np.linspace(0, 0.5, len(MTT_TAGS), dtype=np.float32)
        mtt[MTT_TAGS.index("piano")] = 0.75
        return AudioFeatures(AUDIO, mtt, np.zeros(len(MSD_TAGS), dtype=np.float32))


class Image:
    version = "image-1"

    def encode(self, frames: Any) -> ImageFeatures:
        assert frames.shape[1:] == (4, 4, 3)
        logits = np.zeros((len(frames), CLASSES), np.float32)
        logits[:, class_names().index(SEEN)] = SPREAD
        return ImageFeatures(np.full((len(frames), 1), 2.0, np.float32), logits)


class Text:
    version = "text-1"

    def __init__(self) -> None:
        self.seen: list[tuple[list[str], str]] = []

    def encode(self, texts: list[str], role: str) -> Any:
        self.seen.append((texts, role))
        return np.stack([TEXT] * len(texts))


class Prompts:
    version = "prompt-1"
    dim = 2

    def __init__(self, *, pictures: bool = False) -> None:
        self.reads_pictures = pictures
        self.seen: list[Prompt] = []

    def embed(self, prompts: list[Prompt]) -> Any:
        self.seen += prompts
        return np.stack([PROMPT] * len(prompts))


class Joint:
    version = "joint-1"

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def join(self, **parts: Any) -> Any:
        self.seen.append(parts)
        return JOINT


def event(**more: Any) -> MediaAnalysed:
    values: dict[str, Any] = {
        "event_id": "a",
        "source_event_id": "u",
        "occurred_at": NOW,
        "produced_at": NOW,
        "media_id": "m",
        "kind": "video",
        "uploader": "alice",
        "analyser_version": "1",
    }
    return MediaAnalysed(**values | more)


class Desk:
    def __init__(self) -> None:
        self.objects = MemoryObjects()
        self.text, self.joint, self.prompts = Text(), Joint(), Prompts()
        parts: Any = (Audio(), Image(), self.text, self.joint, self.prompts)
        self.encoders = Encoders(*parts)

    async def work(
        self, analysed: MediaAnalysed, *, frames: int | None = None, rows: int = 0, said: EmbeddedText | None = None
    ) -> ContentEmbedded:
        if frames is not None:
            arrays = complete(
                {
                    "frames": np.zeros((frames, 4, 4, 3), dtype=np.uint8),
                    "logmel": np.zeros((rows, 96), dtype=np.float16),
                }
            )
            blob = to_blob(Analysis(Facts(kind="video"), arrays, said or EmbeddedText()))
            ref = await self.objects.put("derived/aa/a/analysis", blob, "application/vnd.safetensors")
            analysed = MediaAnalysed(**{**vars(analysed), "blob": ref})
        needs: dict[str, Any] = {"objects": self.objects, "encoders": self.encoders, "offload": Inline()}
        (emit,) = await content_embedding.handler(analysed, **needs)
        assert (emit.topic, emit.key) == (topics.CONTENT_EMBEDDED, "m")
        assert isinstance(emit.record, ContentEmbedded)
        return emit.record


async def test_every_modality() -> None:
    desk = Desk()
    found = await desk.work(event(title="Dawn"), frames=2, rows=5)
    assert (found.has_audio, found.has_image, found.has_text) == (True, True, True)
    assert (found.audio, found.image, found.text, found.vector) == ((1, 1), (1,), (3, 3), (4, 4))
    assert [t.name for t in found.audio_tags] == ["piano", *MTT_TAGS[:-AUDIO_TAGS:-1]], "the strongest first"
    assert found.audio_tags[:2] == (Label(name="piano", score=0.75), Label(name="choral", score=0.5))
    assert found.vector_version == "joint-1"
    assert found.encoder_versions == {
        "audio": "audio-1",
        "image": "image-1",
        "text": versioned("text-1"),
        "prompt": "prompt-1",
        "joint": "joint-1",
    }
    assert found.event_id == result_id("u", "content_embedding", found.model_version)
    assert (found.source_event_id, found.occurred_at, found.kind) == ("u", NOW, "video")
    known = codec()
    assert known.decode(known.encode(found), ContentEmbedded).vector == (4, 4)


async def test_the_vectors_are_kept_by_name() -> None:
    desk = Desk()
    found = await desk.work(event(title="Dawn"), frames=2, rows=5)
    kept = safetensors.numpy.load(desk.objects.data[found.vectors.key])
    assert {n: a.tolist() for n, a in kept.items()} == {
        "audio": [1, 1],
        "image": [1],
        "text": [3, 3],
        "joint": [4, 4],
    }
    assert found.vectors.key.startswith("derived/items/m/")


@pytest.mark.parametrize(
    ("frames", "rows", "title", "has"),
    [
        (0, 5, "", ("audio",)),
        (2, 0, "", ("image",)),
        (None, 0, "Dawn", ("text",)),
        (0, 0, "Dawn", ("text",)),
        (2, 5, "", ("audio", "image")),
    ],
)
async def test_a_modality_that_is_absent(frames: int | None, rows: int, title: str, has: tuple[str, ...]) -> None:
    desk = Desk()
    found = await desk.work(event(title=title), frames=frames, rows=rows)
    (parts,) = desk.joint.seen
    for name in ("audio", "image", "text"):
        assert getattr(found, f"has_{name}") == (name in has)
        assert bool(getattr(found, name)) == (name in has)
        assert (parts[name] is not None) == (name in has)
    assert set(safetensors.numpy.load(desk.objects.data[found.vectors.key])) == {*has, "joint"}


@pytest.mark.parametrize("title", ["", " ", "\n\t", "\u200b"])
async def test_nothing_to_embed(title: str) -> None:
    desk = Desk()
    with pytest.raises(BadEventError) as caught:
        await desk.work(event(title=title, text=title), frames=0)
    assert caught.value.code == "nothing-to-embed"


async def test_the_same_event_gives_the_same_record_and_object() -> None:
    desk = Desk()
    one, two = await desk.work(event(title="Dawn")), await desk.work(event(title="Dawn"))
    assert one.event_id == two.event_id
    assert one.vectors == two.vectors


async def test_words_are_encoded_as_a_passage_without_what_was_heard() -> None:
    desk = Desk()
    await desk.work(event(title="Dawn", tags=("a", "b")), frames=2, rows=5)
    assert desk.text.seen == [(["title: Dawn\nkeywords: a / b"], "passage")]


async def test_a_prompt_of_words_alone_is_encoded_once() -> None:
    desk = Desk()
    packaged: Any = PackagedEmbedder(desk.text)  # type: ignore[arg-type]
    desk.encoders = replace(desk.encoders, prompts=packaged)
    await desk.work(event(title="Dawn"))
    assert [texts for texts, _ in desk.text.seen] == [["title: Dawn"]]
    assert (desk.joint.seen[-1]["text"] == TEXT).all()
    await desk.work(event(title="Dawn"), frames=2)
    assert [texts for texts, _ in desk.text.seen[1:]] == [["title: Dawn"], [f"title: Dawn\npicture: {SEEN}"]]


async def test_the_joint_vector_has_the_prompt_of_what_is_written_heard_and_seen() -> None:
    desk = Desk()
    said = EmbeddedText({"artist": "Ada", "date": "1998-05-01"}, "the rails hum")
    await desk.work(event(title="Dawn", text="a calm one", tags=("morning",)), frames=2, rows=5, said=said)
    (prompt,) = desk.prompts.seen
    lines = prompt.text.split("\n")
    assert lines[:5] == [
        "title: Dawn",
        "by: Ada",
        "year: 1998",
        "keywords: morning",
        "instruments: piano / cello / harp / sitar",
    ]
    assert lines[5] == f"picture: {SEEN}"
    assert lines[6].startswith("sound: choral / ")
    assert lines[7:] == ["about: a calm one", "lyrics: the rails hum"]
    assert prompt.picture is None
    (parts,) = desk.joint.seen
    assert parts["text"] is PROMPT or (parts["text"] == PROMPT).all()


async def test_a_model_that_reads_pictures_gets_a_small_one_drawn_from_the_arrays() -> None:
    desk = Desk()
    desk.prompts.reads_pictures = True
    await desk.work(event(title="Dawn"), frames=2)
    await desk.work(event(title="Dawn"))
    with_frames, without = desk.prompts.seen
    assert with_frames.picture is not None
    assert data_url(with_frames.picture).startswith("data:image/webp;base64,")
    assert without.picture is None


async def test_an_upload_without_words_has_no_prompt() -> None:
    desk = Desk()
    found = await desk.work(event(), frames=2, rows=5)
    assert (desk.prompts.seen, desk.text.seen, found.has_text) == ([], [], False)
    assert desk.joint.seen[0]["text"] is None
