"""Requests that begin a way through the system belong to a trace."""

from __future__ import annotations

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Receive, Scope, Send

from processors.runtime import tracing
from processors.runtime.letters import TRACEPARENT

TRACED = ("/v1/uploads", "/v1/avatars", "/v1/media")
HEADER = TRACEPARENT.encode()


class RequestTraces:
    """ASGI middleware: continues the client's W3C trace, or begins one, where a request may publish an event.

    Elsewhere a request is traced only if its client asks for it: reads are too many and too short.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = _given(scope) if scope["type"] == "http" else None
        if given is None and not (scope["type"] == "http" and scope["path"].startswith(TRACED)):
            await self._app(scope, receive, send)
            return
        name = f"{scope['method']} {scope['path']}" if scope["path"] in TRACED else scope["method"]
        with tracing.span(name, given, SpanKind.SERVER):
            await self._app(scope, receive, send)


def _given(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), None)
