"""JSON as strangers send it, parsed so that nothing odd gets past the edge.

Python's own parser takes NaN, keeps the last of two equal keys, lets lone surrogates through (they fail much
later, when somebody encodes them), and raises errors of its own at 4300 digits and at a thousand brackets.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from processors.serving.bodies import read_body
from processors.serving.problems import MAX_ERRORS, ProblemError, pointer_of

T = TypeVar("T")

MAX_DEPTH = 16
MAX_DIGITS = 19
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
SHOWN_CHARS = 40
# Strings are consumed whole and possessively, so the scan is linear whatever the body holds.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> Any:
    """Plain value of ``body``: str, int within 64 bits, finite float, bool, None, list, dict.

    Raises:
        ProblemError: 400; not UTF-8, not JSON, or one of the things the module's docstring lists.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(400, "json-encoding", f"The body is not UTF-8: {error.reason} at {error.start}.") from error
    _refuse_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        raise ProblemError(
            400, "json-malformed", f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    if _MAYBE_SURROGATE.search(text):
        _refuse_surrogates(value)
    return value


async def read_json(request: Request, max_bytes: int) -> Any:
    """The request's JSON body, parsed by ``parse``.

    Raises:
        ProblemError: 415 when the content type is not JSON; else as ``read_body`` and ``parse``.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemError(415, "content-type", "The body must be sent as application/json.")
    return parse(await read_body(request, max_bytes))


def validate(adapter: TypeAdapter[T], value: Any, prefix: tuple[int | str, ...] = ()) -> T:
    """``value`` as the adapter's type.

    Args:
        adapter: Strict models.
        value: What ``parse`` gave.
        prefix: Where ``value`` lies in the body; a number first is the index of a batch element.

    Raises:
        ProblemError: 422 with pointer, index (in a batch) and the first ``MAX_ERRORS`` errors.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        listed = [{"pointer": pointer_of((*prefix, *e["loc"])), "detail": e["msg"]} for e in found[:MAX_ERRORS]]
        extra: dict[str, Any] = {"pointer": listed[0]["pointer"], "errors": listed}
        if prefix and isinstance(prefix[0], int):
            extra["index"] = prefix[0]
        detail = f"{listed[0]['pointer'] or 'the body'}: {listed[0]['detail']}"
        raise ProblemError(422, "invalid-body", detail, **extra) from error


def _refuse_depth(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ProblemError(400, "json-too-deep", f"More than {MAX_DEPTH} levels of nesting.")
        elif first in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ProblemError(400, "json-duplicate-key", f"The key {twice[:SHOWN_CHARS]!a} is given twice.")
    return found


def _constant(name: str) -> NoReturn:
    raise ProblemError(400, "json-number", f"{name} is no JSON number.")


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) <= MAX_DIGITS and INT_MIN <= (value := int(digits)) <= INT_MAX:
        return value
    raise ProblemError(400, "json-number", "A whole number does not fit into 64 bits.")


def _number(digits: str) -> float:
    value = float(digits)
    if math.isfinite(value):
        return value
    raise ProblemError(400, "json-number", "A number is too large.")


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ProblemError(400, "json-surrogate", "A text contains half of a surrogate pair.") from error
