"""Pieces of the OpenAPI document: examples, the problem schema, forms that FastAPI does not read itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from processors.serving.problems import MEDIA_TYPE

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem document.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, machine-readable name."},
        "pointer": {"type": "string", "description": "Place of the error in the body (RFC 6901)."},
        "index": {"type": "integer", "description": "Number of the bad element of a batch, from 0."},
        "errors": {"type": "array", "items": {"type": "object"}},
        "instance": {"type": "string", "description": "Id under which an unexpected error was recorded."},
    },
}
_PROBLEM_EXAMPLES: dict[int, tuple[str, str]] = {
    400: ("json-malformed", "The body is not JSON: Expecting value at line 1, column 1."),
    401: ("key-missing", "This needs an API key: send it as `Authorization: Bearer ovk_...`."),
    403: ("scope-missing", "The API key has none of the scopes that open this: ingest."),
    404: ("media-unknown", "There is no such upload."),
    408: ("body-stalled", "No byte of the body came for 30 s."),
    409: ("case-leased", "Another moderator has the case at the moment."),
    413: ("upload-too-large", "The file has more than 41943040 bytes."),
    415: ("media-type", "The file is none of the accepted types."),
    422: ("field-invalid", "kind: one of video, audio, post, score, screenshot."),
    503: ("unavailable", "A part of the service does not answer at the moment."),
}

Responses = dict[int | str, dict[str, Any]]


def responses(example: Any, *problems: int, status: int = 200, media_type: str = "application/json") -> Responses:
    """Success with ``example``, and problem documents of the given statuses."""
    found: Responses = {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {media_type: {"example": example}},
        }
    }
    return found | {number: problem_answer(number) for number in problems}


def problem_answer(status: int) -> dict[str, Any]:
    """The answer object of a problem document with an example."""
    code, detail = _PROBLEM_EXAMPLES[status]
    body = {
        "type": f"urn:overture:problem:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
    }
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": body}},
    }


def json_body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """``openapi_extra`` of a route that parses JSON itself."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    }


def form_body(fields: dict[str, dict[str, Any]], required: list[str], example: dict[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of a route that streams a form."""
    schema = {"type": "object", "required": required, "properties": fields, "additionalProperties": False}
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "The same key of the same user gives the same id; repeat it after a failed answer.",
    }
    body = {"required": True, "content": {"multipart/form-data": {"schema": schema, "example": example}}}
    return {"parameters": [key], "requestBody": body}
