"""Uploads and avatars: the file made durable, the event acknowledged, only then 202."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

import orjson
from fastapi import APIRouter, Request, Response

from features import ownership
from processors.runtime import tracing
from processors.runtime.processor import Emit
from processors.serving.documentation import form_body, responses
from processors.serving.fields import (
    has_visible,
    idempotency_key,
    require_choice,
    require_count,
    require_id,
    require_language,
    require_region,
    single,
)
from processors.serving.forms import FAMILY_OF_KIND, FieldRule, Form, FormReader
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from processors.serving.receipts import Receipts
from schemas.common import MediaKind
from schemas.ids import media_id, stable_id, upload_event_id
from schemas.topics import AVATAR_CHANGED, UPLOAD_BY_KIND
from schemas.upload import PostSurface, UploadCreated
from schemas.user import AvatarChanged

ID_CHARS = 128
TAG_CHARS = 64
SURFACES = tuple(s for s in get_args(PostSurface) if s != "none")
KINDS = tuple(FAMILY_OF_KIND)
AVATAR_FIELDS = ("user", "device", "network", "region", "reach")
EXAMPLE_ID = "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77"


class UploadRoutes:
    """``POST /v1/uploads`` and ``POST /v1/avatars``."""

    def __init__(self, parts: ServiceParts) -> None:
        limits = parts.settings.limits
        rules = {
            "kind": FieldRule(ID_CHARS),
            "uploader": FieldRule(ID_CHARS),
            "title": FieldRule(limits.title_chars),
            "text": FieldRule(limits.text_chars),
            "tags": FieldRule(TAG_CHARS, limits.tags),
            "song_id": FieldRule(ID_CHARS),
            "language": FieldRule(ID_CHARS),
            "surface": FieldRule(ID_CHARS),
        }
        self._parts = parts
        self._uploads = FormReader(parts.objects, limits, rules)
        self._avatars = FormReader(parts.objects, limits, dict.fromkeys(AVATAR_FIELDS, FieldRule(ID_CHARS)))
        self._receipts = Receipts(parts.objects, UploadCreated)
        self.router = APIRouter(tags=["ingest"])
        self._add_routes()

    async def create_upload(self, request: Request) -> Response:
        """Accept an upload.

        202 means: the file is durable and the broker has the event. On 503, or without an answer, send the
        same again with the same `Idempotency-Key`.
        """
        key = idempotency_key(request)
        form = await self._uploads.read(request)
        try:
            event = await self._keep_upload(form, key)
        except BaseException:
            await self._uploads.discard(form)
            raise
        await self._parts.publisher.publish(
            [Emit(UPLOAD_BY_KIND[event.kind], event.media_id, event, headers=tracing.headers())]
        )
        return _accepted({"media_id": event.media_id, "state": "received"})

    async def change_avatar(self, request: Request) -> Response:
        """Accept a new avatar."""
        key = idempotency_key(request)
        form = await self._avatars.read(request, "image")
        try:
            event = await self._keep_avatar(form, key)
        except BaseException:
            await self._avatars.discard(form)
            raise
        await self._parts.publisher.publish([Emit(AVATAR_CHANGED, event.user_id, event, headers=tracing.headers())])
        return _accepted({"event_id": event.event_id, "user": event.user_id, "state": "received"})

    async def _keep_upload(self, form: Form, key: str) -> UploadCreated:
        """First whose it is, then what it is, then the file: an erasure at any moment finds all that is there."""
        media, event = self._event_of(form, key)
        await ownership.claim(self._parts.objects, event.uploader, media, event.occurred_at)
        event = await self._receipts.settle(media, event)
        if event.object is not None:
            await self._uploads.keep(form, event.object.key)
        return event

    async def _keep_avatar(self, form: Form, key: str) -> AvatarChanged:
        user = require_id("user", single(form.values, "user"))
        if form.object is None:
            raise ProblemError(422, "field-missing", "file is required.", pointer="/file")
        event_id = stable_id("avatar", user, key)
        picture = replace(form.object, key=ownership.avatar_key(user, event_id, form.object.sha256))
        device, network, region, reach = (single(form.values, name) for name in AVATAR_FIELDS[1:])
        event = AvatarChanged(
            event_id=event_id,
            occurred_at=self._parts.now(),
            user_id=user,
            object=picture,
            device=require_id("device", device) if device else "",
            network=require_id("network", network) if network else "",
            region=require_region(region) if region else "",
            reach=require_count("reach", reach) if reach else 0,
        )
        receipts = Receipts(self._parts.objects, AvatarChanged, ownership.avatar_receipts(user))
        event = await receipts.settle(event_id, event)
        await self._avatars.keep(form, event.object.key)
        return event

    def _event_of(self, form: Form, key: str) -> tuple[str, UploadCreated]:
        kind = require_choice("kind", single(form.values, "kind"), KINDS)
        uploader = require_id("uploader", single(form.values, "uploader"))
        text = single(form.values, "text") or ""
        if form.object is None and not (kind == "post" and has_visible(text)):
            detail = "file is required." if kind != "post" else "A post needs a file or a text."
            raise ProblemError(422, "field-missing", detail, pointer="/file")
        surface = single(form.values, "surface") or "none"
        if surface != "none":
            require_choice("surface", surface, SURFACES)
            if kind != "post":
                raise ProblemError(422, "field-invalid", "surface: for posts only.", pointer="/surface")
        song_id, language = single(form.values, "song_id"), single(form.values, "language")
        media = media_id(uploader, key)
        file = form.object and replace(form.object, key=ownership.file_key(media, form.object.sha256))
        return media, UploadCreated(
            event_id=upload_event_id(media),
            occurred_at=self._parts.now(),
            media_id=media,
            kind=cast(MediaKind, kind),
            uploader=uploader,
            object=file,
            title=single(form.values, "title") or "",
            text=text,
            tags=tuple(tag for tag in form.values.get("tags", []) if tag),
            song_id=require_id("song_id", song_id) if song_id else None,
            language=require_language(language) if language else None,
            surface=cast(PostSurface, surface),
        )

    def _add_routes(self) -> None:
        string = {"type": "string"}
        file = {"type": "string", "format": "binary"}
        problems = (400, 408, 413, 415, 422, 503)
        self.router.add_api_route(
            "/v1/uploads",
            self.create_upload,
            methods=["POST"],
            status_code=202,
            response_class=Response,
            dependencies=self._parts.gate.needs("ingest"),
            responses=responses({"media_id": EXAMPLE_ID, "state": "received"}, *problems, status=202),
            openapi_extra=form_body(
                {
                    "kind": {"enum": list(KINDS)},
                    "uploader": string,
                    "file": file | {"description": "Optional only for a post with text."},
                    "title": string,
                    "text": string,
                    "tags": {"type": "array", "items": string},
                    "song_id": string,
                    "language": string | {"description": "BCP 47 tag of the text."},
                    "surface": {"enum": list(SURFACES), "description": "Posts only."},
                },
                ["kind", "uploader"],
                {"kind": "video", "uploader": "u-1", "title": "First try", "tags": ["piano"], "language": "en"},
            ),
        )
        self.router.add_api_route(
            "/v1/avatars",
            self.change_avatar,
            methods=["POST"],
            status_code=202,
            response_class=Response,
            dependencies=self._parts.gate.needs("ingest"),
            responses=responses({"event_id": EXAMPLE_ID, "user": "u-1", "state": "received"}, *problems, status=202),
            openapi_extra=form_body(
                {
                    "user": string,
                    "file": file,
                    "device": string | {"description": "Opaque id of the device, hashed by the app."},
                    "network": string | {"description": "Opaque id of the network, hashed by the app."},
                    "region": string | {"description": "ISO 3166-1 alpha-2 code of the user's region."},
                    "reach": {"type": "integer", "minimum": 0, "description": "How many people follow the user."},
                },
                ["user", "file"],
                {"user": "u-1", "region": "DE", "reach": "120"},
            ),
        )


def _accepted(document: dict[str, str]) -> Response:
    return Response(orjson.dumps(document), 202, media_type="application/json")
