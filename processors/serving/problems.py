"""Errors as RFC 9457 problem documents; every answer of the service that is not a success is one.

``code`` is the machine-readable name, ``type`` the same as a URI, ``title`` the same for people. What went
wrong inside is logged, never sent: answers of 500 and above carry a fixed sentence.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from schemas.errors import AppError, BadMediaError, UnavailableError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:overture:problem:"
RETRY_AFTER_S = 2
MAX_ERRORS = 20
"""Most single errors listed in one document."""

STATUS_BY_CODE = {"upload-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "media-type": 415}
AWAY = "A part of the service does not answer at the moment. Nothing is wrong with the request: try again."
INTERNAL = "The service has met an unexpected error. It was recorded under the id in `instance`."

log = structlog.get_logger(__name__)


class ProblemError(Exception):
    """A refusal that the edge itself decides on.

    Attributes:
        status: HTTP status, 400..599.
        code: Stable name, lower-case words joined by hyphens.
        detail: Sentence for the caller.
        headers: Headers of the answer.
        extra: Further members of the document, for example ``pointer`` and ``index``.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.extra = extra


def problem_response(
    status: int,
    code: str,
    detail: str,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The document as an answer."""
    document = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("-", " ").capitalize(),
        "status": int(status),
        "detail": detail,
        "code": code,
        **(extra or {}),
    }
    return Response(orjson.dumps(document), int(status), dict(headers or {}), MEDIA_TYPE)


def pointer_of(path: Sequence[int | str]) -> str:
    """JSON pointer (RFC 6901) of a place in the body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(RequestValidationError, _on_parameters)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_bug)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class only
    return problem_response(error.status, error.code, error.detail, error.extra, error.headers)


async def _on_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)  # noqa: S101 - registered for this class only
    if isinstance(error, UnavailableError):
        log.warning("dependency away", code=error.code, error=str(error))
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, error.code, AWAY, headers=headers)
    status = STATUS_BY_CODE.get(error.code, error.http_status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return await _on_bug(request, error)
    extra = {"pointer": "/file"} if isinstance(error, BadMediaError) else None
    return problem_response(status, error.code, str(error), extra)


async def _on_parameters(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    # where it came (query, path), its name, and of one that may come several times which of these
    found = [{"parameter": str(e["loc"][1]), "detail": e["msg"]} for e in error.errors()[:MAX_ERRORS]]
    detail = "; ".join(f"{e['parameter']}: {e['detail']}" for e in found)
    return problem_response(422, "invalid-parameter", detail, {"errors": found})


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "-")
    return problem_response(error.status_code, code, f"{phrase}.", headers=error.headers)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return problem_response(400, "body-cut-off", "The body ended before it was complete.")


async def _on_bug(request: Request, error: Exception) -> Response:
    instance = f"urn:uuid:{uuid.uuid4()}"
    log.error("request failed", instance=instance, method=request.method, path=request.url.path, exc_info=error)
    return problem_response(500, "internal", INTERNAL, {"instance": instance})
