"""``/v1/review``: the queue, one case, its pictures, and what a moderator does with it.

There is no route that looks for a person: none takes a picture or a vector, and the only faces shown are those that
a case names.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from models.review_queue import OPEN
from processors.serving.documentation import Responses, json_body, responses
from processors.serving.fields import idempotency_key
from processors.serving.gate import caller_of
from processors.serving.json_edge import read_json, validate
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from processors.serving.review import examples
from processors.serving.review.bodies import ActionIn, NextIn
from processors.serving.review.desk import Desk
from processors.serving.review.documents import Seen, reasons_document
from processors.serving.review.view import STATES, SUBJECTS
from schemas.common import ObjectRef

PICTURE_TYPES = ("image/webp", "image/jpeg", "image/png")
PRIVATE = {"Cache-Control": "no-store"}
PICTURE_HEADERS = PRIVATE | {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
    "Cross-Origin-Resource-Policy": "same-origin",
}
CASES, MOST_CASES = 50, 200
CASE = "/v1/review/cases/{review_id}"
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key and decision of a moderator give the same event; repeat it after a failed answer.",
}


class ReviewRoutes:
    """Everything the console calls."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._cases = parts.review.cases
        self._desk = Desk(parts)
        self._next = TypeAdapter(NextIn)
        self._action = TypeAdapter(ActionIn)
        self.router = APIRouter(tags=["review"])
        review = parts.gate.needs("review")

        def add(path: str, method: str, route: Any, answers: Responses, body: dict[str, Any] | None = None) -> None:
            self.router.add_api_route(
                path,
                route,
                methods=[method],
                status_code=int(next(iter(answers))),
                response_class=Response,
                dependencies=review,
                responses=answers,
                openapi_extra=body,
            )

        self.router.add_api_route(
            "/v1/review/config",
            self.config,
            methods=["GET"],
            response_class=Response,
            responses=responses(examples.CONFIG),
        )
        wanted = json_body(NextIn.model_json_schema(), {"subjects": ["avatar", "media"]})
        decided = json_body(ActionIn.model_json_schema(), examples.ACTION) | {"parameters": [KEY]}
        picture = responses("An image", 404, 422, 503, media_type=PICTURE_TYPES[0])
        whole = responses(examples.CASE, 403, 404, 409, 422, 503)
        accepted = responses(examples.ACCEPTED, 400, 403, 404, 409, 413, 415, 422, 503, status=202)
        add("/v1/review/me", "GET", self.me, responses(examples.ME))
        add("/v1/review/cases", "GET", self.cases, responses(examples.CASES, 422, 503))
        add("/v1/review/next", "POST", self.next, responses(examples.CASE, 400, 409, 415, 422, 503), wanted)
        add(CASE, "GET", self.case, responses(examples.CASE, 404, 422, 503))
        add(f"{CASE}/pictures/{{number}}", "GET", self.picture, picture)
        add(f"{CASE}/nearest/{{number}}", "GET", self.nearest, picture)
        add(f"{CASE}/actions", "POST", self.act, accepted, decided)
        add(f"{CASE}/lease", "POST", self.lease, whole)
        add(f"{CASE}/release", "POST", self.release, responses(None, 404, 422, 503, status=204))

    async def config(self) -> Response:
        """What the console must know before anybody has logged in."""
        oidc = self._parts.settings.review.oidc
        provider = {
            "issuer": oidc.issuer,
            "client_id": oidc.client_id,
            "scopes": oidc.scopes,
            "token": oidc.token,
        }
        document = {
            "login_required": self._parts.gate.asks,
            "oidc": provider if oidc.issuer else None,
            "lease_s": self._parts.settings.review.lease_s,
            "reasons": reasons_document(),
        }
        return _answer(document)

    async def me(self, request: Request) -> Response:
        """Who the caller is to the queue."""
        caller = caller_of(request)
        return _answer({"moderator": caller.name, "senior": caller.senior})

    async def cases(
        self,
        request: Request,
        state: Annotated[str | None, Query(description="Only cases in this state; else the open ones.")] = None,
        subject: Annotated[str | None, Query(description="Only cases about this: avatar, media or ring.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_CASES, description="Most cases answered.")] = CASES,
    ) -> Response:
        """Open cases, the most important first; closed ones, the newest first."""
        states = _chosen("state", state, STATES)
        subjects = _chosen("subject", subject, SUBJECTS) or SUBJECTS
        if states and states[0] not in OPEN:
            found = self._cases.closed(states[0], subjects, limit)
        else:
            found = self._cases.ordered(states or OPEN, subjects)[:limit]
        seen = await self._desk.seen(found, caller_of(request))
        return _answer({"cases": [each.summary(self._cases) for each in seen], "counts": self._cases.counts()})

    async def next(self, request: Request) -> Response:
        """The most important case that nobody holds, leased to the caller; 204 if there is none."""
        wanted = validate(self._next, await read_json(request, self._parts.settings.limits.json_bytes))
        seen = await self._desk.next(wanted.subjects or SUBJECTS, caller_of(request))
        return Response(status_code=204, headers=PRIVATE) if seen is None else self._whole(seen)

    async def case(self, review_id: str, request: Request) -> Response:
        """One case; in a second look without the votes so far and the proposal."""
        return self._whole(await self._desk.find(review_id, caller_of(request)))

    async def lease(self, review_id: str, request: Request) -> Response:
        """Take a certain case, or keep the one in work for longer."""
        return self._whole(await self._desk.hold(await self._desk.find(review_id, caller_of(request))))

    async def release(self, review_id: str, request: Request) -> Response:
        """Give a case back; it is not offered to the caller again for a while."""
        await self._desk.release(await self._desk.find(review_id, caller_of(request)))
        return Response(status_code=204, headers=PRIVATE)

    async def act(self, review_id: str, request: Request) -> Response:
        """Approve, reject or escalate; settled once the case has a greater `seq`."""
        if "idempotency-key" not in request.headers:
            raise ProblemError(400, "idempotency-key-missing", "A decision needs an Idempotency-Key.")
        key = idempotency_key(request)
        said = validate(self._action, await read_json(request, self._parts.settings.limits.json_bytes))
        seen = await self._desk.find(review_id, caller_of(request))
        taken = await self._desk.act(seen, said, key)
        return _answer({"review_id": review_id} | dataclasses.asdict(taken), status=202)

    async def picture(self, review_id: str, number: int, request: Request) -> Response:
        """A picture of the case."""
        seen = await self._desk.find(review_id, caller_of(request))
        return await self._image(dict(enumerate(seen.request.pictures)).get(number))

    async def nearest(self, review_id: str, number: int, request: Request) -> Response:
        """The gallery's picture of a public figure who resembles the face."""
        seen = await self._desk.find(review_id, caller_of(request))
        return await self._image({n: near.picture for n, near in enumerate(seen.request.nearest)}.get(number))

    async def _image(self, picture: ObjectRef | None) -> Response:
        most = self._parts.settings.review.picture_bytes
        if picture is None or picture.content_type not in PICTURE_TYPES or picture.size_bytes > most:
            raise _absent()
        try:
            data = await self._parts.objects.get(picture.key)
        except KeyError:
            raise _absent() from None
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise _absent()
        return Response(data, headers=PICTURE_HEADERS, media_type=picture.content_type)

    def _whole(self, seen: Seen) -> Response:
        return _answer(seen.whole(self._cases))


def _chosen(name: str, value: str | None, choices: tuple[Any, ...]) -> tuple[Any, ...]:
    if value is None:
        return ()
    if value not in choices:
        raise ProblemError(422, "invalid-parameter", f"{name}: one of {', '.join(choices)}.")
    return (value,)


def _absent() -> ProblemError:
    return ProblemError(404, "picture-unknown", "There is no such picture.")


def _answer(document: dict[str, Any], status: int = 200) -> Response:
    body = orjson.dumps(document, option=orjson.OPT_UTC_Z)
    return Response(body, status, headers=PRIVATE, media_type="application/json")
