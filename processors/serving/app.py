"""The HTTP service as an ASGI application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi

from processors.serving import gate, problems
from processors.serving.avatars import AvatarRoutes
from processors.serving.documentation import PROBLEM_SCHEMA
from processors.serving.entry import lifespan_of
from processors.serving.events import EventRoutes, ExposureIn
from processors.serving.health import HealthRoutes
from processors.serving.media import MediaRoutes
from processors.serving.metrics import RequestMetrics
from processors.serving.operations.routes import OperationsRoutes
from processors.serving.operations.thumbnails import ThumbnailRoutes
from processors.serving.page import PageRoutes
from processors.serving.parts import ServiceParts
from processors.serving.profiles import ProfileRoutes
from processors.serving.recommend import RecommendRoutes
from processors.serving.review.routes import ReviewRoutes
from processors.serving.review_page import ReviewPageRoutes
from processors.serving.traces import RequestTraces
from processors.serving.uploads import UploadRoutes

__all__ = ["ServiceParts", "create_app"]

DESCRIPTION = """What a music app calls when its users upload, change an avatar or press play, and what its
recommender services read. Every error is an RFC 9457 problem document with a stable `code`."""


def create_app(parts: ServiceParts) -> FastAPI:
    """The application; nothing is started before its lifespan begins."""
    app = FastAPI(
        title="Overture",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan_of(parts),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    # FastAPI's own page loads its scripts from a CDN; this one works on a machine without internet
    patch_fastapi(app, redirect_from_root_to_docs=False, swagger_ui_parameters={"filter": True})
    problems.install(app)
    for routes in (
        UploadRoutes,
        EventRoutes,
        ProfileRoutes,
        MediaRoutes,
        AvatarRoutes,
        RecommendRoutes,
        HealthRoutes,
        OperationsRoutes,
        ThumbnailRoutes,
        ReviewRoutes,
    ):
        app.include_router(routes(parts).router)
    app.include_router(PageRoutes().router)
    app.include_router(ReviewPageRoutes(parts.settings.review.oidc).router)
    app.add_middleware(RequestMetrics, metrics=parts.metrics)
    app.add_middleware(RequestTraces)
    parts.metrics.watch_snapshot(lambda: len(parts.catalogue), lambda: parts.catalogue.age_s)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", PROBLEM_SCHEMA)
        schemas.setdefault("ExposureIn", ExposureIn.model_json_schema())
        gate.describe(app, document)
        return document

    gate.guarded(app)  # refuses a route that nobody has thought about
    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app
