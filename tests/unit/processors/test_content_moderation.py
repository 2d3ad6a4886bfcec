"""What moderation looks at, and how its verdict is said; the models are fakes, the rules are real."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.content_moderation import Rules
from models.media.analysis import Analysis, to_blob
from models.media.facts import EmbeddedText, Facts, complete
from models.text_moderation import TextScores
from processors import content_moderation as module
from processors.content_moderation import content_moderation
from processors.runtime.offload import Inline
from schemas import topics
from schemas.content import ContentModerated
from schemas.errors import BadEventError
from schemas.ids import result_id
from schemas.media import MediaAnalysed
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


class Desk:
    def __init__(self, nsfw: tuple[float, ...] = (), rules: Rules | None = None) -> None:
        self.nsfw, self.encoder, self.rules = Nsfw(nsfw), Encoder(), rules or Rules()

    async def work(self, analysed: MediaAnalysed, frames: int | None = None) -> ContentModerated:
        objects = MemoryObjects()
        if frames is not None:
            arrays = complete({"frames": np.zeros((frames, 4, 4, 3), dtype=np.uint8)})
            blob = to_blob(Analysis(Facts(kind="picture"), arrays, EmbeddedText()))
            ref = await objects.put("derived/aa/a/analysis", blob, "application/vnd.safetensors")
            analysed = MediaAnalysed(**{**vars(analysed), "blob": ref})
        needs: dict[str, Any] = {
            "objects": objects,
            "nsfw": self.nsfw,
            "text_encoder": self.encoder,
            "text_moderator": Moderator(self.encoder),
            "moderation_rules": self.rules,
            "offload": Inline(),
        }
        (emit,) = await content_moderation.handler(analysed, **needs)
        assert (emit.topic, emit.key) == (topics.CONTENT_MODERATED, "m")
        assert isinstance(emit.record, ContentModerated)
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
