"""Opens an upload once, in the sandbox.

consumes  upload.*.created.v1
produces  media.upload.analysed.v1, or a rejection
models    `media`
stores    objects: arrays and a thumbnail by upload and version
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from functools import partial

import structlog

from features.ownership import derived_folder, missing_object
from features.ports import ObjectStore
from models.media.analysis import ANALYSER_VERSION, Analysis, MediaAnalyser, from_blob, to_blob
from models.media.facts import MediaKind
from models.media.thumbnail import THUMBNAIL_TYPE, THUMBNAIL_VERSION, thumbnail
from processors.runtime.processor import Emit, Offload, capability
from schemas.common import ObjectRef
from schemas.errors import BugError
from schemas.ids import result_id
from schemas.media import MediaAnalysed
from schemas.topics import MEDIA_ANALYSED, MEDIA_REJECTED, UPLOADS
from schemas.upload import UploadCreated

OPENED_AS: dict[str, MediaKind] = {
    "video": "video",
    "audio": "audio",
    "post": "picture",
    "score": "picture",
    "screenshot": "picture",
}
log = structlog.get_logger(__name__)
BLOB_TYPE = "application/vnd.safetensors"


@capability(consumes=UPLOADS, produces=(MEDIA_ANALYSED, MEDIA_REJECTED), weight="thread", concurrency=2)
async def media_analysis(
    event: UploadCreated, *, objects: ObjectStore, analyser: MediaAnalyser, offload: Offload
) -> list[Emit]:
    """Decodes an upload once, in the sandbox, or rejects it."""
    if event.object is None:
        analysed = _record(event, None, None, None)
    else:
        kind = OPENED_AS[event.kind]
        key = f"{derived_folder(event.media_id)}/analysis-{kind}-{event.object.sha256}-{ANALYSER_VERSION}.safetensors"
        analysis, known = await _known(key, objects, offload) or (
            await _analyse(event.media_id, event.object, kind, objects, analyser, offload),
            None,
        )
        try:
            async with asyncio.TaskGroup() as writes:
                blob = writes.create_task(_kept(key, known, analysis, objects, offload))
                picture = writes.create_task(_thumbnail(event.media_id, kind, analysis, objects, offload))
        except BaseExceptionGroup as failed:
            # both have ended now: nothing is written any more when an erasure follows
            raise failed.exceptions[0] from failed
        analysed = _record(event, analysis, blob.result(), picture.result())
    return [Emit(MEDIA_ANALYSED, event.media_id, analysed)]


async def _analyse(
    media_id: str, source: ObjectRef, kind: MediaKind, objects: ObjectStore, analyser: MediaAnalyser, offload: Offload
) -> Analysis:
    """What the sandboxed child finds in an upload's bytes."""
    try:
        file = await objects.open_file(source)
    except KeyError as error:
        raise await missing_object(objects, media_id, source.key) from error
    with file:
        work = partial(analyser.analyse, file.fileno(), kind, size=source.size_bytes)
        return await offload(work)


async def _kept(
    key: str, known: ObjectRef | None, analysis: Analysis, objects: ObjectStore, offload: Offload
) -> ObjectRef:
    """Where an analysis is kept, from now on if not before."""
    return known or await objects.put(key, await offload(to_blob, analysis), BLOB_TYPE)


async def _known(key: str, objects: ObjectStore, offload: Offload) -> tuple[Analysis, ObjectRef] | None:
    """An earlier analysis of the same bytes, which a redelivery does not decode again; None: none can be read."""
    try:
        blob = await objects.get(key)
        return await offload(from_blob, blob), _reference(key, blob)
    except KeyError:
        return None
    except BugError as error:
        log.warning("stored analysis is unreadable", key=key, error=str(error))
        return None


async def _thumbnail(
    media_id: str, kind: MediaKind, analysis: Analysis, objects: ObjectStore, offload: Offload
) -> ObjectRef | None:
    """A small picture beside the arrays it is made from; the same arrays give the same bytes."""
    picture = await offload(thumbnail, analysis.arrays)
    if picture is None:
        return None
    key = f"{derived_folder(media_id)}/thumbnail-{kind}-{THUMBNAIL_VERSION}.webp"
    return await objects.put(key, picture, THUMBNAIL_TYPE)


def _reference(key: str, blob: bytes) -> ObjectRef:
    return ObjectRef(key=key, sha256=hashlib.sha256(blob).hexdigest(), size_bytes=len(blob), content_type=BLOB_TYPE)


def _record(
    event: UploadCreated, analysis: Analysis | None, blob: ObjectRef | None, picture: ObjectRef | None
) -> MediaAnalysed:
    carried = MediaAnalysed(
        event_id=result_id(event.event_id, "media_analysis", ANALYSER_VERSION),
        source_event_id=event.event_id,
        occurred_at=event.occurred_at,
        produced_at=datetime.now(UTC),
        media_id=event.media_id,
        kind=event.kind,
        uploader=event.uploader,
        title=event.title,
        text=event.text,
        tags=event.tags,
        song_id=event.song_id,
        language=event.language,
        object=event.object,
        blob=blob,
        analyser_version=ANALYSER_VERSION,
        thumbnail=picture,
    )
    return carried if analysis is None else _with_facts(carried, analysis)


def _with_facts(record: MediaAnalysed, analysis: Analysis) -> MediaAnalysed:
    facts = analysis.facts
    # sorted: a stored analysis gives its tags back in another order, and the same bytes must say the same
    tags = [value for _, value in sorted(analysis.text.tags.items())]
    embedded = "\n".join([*tags, analysis.text.subtitles]).strip()
    return MediaAnalysed(
        **{
            **vars(record),
            "embedded_text": embedded,
            "container": facts.container,
            "width_px": facts.width,
            "height_px": facts.height,
            "duration_ms": facts.duration_ms,
            "frame_count": facts.frame_count,
            "sampled_frames": len(analysis.arrays["frames"]),
            "shot_count": len(analysis.arrays["shots"]),
            "has_video": facts.has_video,
            "has_audio": facts.has_audio,
            "silence_share": facts.silence_share,
            "loudness_dbfs": facts.loudness_dbfs,
        }
    )
