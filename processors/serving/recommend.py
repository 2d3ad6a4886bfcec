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
from processors.serving.pipeline import Asked, Pipeline, version_of
from processors.serving.problems import ProblemError
from processors.serving.recall import Wanted
from processors.serving.where import Where

MAX_LIMIT = 200
MAX_RECALL = 2000
MAX_RANK = 1000
MAX_SEEDS = 50
MAX_PLACES = 4
JSON_BYTES = 256 * 1024

Kind = Literal["video", "audio", "post", "score", "screenshot"]
Place = Literal["comment", "moment", "dynamic", "fan_group"]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items in the answer.", examples=[10])]
OfKind = Annotated[Kind | None, Query(description="Only items of this kind.", examples=["audio"])]
OfSurface = Annotated[
    str, Query(max_length=32, description="Place in the app that shows the list.", examples=["daily-list"])
]
Seeds = Annotated[
    tuple[str, ...], Query(max_length=MAX_SEEDS, description="Items that the list continues, the last one last.")
]
Places = Annotated[
    tuple[Place, ...],
    Query(max_length=MAX_PLACES, description="Only posts that stand there: what their upload has as `surface`."),
]
Own = Annotated[bool, Query(description="Whether the user's own uploads may be in the answer.")]
ITEM_EXAMPLE = {"item_id": "s-1", "kind": "video", "score": 0.83, "cold": True, "reason": "taste"}
ANSWER_EXAMPLE: dict[str, Any] = {"items": [ITEM_EXAMPLE], "degraded": []}
EXPLANATION_EXAMPLE: dict[str, Any] = {
    "model_version": "20261121-140000-0a1b2c3d",
    "score": 0.71,
    "boundary": 0.4,
    "cold": True,
    "source": "content",
    "parts": {"audio": 1.2, "tags": 0.9},
    "neighbours": [{"item_id": "s-2", "likeness": 0.93}],
    "played": [{"item_id": "s-3", "likeness": 0.81}],
}


class RecallIn(Strict):
    """Body of ``POST /v1/recall``."""

    user: Id
    limit: int = Field(500, ge=1, le=MAX_RECALL)
    kind: Kind | None = None
    recaller: Literal["content", "learned"] | None = Field(
        None, description="Who finds; none named: as the settings say."
    )


class RankIn(Strict):
    """Body of ``POST /v1/rank``."""

    user: Id
    item_ids: list[Id] = Field(min_length=1, max_length=MAX_RANK)


class RecommendRoutes:
    """What recommender services and the app ask."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._pipeline = Pipeline(parts)
        self._settings = parts.settings.recommend
        self._recall_in: TypeAdapter[RecallIn] = TypeAdapter(RecallIn)
        self._rank_in: TypeAdapter[RankIn] = TypeAdapter(RankIn)
        self.router = APIRouter(tags=["reads"])
        self._add_routes()

    async def recommendations(
        self,
        user: QueryId,
        limit: Limit = 20,
        kind: OfKind = None,
        own: Own = False,
        surface: OfSurface = "",
        seed: Seeds = (),
        place: Places = (),
    ) -> Response:
        """Items for a user, best first: recall, rank, places for cold items, diversity.

        `own=true` lets the user's own uploads in. `surface` names the place in the app that shows the list. With
        `seed`, an item of a playlist each, the list continues these. With `place`, which may come several times, it
        holds posts of these places only. The app sends `request_id` back with what the user does.
        """
        if surface and surface not in self._settings.surfaces:
            raise ProblemError(422, "surface-unknown", f"Surfaces: {', '.join(self._settings.surfaces)}.")
        seeds = tuple(require_id("seed", item) for item in seed)
        answer = await self._pipeline.recommend(Asked(user, limit, surface, _only(kind), own, seeds, place))
        extra = {"request_id": answer.request_id, "model_version": answer.model_version}
        return self._answer(answer.items, answer.degraded, extra)

    async def recall(self, request: Request) -> Response:
        """Candidates only, in the order of recall."""
        asked = validate(self._recall_in, await read_json(request, JSON_BYTES))
        user = await self._pipeline.user(asked.user)
        wanted = Wanted(asked.limit, self._settings.cold_share, _only(asked.kind))
        recaller = self._pipeline.recallers[asked.recaller or self._settings.recaller]
        found = await recaller.recall(user, wanted)
        return self._answer(found, user.degraded, {"model_version": version_of(user)})

    async def rank(self, request: Request) -> Response:
        """The given items in order; those that are not published are named in `unknown`."""
        asked = validate(self._rank_in, await read_json(request, JSON_BYTES))
        user = await self._pipeline.user(asked.user)
        found = self._parts.catalogue.pick(asked.item_ids, user.taste).because("asked")
        ranker = self._pipeline.rankers[self._settings.ranker]
        ranked = found.scored(await ranker.rank(user, found, self._parts.now()))
        unknown = self._pipeline.count_unknown(asked.item_ids, found)
        best_first = ranked.take(np.argsort(-ranked.score, kind="stable"))
        return self._answer(best_first, user.degraded, {"unknown": unknown, "model_version": version_of(user)})

    async def explain(self, user: QueryId, item: str) -> Response:
        """Why the recommender in use would offer an item to a user, or would not.

        `score` and the user's `boundary`, which the score of a cold item must exceed; `source`: whether training
        placed the item or its content did; `parts`: the weight of each part of the content; `neighbours`: the items
        that lie nearest; `played`: those of the user's last plays that do.
        """
        explanation = await self._pipeline.explain(user, require_id("item", item))
        if explanation is None:
            raise ProblemError(404, "item-unplaced", "No recommender is in use, or it does not hold this item.")
        return Response(orjson.dumps(explanation), media_type="application/json")

    async def similar(self, item: str, limit: Limit = 20, kind: OfKind = None) -> Response:
        """Published items whose content is nearest to an item's."""
        vector = await self._vector_of(require_id("item", item))
        found = self._parts.catalogue.nearest(vector, limit, Where(kind, exclude=(item,)))
        return self._answer(found.because("similar"), ())

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

    def _answer(self, found: Candidates, degraded: tuple[str, ...], extra: dict[str, Any] | None = None) -> Response:
        for part in degraded:
            self._parts.metrics.degraded.labels(part).inc()
        body = {"items": _items(found), "degraded": degraded, **(extra or {})}
        return Response(orjson.dumps(body), media_type="application/json")

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
            "/v1/explanations/{item}",
            self.explain,
            methods=["GET"],
            response_class=Response,
            dependencies=guard,
            responses=responses(EXPLANATION_EXAMPLE, 404, 422),
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


def _only(kind: Kind | None) -> tuple[str, ...]:
    return () if kind is None else (kind,)


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
