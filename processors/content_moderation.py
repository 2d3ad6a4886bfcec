"""Judges an upload from what was measured of it.

consumes  media.upload.analysed.v1
produces  content.item.moderated.v1
models    `nsfw`, `text_embedding`, `text_moderation`, `content_moderation`
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from features.ownership import get_object
from features.ports import ObjectStore
from models.content_moderation import Evidence, Rules, judge
from models.media.analysis import from_blob
from models.nsfw import NsfwScorer
from models.text_embedding import TextEncoder
from models.text_moderation import TextModerator
from processors.runtime.processor import Emit, Offload, capability
from schemas.content import ContentModerated
from schemas.errors import BadEventError
from schemas.ids import result_id
from schemas.media import MediaAnalysed
from schemas.topics import CONTENT_MODERATED, MEDIA_ANALYSED

TIMED = ("video", "audio")
PIECE_CHARS = 1000
"""Characters judged at once: about what the text encoder reads."""
LONGEST_TEXT = 20_000
"""Characters of the longest text that ingest can be set to accept; more would be nobody's upload."""
OVERLAP_CHARS = 50
"""Characters that two pieces share, so that no word is cut in both."""
EMBEDDED_CHARS = 4000
"""Characters judged of what a file carries inside; others do not get to see it."""


@capability(consumes=(MEDIA_ANALYSED,), produces=(CONTENT_MODERATED,), weight="thread", concurrency=2)
async def content_moderation(
    event: MediaAnalysed,
    *,
    objects: ObjectStore,
    nsfw: NsfwScorer,
    text_encoder: TextEncoder,
    text_moderator: TextModerator,
    moderation_rules: Rules,
    offload: Offload,
) -> list[Emit]:
    """Approves, rejects or asks for review, with reasons."""
    blob = None if event.blob is None else await get_object(objects, event.media_id, event.blob.key)
    evidence = await offload(_evidence, event, blob, nsfw, text_encoder, text_moderator)
    verdict = judge(evidence, moderation_rules)
    version = "+".join((moderation_rules.version, nsfw.version, text_moderator.version))
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
    )
    return [Emit(CONTENT_MODERATED, event.media_id, record)]


def _evidence(
    event: MediaAnalysed, blob: bytes | None, nsfw: NsfwScorer, encoder: TextEncoder, moderator: TextModerator
) -> Evidence:
    """Everything that the rules look at."""
    frames = None if blob is None else from_blob(blob).arrays["frames"]
    said = dict(_pieces(event))
    # one at a time: the encoder serves one call after another, and a long text must not keep the others waiting
    vectors = [encoder.encode([piece], role="passage")[0] for piece in said.values()]
    return Evidence(
        kind=event.kind,
        nsfw=() if frames is None or not len(frames) else tuple(nsfw.score(frames).tolist()),
        texts=tuple((place, moderator.score(said[place], v)) for place, v in zip(said, vectors, strict=True)),
        silence_share=event.silence_share if event.has_audio else None,
        duration_ms=event.duration_ms if event.kind in TIMED else None,
        has_audio=event.has_audio,
    )


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
