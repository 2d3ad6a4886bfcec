"""Pictures of uploads: only those that ``media_analysis`` drew itself, and only as what they are."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response

from processors.serving.documentation import responses
from processors.serving.fields import is_media_id
from processors.serving.operations.pictures import has_thumbnail
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError

PICTURE_TYPE = "image/webp"
"""The only type that is answered; whatever else a status names is not served."""
LARGEST_BYTES = 256 * 1024
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
    "Cross-Origin-Resource-Policy": "same-origin",
    # asked again each time, so that a deleted upload's picture does not live on in a cache
    "Cache-Control": "private, no-cache",
}


class ThumbnailRoutes:
    """``/v1/media/{id}/thumbnail``."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self.router = APIRouter(tags=["operation"])
        self.router.add_api_route(
            "/v1/media/{media_id}/thumbnail",
            self.read,
            methods=["GET"],
            response_class=Response,
            dependencies=parts.gate.needs("operate"),
            responses=responses("WebP, long side at most 160 px", 404, 422, 503, media_type=PICTURE_TYPE),
        )

    async def read(self, media_id: str, request: Request) -> Response:
        """A small picture of an upload, or of its sound; drawn by us from decoded pixels, never the uploaded bytes.

        Also of uploads that were rejected: whoever shows it decides whether a person wants to see it.
        """
        status = await self._parts.status.get(media_id) if is_media_id(media_id) else None
        picture = status.thumbnail if status and has_thumbnail(status) else None
        if picture is None or picture.content_type != PICTURE_TYPE or picture.size_bytes > LARGEST_BYTES:
            raise _absent()
        headers = HEADERS | {"ETag": f'"{picture.sha256}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        try:
            data = await self._parts.objects.get(picture.key)
        except KeyError:
            raise _absent() from None
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise _absent()
        return Response(data, headers=headers, media_type=PICTURE_TYPE)


def _absent() -> ProblemError:
    return ProblemError(404, "thumbnail-unknown", "There is no picture of this upload.")
