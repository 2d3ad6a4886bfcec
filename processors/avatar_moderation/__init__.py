"""Judges a new avatar, from its bytes to approve, reject or review.

consumes  user.avatar.changed.v1
produces  user.avatar.moderated.v1, user.face.embedded.v1, review.item.requested.v1
models    `media`, `face_detection`, `face_quality`, `face_embedding`, `face_gallery`, `face_attributes`,
          `picture_kind`, `nsfw`, `avatar_moderation`
stores    objects: a crop and a preview beside the avatar; reads the gallery of public figures

The same bytes, settings and versions give the same decision, reasons and scores: nothing here looks at a clock or
rolls dice, and what is compared with thresholds is what the event shows.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from features.ownership import avatar_derived_folder, forget_avatar, missing_avatar
from features.ports import ObjectStore
from models import avatar_pictures
from models.avatar_moderation import Rules, Verdict, borders
from models.face_gallery import FaceGallery
from models.media.analysis import Analysis, MediaAnalyser
from processors.avatar_moderation.evidence import AvatarSkills, Judged, judge_pictures
from processors.avatar_moderation.policy import AvatarPolicy
from processors.runtime.processor import Emit, Offload, capability
from schemas.common import Decision, Likeness, ObjectRef, Reason
from schemas.errors import REJECTION_CODES, BadMediaError
from schemas.ids import result_id, stable_id
from schemas.review import ReviewRequested
from schemas.topics import AVATAR_CHANGED, AVATAR_MODERATED, FACE_EMBEDDED, REVIEW_REQUESTED
from schemas.user import AvatarChanged, AvatarModerated, FaceEmbedded

NAME = "avatar_moderation"
ERASED = "withdrawn"
log = structlog.get_logger(__name__)


@capability(
    consumes=(AVATAR_CHANGED,),
    produces=(AVATAR_MODERATED, FACE_EMBEDDED, REVIEW_REQUESTED),
    weight="thread",
    concurrency=2,
)
async def avatar_moderation(
    event: AvatarChanged,
    *,
    objects: ObjectStore,
    analyser: MediaAnalyser,
    avatar_skills: AvatarSkills,
    avatar_policy: AvatarPolicy,
    gallery: FaceGallery,
    offload: Offload,
) -> list[Emit]:
    """Approves, rejects or asks for review of an avatar, with reasons."""
    allowed = avatar_policy.allowed(event.region)
    known = await offload(gallery.snapshot) if allowed.matching else None
    version = "+".join((avatar_policy.version, *avatar_skills.versions(allowed, known)))
    try:
        analysis = await _analysed(event, objects, analyser, avatar_policy, offload)
    except BadMediaError as error:
        if error.code == ERASED:
            # what an attempt before this one stored after the erasure had gone by
            await forget_avatar(objects, event.user_id, event.event_id)
            log.info("not judged: the avatar was erased")
            return []
        return _emits(event, _unreadable(event, error, version), _face(event))
    judged = await offload(judge_pictures, analysis, avatar_skills, avatar_policy, allowed, known)
    preview, crop = await _kept(event, judged, objects)
    moderated = _moderated(event, judged, avatar_policy, version)
    moderated = replace(moderated, preview=preview, crop=crop)
    face = _face(event, judged.vector, avatar_skills.embedder.version)
    asked = judged.verdict.decision == "review"
    request = _request(event, moderated, judged.verdict, avatar_policy.rules) if asked else None
    return _emits(event, moderated, face, request)


async def _analysed(
    event: AvatarChanged, objects: ObjectStore, analyser: MediaAnalyser, policy: AvatarPolicy, offload: Offload
) -> Analysis:
    """What the sandboxed child finds in an avatar's bytes."""
    try:
        file = await objects.open_file(event.object)
    except KeyError as error:
        raise await missing_avatar(objects, event.user_id, event.event_id, event.object.key) from error
    with file:
        size = event.object.size_bytes
        return await offload(partial(analyser.analyse, file.fileno(), "picture", size=size, limits=policy.limits))


async def _kept(event: AvatarChanged, judged: Judged, objects: ObjectStore) -> tuple[ObjectRef, ObjectRef | None]:
    """The preview and the crop, beside the avatar, so that they go with it; the same picture gives the same bytes."""
    folder = avatar_derived_folder(event.user_id, event.event_id)

    async def put(name: str, content: bytes) -> ObjectRef:
        key = f"{folder}/{name}-{avatar_pictures.VERSION}.{avatar_pictures.SUFFIX}"
        return await objects.put(key, content, avatar_pictures.CONTENT_TYPE)

    try:
        async with asyncio.TaskGroup() as writes:
            preview = writes.create_task(put("preview", judged.preview))
            crop = None if judged.crop is None else writes.create_task(put("crop", judged.crop))
    except BaseExceptionGroup as failed:
        # both have ended now: nothing is written any more when an erasure follows
        raise failed.exceptions[0] from failed
    return preview.result(), None if crop is None else crop.result()


def _unreadable(event: AvatarChanged, error: BadMediaError, version: str) -> AvatarModerated:
    return _record(event, "reject", (Reason(code=error.code, text=REJECTION_CODES[error.code]),), version)


def _moderated(event: AvatarChanged, judged: Judged, policy: AvatarPolicy, version: str) -> AvatarModerated:
    verdict, faces = judged.verdict, judged.faces
    told = policy.published & policy.allowed(event.region).attributes
    main = faces.attributes[0] if faces.attributes else None
    return replace(
        _record(event, verdict.decision, verdict.reasons, version),
        scores=verdict.scores,
        faces=int(verdict.scores["faces"]),
        age_years=round(main.age_years, 1) if main is not None and "age" in told else None,
        female=round(main.female, 3) if main is not None and "gender" in told else None,
        nearest=tuple(Likeness(person=m.person, likeness=m.likeness, picture=m.picture) for m in faces.matches),
    )


def _record(event: AvatarChanged, decision: Decision, reasons: tuple[Reason, ...], version: str) -> AvatarModerated:
    return AvatarModerated(
        event_id=result_id(event.event_id, NAME, version),
        source_event_id=event.event_id,
        occurred_at=event.occurred_at,
        produced_at=datetime.now(UTC),
        user_id=event.user_id,
        object=event.object,
        decision=decision,
        reasons=reasons,
        model_version=version,
    )


def _face(event: AvatarChanged, vector: NDArray[np.float32] | None = None, version: str = "") -> FaceEmbedded:
    """The vector of the newest avatar's face; without one, what is held of an older avatar's is to be forgotten."""
    there = vector is not None
    return FaceEmbedded(
        event_id=result_id(event.event_id, f"{NAME}.face", version if there else ""),
        source_event_id=event.event_id,
        occurred_at=event.occurred_at,
        user_id=event.user_id,
        vector=() if vector is None else tuple(vector.tolist()),
        vector_version=version if there else "",
        picture_sha256=event.object.sha256 if there else "",
        device=event.device if there else "",
        network=event.network if there else "",
    )


def _emits(
    event: AvatarChanged, moderated: AvatarModerated, face: FaceEmbedded, request: ReviewRequested | None = None
) -> list[Emit]:
    emits = [Emit(AVATAR_MODERATED, event.user_id, moderated), Emit(FACE_EMBEDDED, event.user_id, face)]
    if request is not None:
        emits.append(Emit(REVIEW_REQUESTED, request.review_id, request))
    return emits


def _request(event: AvatarChanged, moderated: AvatarModerated, verdict: Verdict, rules: Rules) -> ReviewRequested:
    return ReviewRequested(
        event_id=result_id(event.event_id, f"{NAME}.review", moderated.model_version),
        review_id=stable_id("review", event.event_id, NAME),
        subject="avatar",
        subject_id=event.user_id,
        owner=event.user_id,
        source_event_id=event.event_id,
        occurred_at=event.occurred_at,
        produced_at=moderated.produced_at,
        capability=NAME,
        proposed=verdict.proposed,
        reasons=verdict.reasons,
        scores=verdict.scores | borders(verdict.scores, rules),
        uncertainty=verdict.uncertainty,
        reach=event.reach,
        pictures=tuple(each for each in (moderated.crop, moderated.preview) if each is not None),
        nearest=moderated.nearest,
        model_version=moderated.model_version,
    )
