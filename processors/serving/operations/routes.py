"""``/v1/operations``: what the page at ``/`` shows, as JSON for any other tool too."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, get_args

import orjson
from fastapi import APIRouter, Query, Request, Response

from processors.serving.documentation import responses
from processors.serving.fields import is_media_id
from processors.serving.operations.experiments import experiments_document
from processors.serving.operations.history import Timelines, steps_document
from processors.serving.operations.overview import (
    capabilities_document,
    figures_document,
    recallable_document,
    states_document,
    topics_document,
)
from processors.serving.operations.pictures import has_thumbnail, is_sensitive
from processors.serving.operations.similar import SimilarItems
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from schemas.media import MediaState, MediaStatus

ITEMS, MOST_ITEMS = 24, 100
SIMILAR_IN_LIST, SIMILAR_OF_ITEM = 3, 8
STATES = frozenset(get_args(MediaState))
EXAMPLE_ITEM: dict[str, Any] = {
    "media_id": "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77",
    "kind": "video",
    "title": "First try",
    "state": "published",
    "decision": "approve",
    "reasons": [],
    "labels": [{"name": "piano", "score": 0.91}],
    "accepted_at": "2026-11-21T08:00:00Z",
    "changed_at": "2026-11-21T08:00:04Z",
    "recallable_ms": 2140.0,
    "thumbnail": True,
    "sensitive": False,
    "similar": [],
}
EXAMPLE_OVERVIEW: dict[str, Any] = {
    "now": "2026-11-21T08:00:05Z",
    "broker": {"state": "ok", "code": None, "read_at": "2026-11-21T08:00:04Z"},
    "catalogue_items": 18,
    "uploads": {"published": 18, "rejected": 3},
    "recallable": {"p50_ms": 2140.0, "p95_ms": 6210.0, "count": 18},
    "capabilities": [],
    "topics": [],
}
EXAMPLE_HISTORY = EXAMPLE_ITEM | {
    "uploader": "u-1",
    "song_id": None,
    "language": "en",
    "plays": 3,
    "timeline": [{"stage": "upload", "state": "received", "at": "2026-11-21T08:00:00Z", "reasons": [], "after_ms": 0}],
    "collections": ["content_joint"],
    "dead_letters": [],
}
EXAMPLE_EXPERIMENT: dict[str, Any] = {
    "name": "cold-places",
    "layer": "mechanism",
    "control": "quarter",
    "state": "running",
    "start": "2026-11-20T00:00:00Z",
    "end": None,
    "arms": [{"name": "half", "share": 0.5, "parameters": {"cold_share": 0.5}}],
    "windows": [],
}


class OperationsRoutes:
    """Overview, newest uploads, one upload's history, experiments."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._operations = parts.operations
        self._timelines = Timelines(parts.operations.capabilities, parts.operations.recallable, parts.operations.facts)
        self._similar = SimilarItems(parts.catalogue, parts.status)
        self.router = APIRouter(tags=["operation"])
        add = self.router.add_api_route
        operate = parts.gate.needs("operate")
        add(
            "/v1/operations/overview",
            self.overview,
            methods=["GET"],
            response_class=Response,
            dependencies=operate,
            responses=responses(EXAMPLE_OVERVIEW),
        )
        add(
            "/v1/operations/items",
            self.items,
            methods=["GET"],
            response_class=Response,
            dependencies=operate,
            responses=responses({"items": [EXAMPLE_ITEM]}, 422),
        )
        add(
            "/v1/operations/items/{media_id}",
            self.item,
            methods=["GET"],
            response_class=Response,
            dependencies=operate,
            responses=responses(EXAMPLE_HISTORY, 404, 422),
        )
        add(
            "/v1/operations/experiments",
            self.experiments,
            methods=["GET"],
            response_class=Response,
            dependencies=operate,
            responses=responses({"experiments": [EXAMPLE_EXPERIMENT]}),
        )

    async def overview(self, request: Request) -> Response:
        """Topics with lag and throughput, capabilities with state and latency; latencies of the newest uploads.

        The broker's figures are at most two seconds old; `broker.read_at` says when they were read, also
        when the broker is away.
        """
        watch = self._operations.broker
        figures = await watch.figures() if watch else None
        uploads = self._operations.recent.newest()
        capabilities = self._operations.capabilities
        document = {
            "now": self._parts.now(),
            "broker": figures_document(figures, watch.error if watch else "not-watched"),
            "catalogue_items": len(self._parts.catalogue),
            "uploads": states_document(uploads),
            "recallable": recallable_document(uploads, self._timelines),
            "capabilities": capabilities_document(capabilities, figures, uploads, self._timelines),
            "topics": topics_document(capabilities, figures),
        }
        return _answer(request, document)

    async def items(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Most uploads answered.")] = ITEMS,
        state: Annotated[str | None, Query(description="Only uploads in this state.", examples=["rejected"])] = None,
    ) -> Response:
        """The uploads accepted last, newest first, with verdict, labels and neighbours."""
        if state is not None and state not in STATES:
            raise ProblemError(422, "invalid-parameter", f"state: one of {', '.join(sorted(STATES))}.")
        found = [each for each in self._operations.recent.newest() if state is None or each.state == state]
        documents = [await self._summary(each, SIMILAR_IN_LIST) for each in found[:limit]]
        return _answer(request, {"items": documents})

    async def item(self, media_id: str, request: Request) -> Response:
        """One upload's whole history; times in milliseconds since it was accepted."""
        status = await self._parts.status.get(media_id) if is_media_id(media_id) else None
        if status is None:
            raise ProblemError(404, "media-unknown", "There is no such upload, or nothing has begun with it yet.")
        facts = self._operations.facts
        indexed = facts.indexed(media_id) if facts else None
        held = self._parts.catalogue.pick([media_id], None)
        document = await self._summary(status, SIMILAR_OF_ITEM) | {
            "uploader": status.uploader,
            "song_id": status.song_id,
            "language": status.language,
            "object": None if status.object is None else _object(status),
            "plays": int(held.plays[0]) if len(held) else None,
            "timeline": steps_document(self._timelines.entries(status)),
            "collections": indexed.collections if indexed else None,
            "dead_letters": [
                {
                    "capability": letter.capability,
                    "code": letter.code,
                    "text": letter.text,
                    "at": letter.occurred_at,
                    "attempts": letter.attempts,
                    "origin": f"{letter.origin_topic}/{letter.origin_partition}@{letter.origin_offset}",
                }
                # what was said of a deleted upload may quote it
                for letter in (facts.letters(media_id) if facts and status.state != "deleted" else ())
            ],
        }
        return _answer(request, document)

    async def experiments(self, request: Request) -> Response:
        """Every experiment with its arms, and the measures of the newest window of each length."""
        measured = self._operations.measured
        defined = self._parts.settings.experiments.defined
        found = experiments_document(defined, measured.windows() if measured else {}, self._parts.now())
        return _answer(request, {"experiments": found})

    async def _summary(self, status: MediaStatus, similar: int) -> dict[str, Any]:
        published = status.state == "published"
        return {
            "media_id": status.media_id,
            "kind": status.kind,
            "title": status.title,
            "state": status.state,
            "decision": status.decision,
            "reasons": status.reasons,
            "labels": sorted(status.labels, key=lambda label: -label.score),
            "accepted_at": status.accepted_at,
            "changed_at": status.changed_at,
            "recallable_ms": self._timelines.recallable_ms(status),
            "thumbnail": has_thumbnail(status),
            "sensitive": is_sensitive(status),
            "similar": await self._similar.of(status.media_id, similar) if published else [],
        }


def _object(status: MediaStatus) -> dict[str, Any]:
    assert status.object is not None  # noqa: S101 - asked by the caller
    return {"size_bytes": status.object.size_bytes, "content_type": status.object.content_type}


def _answer(request: Request, document: dict[str, Any]) -> Response:
    """The document, or 304 where the caller has it already."""
    body = orjson.dumps(document, option=orjson.OPT_UTC_Z)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache, private"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
