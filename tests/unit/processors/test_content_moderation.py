"""What moderation looks at, and how its verdict is said; the models are fakes, the rules are real."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.content_moderation import Rules
from models.face_detection import Face
from models.face_gallery import EMPTY, GallerySnapshot
from models.media.analysis import Analysis, to_blob
from models.media.facts import EmbeddedText, Facts, complete
from models.text_moderation import TextScores
from processors import content_moderation as module
from processors.content_moderation import Judges, content_moderation
from processors.runtime.offload import Inline
from processors.runtime.processor import Emit
from schemas import topics
from schemas.content import ContentModerated
from schemas.errors import BadEventError, UnavailableError
from schemas.ids import result_id
from schemas.media import MediaAnalysed
from schemas.review import ReviewRequested
from tests.fakes.features import MemoryObjects
from tests.fakes.runtime import NOW, codec


class Nsfw:
    version = "nsfw-1"

    def __init__(self, scores: tuple[float, ...]) -> None:
        self.scores = scores

    def score(self, frames: Any) -> Any:
        assert len(frames) == len(self.scores)
        return np.array(self.scores, dtype=np.float32)


class Encoder:
    version = "text-1"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: list[str], role: str) -> Any:
        assert role == "passage"
        first = len(self.seen)
        self.seen += texts
        return np.arange(first, len(self.seen), dtype=np.float32)[:, None]


class Moderator:
    """Blocks a text that says so; checks that each text comes with its own embedding."""

    version = "words-1"

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def score(self, text: str, embedding: Any) -> TextScores:
        assert self.encoder.seen[int(embedding[0])] == text
        return text_scores(1.0 if "bad" in text else 0.0)


def text_scores(value: float) -> TextScores:
    from dataclasses import fields

    known: dict[str, Any] = {"score": value, "classifier": value}
    defaults: dict[str, Any] = {"category": "ok" if value == 0 else "insult", "words": (), "hits": ()}
    return TextScores(**{f.name: known.get(f.name, defaults.get(f.name, 0.0)) for f in fields(TextScores)})


def event(**more: Any) -> MediaAnalysed:
    values: dict[str, Any] = {
        "event_id": "a",
        "source_event_id": "u",
        "occurred_at": NOW,
        "produced_at": NOW,
        "media_id": "m",
        "kind": "post",
        "uploader": "alice",
        "analyser_version": "1",
    }
    return MediaAnalysed(**values | more)


class Detector:
    """One face in each picture whose first pixel is not black."""

    version = "faces-1"

    def detect(self, image: Any) -> list[Face]:
        face = Face(x=0.0, y=0.0, width=60.0, height=60.0, score=0.9, keypoints=((0.0, 0.0),) * 6)
        return [face] if image[0, 0, 0] else []


class Embedder:
    """A face's vector is a unit vector: which one the first pixel of the picture says."""

    version = "embedder-1"

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, image: Any, faces: list[Face]) -> Any:
        self.asked += len(faces)
        return np.eye(4, dtype=np.float32)[[int(image[0, 0, 0])] * len(faces)]


class Gallery:
    def __init__(self, snapshot: GallerySnapshot | None) -> None:
        self._snapshot = snapshot

    def snapshot(self) -> GallerySnapshot:
        if self._snapshot is None:
            raise UnavailableError("Milvus is away")
        return self._snapshot


def gallery_of(*people: int) -> GallerySnapshot:
    """A gallery in which person n looks like picture n."""
    rows = [SimpleNamespace(id=str(n), person=f"person {n}", kind="exemplar", picture=None) for n in people]
    return GallerySnapshot("gallery-1", 0.9, "embedder-1", rows, np.eye(4, dtype=np.float32)[list(people)])


class Desk:
    def __init__(
        self, nsfw: tuple[float, ...] = (), rules: Rules | None = None, gallery: GallerySnapshot | None = EMPTY
    ) -> None:
        self.nsfw, self.encoder, self.rules, self.gallery = Nsfw(nsfw), Encoder(), rules or Rules(), gallery
        self.embedder, self.objects = Embedder(), MemoryObjects()

    async def all(self, analysed: MediaAnalysed, frames: int | None = None, shows: tuple[int, ...] = ()) -> list[Emit]:
        """Everything emitted; ``shows`` is the first pixel of each frame, black where it says nothing."""
        if frames is not None:
            pixels = np.zeros((frames, 4, 4, 3), dtype=np.uint8)
            pixels[: len(shows), 0, 0, 0] = shows
            arrays = complete({"frames": pixels, "frame_times_ms": np.arange(frames, dtype=np.int64) * 500})
            blob = to_blob(Analysis(Facts(kind="picture"), arrays, EmbeddedText()))
            ref = await self.objects.put("derived/aa/a/analysis", blob, "application/vnd.safetensors")
            analysed = MediaAnalysed(**{**vars(analysed), "blob": ref})
        moderator: Any = Moderator(self.encoder)
        judges: Any = Judges(self.nsfw, Detector(), self.embedder, self.encoder, moderator)  # type: ignore[arg-type]
        needs: dict[str, Any] = {
            "objects": self.objects,
            "judges": judges,
            "gallery": Gallery(self.gallery),
            "moderation_rules": self.rules,
            "offload": Inline(),
        }
        return list(await content_moderation.handler(analysed, **needs))

    async def work(self, analysed: MediaAnalysed, frames: int | None = None, **more: Any) -> ContentModerated:
        emit = (await self.all(analysed, frames, **more))[0]
        assert (emit.topic, emit.key) == (topics.CONTENT_MODERATED, "m")
        assert isinstance(emit.record, ContentModerated)
        return emit.record

    async def ask(self, analysed: MediaAnalysed, frames: int | None = None, **more: Any) -> ReviewRequested:
        """The question to a person."""
        _, emit = await self.all(analysed, frames, **more)
        assert isinstance(emit.record, ReviewRequested)
        assert (emit.topic, emit.key) == (topics.REVIEW_REQUESTED, emit.record.review_id)
        return emit.record


async def test_a_harmless_post() -> None:
    desk = Desk((0.1,))
    found = await desk.work(event(text="hello"), frames=1)
    assert (found.decision, found.reasons) == ("approve", ())
    assert found.scores["nsfw"] == pytest.approx(0.1)
    assert found.scores["text.text"] == 0.0
    assert (found.source_event_id, found.occurred_at, found.media_id) == ("u", NOW, "m")
    assert found.event_id == result_id("u", "content_moderation", found.model_version)
    known = codec()
    assert known.decode(known.encode(found), ContentModerated).decision == "approve"


async def test_pictures_are_judged() -> None:
    found = await Desk((0.99,)).work(event(), frames=1)
    assert found.decision == "reject"
    assert [r.code for r in found.reasons] == ["image-nsfw"]


@pytest.mark.parametrize(
    "where", [{"title": "bad"}, {"text": "bad"}, {"tags": ("fine", "bad")}, {"embedded_text": "bad"}]
)
async def test_every_text_is_judged(where: dict[str, Any]) -> None:
    found = await Desk().work(event(**({"title": "fine"} | where)))
    assert found.decision == "reject"
    assert [r.code for r in found.reasons] == ["text-blocked"]


async def test_what_is_blank_is_not_encoded() -> None:
    desk = Desk()
    found = await desk.work(event(title="a", text="  ", embedded_text="\n"))
    assert desk.encoder.seen == ["a"]
    assert found.decision == "approve"


async def test_nothing_at_all_is_approved_without_models() -> None:
    desk = Desk()
    found = await desk.work(event())
    assert desk.encoder.seen == []
    assert (found.decision, found.scores) == ("approve", {})


async def test_a_text_that_hides_behind_a_long_one_is_judged_or_a_person_looks() -> None:
    """The limit of a post is 10 000 characters: what is published must have been read."""
    found = await Desk().work(event(text="x " * 4990 + " bad"))
    assert found.decision != "approve"


async def test_a_text_that_no_upload_may_have_is_not_worked_on() -> None:
    """Ingest refuses it; somebody else's event of a megabyte would keep the encoder for minutes."""
    with pytest.raises(BadEventError, match="800000 characters"):
        await Desk().work(event(text="x y " * 200_000))


async def test_silence_counts_only_where_there_is_sound() -> None:
    silent = event(kind="audio", has_audio=True, silence_share=1.0, duration_ms=60_000)
    assert [r.code for r in (await Desk().work(silent)).reasons] == ["media-silent"]
    picture = event(kind="post", has_audio=False, silence_share=0.0, duration_ms=0)
    assert (await Desk().work(picture)).decision == "approve"


async def test_length_counts_only_for_recordings() -> None:
    short = event(kind="video", has_video=True, duration_ms=100)
    assert [r.code for r in (await Desk().work(short)).reasons] == ["media-too-short"]
    assert (await Desk().work(event(kind="score", duration_ms=0))).decision == "approve"


async def test_other_rules_are_another_version() -> None:
    one = await Desk().work(event())
    two = await Desk(rules=Rules(nsfw_reject=0.9)).work(event())
    assert one.model_version != two.model_version
    assert one.event_id != two.event_id
    for version in ("nsfw-1", "words-1"):
        assert version in one.model_version


def test_timed_kinds_are_kinds() -> None:
    assert set(module.TIMED) == {"video", "audio"}


async def test_who_appears_is_told_and_nothing_else_follows() -> None:
    desk = Desk((0.0,) * 4, gallery=gallery_of(1, 2))
    found = await desk.work(event(kind="video", duration_ms=9000), frames=4, shows=(0, 2, 3, 2))
    assert found.decision == "approve"
    assert [(p.person, p.pictures, p.first_ms) for p in found.people] == [("person 2", 2, 500)]
    assert found.faces == 1
    assert "gallery-1" in found.model_version


async def test_only_what_shows_something_waits_for_a_gallery_that_is_away() -> None:
    found = await Desk(gallery=None).work(event(text="hello"))
    assert found.decision == "approve"
    assert found.model_version.endswith("+none")
    with pytest.raises(UnavailableError):
        await Desk((0.0,), gallery=None).work(event(text="hello"), frames=1)


async def test_without_a_gallery_no_face_becomes_a_vector() -> None:
    desk = Desk((0.0,))
    found = await desk.work(event(), frames=1, shows=(1,))
    assert (found.faces, found.people, desk.embedder.asked) == (1, (), 0)
    assert found.model_version.endswith("+none")


@pytest.mark.parametrize("mode", ["review", "reject"])
async def test_a_public_figure_may_be_a_matter_of_the_rules(mode: Any) -> None:
    desk = Desk((0.0,), Rules(public_figure=mode), gallery_of(1))
    found = await desk.work(event(), frames=1, shows=(1,))
    assert (found.decision, [r.code for r in found.reasons]) == (mode, ["public-figure"])


async def test_a_review_is_asked_for_with_the_picture_in_question() -> None:
    desk = Desk((0.1, 0.7, 0.2))
    asked = await desk.ask(event(title="fine"), frames=3)
    assert (asked.subject, asked.subject_id, asked.owner) == ("media", "m", "alice")
    assert (asked.proposed, [r.code for r in asked.reasons]) == ("reject", ["image-nsfw"])
    assert asked.uncertainty == pytest.approx(2 / 3, abs=1e-5)
    (picture,) = asked.pictures
    assert picture.key.startswith("derived/items/m/")
    assert (await desk.objects.get(picture.key))[8:12] == b"WEBP"
    assert asked.excerpt == "fine"


async def test_who_reviews_a_public_figure_sees_the_frame_with_it() -> None:
    desk = Desk((0.3, 0.1, 0.2), Rules(public_figure="review"), gallery_of(3))
    asked = await desk.ask(event(), frames=3, shows=(1, 2, 3))
    assert asked.reasons[0].code == "public-figure"
    assert len(asked.pictures) == 2
    only = await Desk((0.1, 0.1, 0.3), Rules(public_figure="review"), gallery_of(3)).ask(event(), 3, shows=(0, 0, 3))
    assert len(only.pictures) == 1


async def test_the_same_upload_asks_the_same_question() -> None:
    one, two = [await Desk((0.6,)).ask(event(), frames=1) for _ in range(2)]
    assert (one.event_id, one.review_id, one.pictures) == (two.event_id, two.review_id, two.pictures)


async def test_what_is_decided_is_asked_of_nobody() -> None:
    assert len(await Desk((0.99,)).all(event(), frames=1)) == 1
    assert len(await Desk((0.0,)).all(event(), frames=1)) == 1
