"""An upload as the stages before moderation leave it: accepted, and decoded by the sandbox."""

from __future__ import annotations

import hashlib
from typing import Any

from features.ownership import file_key
from features.ports import ObjectStore
from models.media.analysis import MediaAnalyser
from processors.media_analysis import media_analysis
from processors.runtime.offload import Inline
from schemas.media import MediaAnalysed
from schemas.upload import UploadCreated
from tests.fakes.runtime import NOW


async def analysed(objects: ObjectStore, analyser: MediaAnalyser, data: bytes, kind: Any, **more: Any) -> MediaAnalysed:
    """What media_analysis says of an upload; ``more`` are fields of its event."""
    sha256 = hashlib.sha256(data).hexdigest()
    media_id = f"m-{sha256[:12]}"
    ref = await objects.put(file_key(media_id, sha256), data, "application/octet-stream")
    values = {"event_id": f"e-{media_id}", "occurred_at": NOW, "media_id": media_id, "kind": kind, "uploader": "ada"}
    event = UploadCreated(**values | more, object=ref)
    (emit,) = await media_analysis.handler(event, objects=objects, analyser=analyser, offload=Inline())
    assert isinstance(emit.record, MediaAnalysed)
    return emit.record
