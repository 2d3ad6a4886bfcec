"""What is fuzzed, as plain functions: each takes what a stranger sends and raises only where the code is wrong.

The property tests beside this file and the coverage-guided runs (``coverage_guided.py``) call the same ones.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import math
from collections.abc import Awaitable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import orjson
from starlette.requests import Request

from processors.runtime.processor import Emit
from processors.serving.fields import idempotency_key, is_media_id, require_id, require_language
from processors.serving.forms import FieldRule, FormReader
from processors.serving.gate import Guard
from processors.serving.json_edge import INT_MAX, INT_MIN, MAX_DEPTH, parse
from processors.serving.key_file import KeyFileError, parse_keys
from processors.serving.keys import KeyRecord, KeyRing, digest
from processors.serving.media import _last_seq
from processors.serving.problems import ProblemError
from schemas import topics
from schemas.errors import BadEventError, BadMediaError, UnavailableError
from schemas.record import Record
from tests.fakes.serving import MemoryObjects, MemoryPublisher, Service, numbered_codec, small_limits

T = TypeVar("T")
RECORDS: tuple[type[Record], ...] = tuple(dict.fromkeys(t.record for t in topics.ALL))
CODEC = numbered_codec()
CODEC_ERRORS = frozenset(
    {
        "value-missing",
        "value-truncated",
        "value-magic",
        "schema-unknown",
        "value-type",
        "value-undecodable",
        "value-trailing",
    }
)
FOLLOWED = (
    topics.MEDIA_STATUS,
    topics.ITEM_CHANGED,
    topics.SONG_COUNTED,
    topics.PLAY_AGGREGATED,
    topics.EXPOSURES_COUNTED,
)
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
KEY = f"ovk_{'0123456789abcdef'}_{'A' * 43}"
MEDIA_ID = "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77"
RULES = {"kind": FieldRule(16), "title": FieldRule(30), "tags": FieldRule(8, 3)}
LIMITS = small_limits(video_bytes=4096, audio_bytes=2048, image_bytes=1024, json_bytes=65536, batch_records=20)

_runner = asyncio.Runner()
atexit.register(_runner.close)


def run(work: Awaitable[T]) -> T:
    """The result of a coroutine, on one loop for all cases."""
    return _runner.get_loop().run_until_complete(work)


def _code(error: ProblemError, statuses: range) -> str:
    """The code of a refusal that can be sent as it is."""
    assert error.status in statuses, error.status
    orjson.dumps({"detail": error.detail, **error.extra})
    for name, value in (error.headers or {}).items():
        assert f"{name}: {value}".isascii()
        assert f"{name}: {value}".isprintable()
    return error.code


# the envelope


def decode(data: bytes | None, expected: type[Record]) -> Record | str:
    """What a record's value decodes to, or the code of its error."""
    try:
        record = CODEC.decode(data, expected)
    except BadEventError as error:
        return error.code
    assert type(record) is expected
    again = CODEC.encode(record)
    assert CODEC.encode(CODEC.decode(again, expected)) == again
    return record


# JSON


def parse_json(body: bytes) -> Any:
    """The plain value of a body, or the code of its error."""
    try:
        value = parse(body)
    except ProblemError as error:
        return _code(error, range(400, 401))
    _check_plain(value, 0)
    orjson.dumps(value)
    assert json.loads(body) == value
    return value


def _check_plain(value: Any, depth: int) -> None:
    match value:
        case dict():
            assert depth < MAX_DEPTH
            for name, each in value.items():
                name.encode()
                _check_plain(each, depth + 1)
        case list():
            assert depth < MAX_DEPTH
            for each in value:
                _check_plain(each, depth + 1)
        case str():
            value.encode()
        case bool() | None:
            pass
        case int():
            assert INT_MIN <= value <= INT_MAX
        case float():
            assert math.isfinite(value)
        case _:
            raise AssertionError(type(value))


# forms


def request_of(headers: Iterable[tuple[bytes, bytes]], chunks: Sequence[bytes] = (b"",)) -> Request:
    """A request as the server hands it over, its body in the given pieces."""
    pieces = [*chunks] or [b""]
    messages = [
        {"type": "http.request", "body": piece, "more_body": n + 1 < len(pieces)} for n, piece in enumerate(pieces)
    ]
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left, {"type": "http.disconnect"})

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in headers],
    }
    return Request(scope, receive)


def read_form(content_type: bytes, chunks: Sequence[bytes]) -> Any:
    """Fields and file of a form, or the code of its error."""
    objects = MemoryObjects()
    reader = FormReader(objects, LIMITS.limits, RULES)
    try:
        form = run(reader.read(request_of([(b"content-type", content_type)], chunks)))
    except ProblemError as error:
        return _code(error, range(400, 500))
    except BadMediaError as error:
        orjson.dumps(str(error))
        return error.code
    for name, values in form.values.items():
        assert len(values) <= RULES[name].max_count
        for value in values:
            assert len(value.encode()) <= 4 * RULES[name].max_chars
    file = objects.data[form.object.key] if form.object else None
    return form.values, file, form.sniffed


# keys of all kinds


class FixedKeys:
    """A source that holds ``KEY``."""

    def stamp(self) -> tuple[int, ...]:
        return (1,)

    def read(self) -> tuple[KeyRecord, ...]:
        record = KeyRecord(id=KEY.split("_")[1], name="k", scopes=("read",), sha256=digest(KEY), created_at=NOW)
        return (record,)


GUARD = Guard(KeyRing(FixedKeys(), lambda: NOW), ("read",))


def enter(values: Sequence[bytes]) -> str:
    """What the gate says to these ``Authorization`` headers: "open" or the code of the refusal."""
    try:
        run(GUARD(request_of([(b"authorization", value) for value in values])))
    except ProblemError as error:
        return _code(error, range(401, 402))
    (value,) = values
    assert value.split(b" ")[-1].decode() == KEY or value.rstrip(b" ").endswith(KEY.encode()), value
    return "open"


def read_key_file(data: bytes) -> int | str:
    """How many keys a key file holds, or the code of its error."""
    try:
        return len(parse_keys(data, Path("keys.json")))
    except KeyFileError as error:
        return error.code


def read_fields(value: bytes) -> dict[str, str]:
    """What becomes of a text as each kind of id, key and position."""
    text = value.decode("latin-1")
    request = request_of([(b"idempotency-key", value), (b"last-event-id", value)])
    found: dict[str, str] = {}
    for name, read in (
        ("idempotency", lambda: idempotency_key(request)),
        ("position", lambda: str(_last_seq(request))),
        ("id", lambda: require_id("id", text)),
        ("language", lambda: require_language(text)),
    ):
        try:
            found[name] = read()
        except ProblemError as error:
            _code(error, range(400, 500))
    if is_media_id(text):
        found["media"] = text
    for each in found.values():
        assert each.isprintable()
        each.encode()
    return found


# the service as a whole


class EncodingPublisher(MemoryPublisher):
    """Encodes as the real one does, and keeps only how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def publish(self, events: Iterable[Emit]) -> None:
        for event in events:
            event.key.encode()
            value = CODEC.encode(event.record)
            assert CODEC.encode(CODEC.decode(value, type(event.record))) == value
            self.count += 1


@cache
def service() -> tuple[Service, dict[str, Any]]:
    """A service on parts in memory, and its OpenAPI document."""
    made = Service(settings=LIMITS, publisher=EncodingPublisher())
    return made, made.app.openapi()


def call(method: str, template: str, path: str, headers: Sequence[tuple[bytes, bytes]], chunks: Sequence[bytes]) -> int:
    """Status of the answer, which is one that the route's documentation names; an unexpected error is raised."""
    there, document = service()
    there.objects.data.clear()
    request = request_of(headers, chunks)
    raw, _, query = path.partition("?")
    scope = request.scope | {
        "method": method,
        "path": raw,
        "raw_path": raw.encode(),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "scheme": "http",
        "server": ("service", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
        "app": there.app,
    }
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    run(there.app(scope, request.receive, send))
    status: int = sent[0]["status"]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    answer = orjson.loads(body)
    declared = document["paths"][template][method.lower()]["responses"]
    assert str(status) in declared, (status, answer)
    if status >= 400:
        assert dict(sent[0]["headers"])[b"content-type"] == b"application/problem+json"
        assert answer["status"] == status
    return status


def follow(key: bytes, value: bytes, topic: str) -> str:
    """Take a record as the service's followers do, and read: "taken", or the code of the error."""
    there, _ = service()
    view = there.status if topic == topics.MEDIA_STATUS.name else there.catalogue
    try:
        view.apply(topic, key.decode(), value)
    except UnicodeDecodeError:
        return "key-undecodable"
    except (BadEventError, UnavailableError) as error:
        return error.code
    call("GET", "/v1/recommendations", "/v1/recommendations?user=u&limit=5", (), ())
    call("GET", "/v1/media/{media_id}", f"/v1/media/{MEDIA_ID}", (), ())
    return "taken"
