"""Reads: recommendations, recall, rank, similar items, features."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, TypeAdapter

from features.aliases import FIRST
from features.ports import Vector
from features.views import CONTENT_JOINT, VIEWS
from processors.serving.candidates import REASONS, Candidates
from processors.serving.documentation import json_body, responses
from processors.serving.events import Strict
from processors.serving.fields import Id, QueryId, require_id
from processors.serving.item_table import KINDS
from processors.serving.json_edge import read_json, validate
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from processors.serving.ranking import BaselineRanker, choose
from processors.serving.recall import PartitionedRecaller, UserContext, UserReader
from processors.serving.where import Where

MAX_LIMIT = 200
MAX_RECALL = 2000
MAX_RANK = 1000
JSON_BYTES = 256 * 1024

Kind = Literal["video", "audio", "post", "score", "screenshot"]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items in the answer.", examples=[10])]
OfKind = Annotated[Kind | None, Query(description="Only items of this kind.", examples=["audio"])]
Own = Annotated[bool, Query(description="Whether the user's own uploads may be in the answer.")]
ITEM_EXAMPLE = {"item_id": "s-1", "kind": "video", "score": 0.83, "cold": True, "reason": "taste"}
ANSWER_EXAMPLE: dict[str, Any] = {"items": [ITEM_EXAMPLE], "degraded": []}


class RecallIn(Strict):
    """Body of ``POST /v1/recall``."""

    user: Id
    limit: int = Field(500, ge=1, le=MAX_RECALL)
    kind: Kind | None = None


class RankIn(Strict):
    """Body of ``POST /v1/rank``."""

    user: Id
    item_ids: list[Id] = Field(min_length=1, max_length=MAX_RANK)


class RecommendRoutes:
    """What recommender services and the app ask."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._settings = parts.settings.recommend
        self._users = UserReader(parts.features, parts.catalogue)
        self._recaller = parts.recaller or PartitionedRecaller(parts.catalogue, self._settings, parts.now)
        self._ranker = parts.ranker or BaselineRanker(self._settings.taste_half_life_h)
        self._recall_in: TypeAdapter[RecallIn] = TypeAdapter(RecallIn)
        self._rank_in: TypeAdapter[RankIn] = TypeAdapter(RankIn)
        self.router = APIRouter(tags=["reads"])
        self._add_routes()

    async def recommendations(
        self, user: QueryId, limit: Limit = 20, kind: OfKind = None, own: Own = False
    ) -> Response:
        """Items for a user, best first: recall, then rank. `own=true` lets the user's own uploads in."""
        context = await self._users.read(user)
        wanted = max(limit, self._settings.candidates)
        found = await self._recaller.recall(context, wanted, kind, own=own)
        ranked = found.scored(await self._ranker.rank(context, found, self._parts.now()))
        return self._answer(choose(ranked, limit, self._settings.cold_share), context)

    async def recall(self, request: Request) -> Response:
        """Candidates only, in the order of recall."""
        asked = validate(self._recall_in, await read_json(request, JSON_BYTES))
        context = await self._users.read(asked.user)
        return self._answer(await self._recaller.recall(context, asked.limit, asked.kind, own=False), context)

    async def rank(self, request: Request) -> Response:
        """The given items in order; those that are not published are named in `unknown`."""
        asked = validate(self._rank_in, await read_json(request, JSON_BYTES))
        context = await self._users.read(asked.user)
        found = self._parts.catalogue.pick(asked.item_ids, context.taste).because("asked")
        ranked = found.scored(await self._ranker.rank(context, found, self._parts.now()))
        published = set(found.ids)
        unknown = [item for item in dict.fromkeys(asked.item_ids) if item not in published]
        best_first = ranked.take(np.argsort(-ranked.score, kind="stable"))
        return self._answer(best_first, context, {"unknown": unknown})

    async def similar(self, item: str, limit: Limit = 20, kind: OfKind = None) -> Response:
        """Published items whose content is nearest to an item's."""
        vector = await self._vector_of(require_id("item", item))
        found = self._parts.catalogue.nearest(vector, limit, Where(kind, exclude=(item,)))
        return self._answer(found.because("similar"))

    async def features(self, view: str, entity: str) -> Response:
        """One row of a feature view; without a version in its name, of the version in use. Bytes are base64."""
        if view not in VIEWS and view not in FIRST:
            raise ProblemError(404, "view-unknown", f"Views: {', '.join((*FIRST, *VIEWS))}.")
        row = (await self._parts.features.read(view, [entity]))[0]
        if row is None:
            raise ProblemError(404, "feature-missing", "The view has no fresh row of this entity.")
        document = {"view": view, "entity_id": row.entity_id, "at": row.at, "values": dict(row.values)}
        option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
        return Response(orjson.dumps(document, default=_plain, option=option), media_type="application/json")

    async def _vector_of(self, item: str) -> Vector:
        catalogue = self._parts.catalogue
        vector = catalogue.vector_of(item)
        if vector is not None:
            return vector
        # A withdrawn item may linger in the index for a moment; the snapshot knows better.
        if not catalogue.known(item):
            row = (await self._parts.vectors.fetch(CONTENT_JOINT.alias, [item])).get(item)
            if row is not None and row.scalars.get("vector_version") == catalogue.vector_version:
                return row.vector
        raise ProblemError(404, "item-unknown", "There is no such published item with a content vector.")

    def _answer(
        self, found: Candidates, user: UserContext | None = None, extra: dict[str, Any] | None = None
    ) -> Response:
        degraded = user.degraded if user else ()
        for part in degraded:
            self._parts.metrics.degraded.labels(part).inc()
        return Response(
            orjson.dumps({"items": _items(found), "degraded": degraded, **(extra or {})}),
            media_type="application/json",
        )

    def _add_routes(self) -> None:
        add = self.router.add_api_route
        read, unsure = responses(ANSWER_EXAMPLE, 422), responses(ANSWER_EXAMPLE, 404, 422, 503)
        posted = responses(ANSWER_EXAMPLE, 400, 408, 413, 415, 422)
        guard = self._parts.gate.needs("read")
        add(
            "/v1/recommendations",
            self.recommendations,
            methods=["GET"],
            response_class=Response,
            dependencies=guard,
            responses=read,
        )
        for path, endpoint, model, example in (
            ("/v1/recall", self.recall, RecallIn, {"user": "u-7", "limit": 100}),
            ("/v1/rank", self.rank, RankIn, {"user": "u-7", "item_ids": ["s-1", "s-2"]}),
        ):
            add(
                path,
                endpoint,
                methods=["POST"],
                response_class=Response,
                dependencies=guard,
                responses=posted,
                openapi_extra=json_body(model.model_json_schema(), example),
            )
        add(
            "/v1/similar/{item}",
            self.similar,
            methods=["GET"],
            response_class=Response,
            dependencies=guard,
            responses=unsure,
        )
        row = {"view": "item_plays_v1", "entity_id": "s-1", "at": "2026-11-21T08:00:00Z", "values": {"plays": 3}}
        add(
            "/v1/features/{view}/{entity}",
            self.features,
            methods=["GET"],
            response_class=Response,
            dependencies=guard,
            responses=responses(row, 404, 422, 503),
        )


def _items(found: Candidates) -> list[dict[str, Any]]:
    """The only per-item objects, made for the answer's few items."""
    scores = np.round(found.score.astype(np.float64), 6)
    columns = (found.ids, found.kind.tolist(), scores.tolist(), found.cold.tolist(), found.reason.tolist())
    return [
        {"item_id": item, "kind": KINDS[kind], "score": score, "cold": cold, "reason": REASONS[reason]}
        for item, kind, score, cold, reason in zip(*columns, strict=True)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)
