"""Judges an upload from what was measured of it.

consumes  media.upload.analysed.v1
produces  content.item.moderated.v1, review.item.requested.v1
models    `nsfw`, `face_detection`, `face_embedding`, `face_gallery`, `people`, `text_embedding`, `text_moderation`,
          `content_moderation`
stores    objects: the picture that a person is to look at; reads the gallery
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from features.ownership import derived_folder, get_object
from features.ports import ObjectStore
from models.content_moderation import Evidence, Rules, Verdict, judge
from models.face_detection import Face, FaceDetector
from models.face_embedding import FaceEmbedder
from models.face_gallery import EMPTY, FaceGallery, GallerySnapshot
from models.media.analysis import from_blob
from models.media.facts import Arrays
from models.media.thumbnail import THUMBNAIL_TYPE, picture
from models.nsfw import NsfwScorer
from models.people import VERSION as PEOPLE_VERSION
from models.people import Sighting, appearances, spread, worth_comparing
from models.text_embedding import TextEncoder
from models.text_moderation import TextModerator
from processors.runtime.processor import Emit, Offload, capability
from schemas.common import Appearance
from schemas.content import ContentModerated
from schemas.errors import BadEventError
from schemas.ids import result_id, stable_id
from schemas.media import MediaAnalysed
from schemas.review import ReviewRequested
from schemas.topics import CONTENT_MODERATED, MEDIA_ANALYSED, REVIEW_REQUESTED

TIMED = ("video", "audio")
PIECE_CHARS = 1000
"""Characters judged at once: about what the text encoder reads."""
LONGEST_TEXT = 20_000
"""Characters of the longest text that ingest can be set to accept; more would be nobody's upload."""
OVERLAP_CHARS = 50
"""Characters that two pieces share, so that no word is cut in both."""
EMBEDDED_CHARS = 4000
"""Characters judged of what a file carries inside; others do not get to see it."""


EXCERPT_CHARS = 2000
"""Characters of the text in question that a person who reviews gets to see."""


@dataclass(frozen=True)
class Judges:
    """Everything that looks at an upload; made by the wiring.

    Attributes:
        nsfw: Nudity of pictures.
        faces: Finds faces.
        embedder: Turns faces into vectors.
        text_encoder: Turns texts into vectors.
        text_moderator: Judges texts.
    """

    nsfw: NsfwScorer
    faces: FaceDetector
    embedder: FaceEmbedder
    text_encoder: TextEncoder
    text_moderator: TextModerator

    @property
    def versions(self) -> tuple[str, ...]:
        """As they stand in events."""
        models = (self.nsfw, self.text_moderator, self.faces, self.embedder)
        return *(model.version for model in models), f"people/{PEOPLE_VERSION}"


@dataclass(frozen=True)
class Looked:
    """What was seen of one upload.

    Attributes:
        evidence: What the rules look at.
        gallery: Version of the gallery of public figures; ``none`` too where there was no picture to compare.
        pictures: What a person should look at, WebP: the frame that scores highest for nudity, and that in which the
            public figure who is most alike is seen first.
        excerpt: The text that scores highest; empty without one.
    """

    evidence: Evidence
    gallery: str
    pictures: tuple[bytes, ...]
    excerpt: str


@capability(consumes=(MEDIA_ANALYSED,), produces=(CONTENT_MODERATED, REVIEW_REQUESTED), weight="thread", concurrency=2)
async def content_moderation(
    event: MediaAnalysed,
    *,
    objects: ObjectStore,
    judges: Judges,
    gallery: FaceGallery,
    moderation_rules: Rules,
    offload: Offload,
) -> list[Emit]:
    """Approves, rejects or asks for review, with reasons."""
    blob = None if event.blob is None else await get_object(objects, event.media_id, event.blob.key)
    looked = await offload(_look, event, blob, judges, gallery)
    verdict = judge(looked.evidence, moderation_rules)
    version = "+".join((moderation_rules.version, *judges.versions, looked.gallery))
    record = ContentModerated(
        event_id=result_id(event.source_event_id, "content_moderation", version),
        source_event_id=event.source_event_id,
        occurred_at=event.occurred_at,
        produced_at=datetime.now(UTC),
        media_id=event.media_id,
        decision=verdict.decision,
        reasons=verdict.reasons,
        scores=verdict.scores,
        model_version=version,
        people=looked.evidence.people,
        faces=looked.evidence.faces,
    )
    emits = [Emit(CONTENT_MODERATED, event.media_id, record)]
    if verdict.decision == "review":
        request = await _request(event, record, verdict, looked, objects)
        emits.append(Emit(REVIEW_REQUESTED, request.review_id, request))
    return emits


async def _request(
    event: MediaAnalysed, record: ContentModerated, verdict: Verdict, looked: Looked, objects: ObjectStore
) -> ReviewRequested:
    """The question to a person, with what there is to look at."""
    folder = derived_folder(event.media_id)
    keys = [f"{folder}/review-{hashlib.sha256(each).hexdigest()}.webp" for each in looked.pictures]
    pictures = [await objects.put(key, each, THUMBNAIL_TYPE) for key, each in zip(keys, looked.pictures, strict=True)]
    return ReviewRequested(
        event_id=stable_id("review-requested", record.event_id),
        review_id=stable_id("review", event.source_event_id, "content_moderation"),
        subject="media",
        subject_id=event.media_id,
        owner=event.uploader,
        source_event_id=event.source_event_id,
        occurred_at=event.occurred_at,
        produced_at=record.produced_at,
        capability="content_moderation",
        proposed=verdict.proposed,
        reasons=verdict.reasons,
        scores=verdict.scores,
        uncertainty=verdict.uncertainty,
        pictures=tuple(pictures),
        excerpt=looked.excerpt[:EXCERPT_CHARS],
        model_version=record.model_version,
    )


def _look(event: MediaAnalysed, blob: bytes | None, judges: Judges, gallery: FaceGallery) -> Looked:
    """Everything that the rules look at."""
    arrays = None if blob is None else from_blob(blob).arrays
    frames = None if arrays is None or not len(arrays["frames"]) else arrays["frames"]
    # what shows nobody need not wait for a gallery that is away
    people = EMPTY if frames is None else gallery.snapshot()
    nsfw = () if frames is None else tuple(judges.nsfw.score(frames).tolist())
    faces, seen = (0, ()) if arrays is None else _people(arrays, judges, people)
    said = dict(_pieces(event))
    # one at a time: the encoder serves one call after another, and a long text must not keep the others waiting
    vectors = [judges.text_encoder.encode([piece], role="passage")[0] for piece in said.values()]
    texts = tuple(
        (place, judges.text_moderator.score(piece, vector))
        for (place, piece), vector in zip(said.items(), vectors, strict=True)
    )
    evidence = Evidence(
        kind=event.kind,
        nsfw=nsfw,
        texts=texts,
        silence_share=event.silence_share if event.has_audio else None,
        duration_ms=event.duration_ms if event.kind in TIMED else None,
        has_audio=event.has_audio,
        people=seen,
        faces=faces,
    )
    worst = max(texts, key=lambda each: each[1].score, default=None)
    shown = () if arrays is None or frames is None else _shown(arrays, nsfw, seen)
    return Looked(evidence, people.version, shown, "" if worst is None else said[worst[0]])


def _shown(arrays: Arrays, nsfw: tuple[float, ...], seen: tuple[Appearance, ...]) -> tuple[bytes, ...]:
    numbers = [int(np.argmax(nsfw))]
    numbers += [int(np.flatnonzero(arrays["frame_times_ms"] == each.first_ms)[0]) for each in seen[:1]]
    return tuple(picture(arrays["frames"][number]) for number in dict.fromkeys(numbers))


def _people(arrays: Arrays, judges: Judges, people: GallerySnapshot) -> tuple[int, tuple[Appearance, ...]]:
    """Greatest number of faces in a picture, and who of the gallery is seen."""
    frames: NDArray[np.uint8] = arrays["frames"]
    found: list[tuple[int, Face]] = []
    most = 0
    for number in spread(len(frames)):
        faces = judges.faces.detect(frames[number])
        most = max(most, len(faces))
        found += [(number, face) for face in faces]
    # without a gallery nobody's face is turned into a vector
    compared = worth_comparing(found) if people.persons else []
    sightings = []
    for number in sorted({number for number, _ in compared}):
        here = [face for picture_number, face in compared if picture_number == number]
        for matches in people.match(judges.embedder.embed(frames[number], here), 1):
            sightings += [Sighting(number, m.person, m.likeness) for m in matches if m.likeness >= people.threshold]
    return most, appearances(sightings, arrays["frame_times_ms"])


def _pieces(event: MediaAnalysed) -> Iterator[tuple[str, str]]:
    """Place and words of everything written, long texts in pieces: what is published has been read to its end."""
    texts = {
        "title": event.title,
        "text": event.text,
        # with the title, since a tag alone means little
        "tags": "\n".join([event.title, " ".join(event.tags)]) if event.tags else "",
        "embedded": event.embedded_text[:EMBEDDED_CHARS],
    }
    for place, text in texts.items():
        if len(text) > LONGEST_TEXT:
            raise BadEventError(f"{place} has {len(text)} characters; no upload may", code="text-too-long")
        for number, start in enumerate(range(0, len(text), PIECE_CHARS - OVERLAP_CHARS)):
            piece = text[start : start + PIECE_CHARS]
            if piece.strip():
                yield (f"{place}.{number}" if number else place), piece
