"""Who may call which route: API keys with scopes, sent as ``Authorization: Bearer`` (RFC 6750).

A route names the scopes that open it, ``dependencies=gate.needs("ingest")``; one of them is enough. A route
that names none and is not listed in ``OPEN`` keeps the service from starting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request, params
from fastapi.routing import iter_route_contexts

from processors.serving.documentation import problem_answer
from processors.serving.keys import SCOPES, KeyRefusedError, KeyRing, Scope, key_id
from processors.serving.problems import ProblemError
from processors.serving.review.oidc import TokenRefusedError, TokenVerifier

OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v1/review/config"})
"""Paths that need no key: nothing of a user is behind them."""
OPEN_BELOW = ("/swagger/", "/page/", "/review/")
"""Folders of such paths: files that every installation has."""
REALM = 'Bearer realm="overture"'
SCHEME = "key"
DETAILS = {
    "key-missing": "This needs an API key: send it as `Authorization: Bearer ovk_...`.",
    "key-invalid": "The API key is not one of this service.",
    "key-expired": "The API key has expired.",
    "key-revoked": "The API key was revoked.",
    "token-invalid": "The token of the OpenID provider is not valid, or not valid any more.",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who sends a request; a route finds it with ``caller_of``.

    Attributes:
        name: key:ID or oidc:SUBJECT.
        scopes: What they may do.
        senior: Whether they may decide reviews that were escalated.
    """

    name: str
    scopes: tuple[Scope, ...]
    senior: bool


EVERYBODY = Caller("key:development", SCOPES, senior=True)
"""Everybody where nobody is asked for a key."""


def caller_of(request: Request) -> Caller:
    """Who was let through by the guard of the route."""
    caller: Caller = request.state.caller
    return caller


class Guard:
    """The dependency of one route.

    Attributes:
        scopes: Any one of them opens it.
    """

    def __init__(self, ring: KeyRing | None, scopes: tuple[Scope, ...], tokens: TokenVerifier | None = None) -> None:
        self._ring = ring
        self._tokens = tokens
        self.scopes = scopes

    async def __call__(self, request: Request) -> None:
        """Let the request through; afterwards log lines carry who sends it as ``key_id``.

        Raises:
            ProblemError: 401 no usable key or token, 403 one without any of the scopes.
            KeyFileError: 503; the keys cannot be read.
            UnavailableError: the OpenID provider's keys cannot be had.
        """
        if self._ring is None:
            request.state.caller = EVERYBODY
            return
        try:
            caller = await self._find(self._ring, _bearer(request))
        except KeyRefusedError as refusal:
            raise _unauthorized(refusal) from refusal
        request.state.caller = caller
        structlog.contextvars.bind_contextvars(key_id=caller.name.removeprefix("key:"))
        if not any(scope in caller.scopes for scope in self.scopes):
            log.info("key lacks the scope", has=caller.scopes, needs=self.scopes, method=request.method)
            needed = " ".join(self.scopes)
            raise ProblemError(
                403,
                "scope-missing",
                f"The API key has none of the scopes that open this: {', '.join(self.scopes)}.",
                headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{needed}"'},
            )

    async def _find(self, ring: KeyRing, text: str) -> Caller:
        # three parts between dots are a token; whatever else it is, it is no key of ours
        if self._tokens is None or key_id(text) is not None or text.count(".") != 2:
            record = ring.find(text)
            return Caller(
                f"key:{record.id}", record.scopes, senior="review" in record.scopes and "operate" in record.scopes
            )
        try:
            who = await self._tokens.verify(text)
        except TokenRefusedError as refusal:
            log.info("token refused", reason=str(refusal))
            raise KeyRefusedError("token-invalid", None) from refusal
        return Caller(f"oidc:{who.subject}", ("review",) if who.moderator else (), senior=who.senior)


class Gate:
    """Makes the guards.

    Args:
        ring: The keys; None lets everybody do everything, for development.
        tokens: Checks the tokens of moderators who log in at an OpenID provider; None: there is none.
    """

    def __init__(self, ring: KeyRing | None, tokens: TokenVerifier | None = None) -> None:
        self._ring = ring
        self._tokens = tokens

    @property
    def asks(self) -> bool:
        """Whether anybody has to say who they are."""
        return self._ring is not None

    def needs(self, *scopes: Scope) -> list[params.Depends]:
        """``dependencies`` of a route that a key with any of ``scopes`` opens."""
        if not scopes:
            raise ValueError("a guarded route names at least one scope")
        return [Depends(Guard(self._ring, scopes, self._tokens))]

    async def probe(self) -> None:
        """Return if keys can be checked.

        Raises:
            KeyFileError: they cannot.
        """
        if self._ring is not None:
            self._ring.refresh()


def guarded(app: FastAPI) -> dict[tuple[str, str], tuple[Scope, ...]]:
    """(Path template, method) of every route of ``app`` -> the scopes that open it; open routes have none.

    Raises:
        LookupError: a route is neither guarded nor listed as open.
    """
    found: dict[tuple[str, str], tuple[Scope, ...]] = {}
    for route in iter_route_contexts(app.routes):
        path = route.path or "?"
        dependencies = getattr(route, "dependencies", None) or ()
        guards = [each.dependency for each in dependencies if isinstance(each.dependency, Guard)]
        if not guards and path not in OPEN and not f"{path}/".startswith(OPEN_BELOW):
            raise LookupError(f"route {path} names no scope: give it dependencies=gate.needs(...)")
        for method in route.methods or {"*"}:
            found[path, method] = guards[0].scopes if guards else ()
    return found


def describe(app: FastAPI, document: dict[str, Any]) -> None:
    """Add the security scheme, each route's scopes and its refusals to the OpenAPI document."""
    document.setdefault("components", {}).setdefault("securitySchemes", {})[SCHEME] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ovk_ID_SECRET",
        "description": "A key made by `overture keys create`; any one of the scopes listed with a route opens it.",
    }
    for (path, method), scopes in guarded(app).items():
        operation = document.get("paths", {}).get(path, {}).get(method.lower())
        if operation is None or not scopes:
            continue
        operation["security"] = [{SCHEME: [scope]} for scope in scopes]
        operation["responses"] |= {"401": problem_answer(401), "403": problem_answer(403)}


def _bearer(request: Request) -> str:
    sent = request.headers.getlist("authorization")
    if not sent:
        raise KeyRefusedError("key-missing", None)
    scheme, _, text = sent[0].partition(" ")
    if len(sent) > 1 or scheme.lower() != "bearer":
        raise KeyRefusedError("key-invalid", None)
    return text.strip(" ")


def _unauthorized(refusal: KeyRefusedError) -> ProblemError:
    challenge = REALM
    if refusal.code != "key-missing":
        log.info("key refused", code=refusal.code, key_id=refusal.key_id)
        challenge += f', error="invalid_token", error_description="{DETAILS[refusal.code]}"'
    return ProblemError(401, refusal.code, DETAILS[refusal.code], headers={"WWW-Authenticate": challenge})
