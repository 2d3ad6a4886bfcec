"""multipart/form-data as a stream of parts, without touching the disk.

python-multipart's push parser does the parsing; here its callbacks become something to iterate over, so that
a file flows to the object store while it arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from processors.serving.bodies import body_chunks
from processors.serving.problems import ProblemError

MAX_PARTS = 100
MAX_HEADER_BYTES = 2048
MAX_HEADERS = 8
PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})
SHOWN_CHARS = 40


class _PartEnd:
    pass


class _FormEnd:
    pass


@dataclass(frozen=True)
class _Head:
    headers: dict[str, str]


_Event = _Head | bytes | _PartEnd | _FormEnd


class Part:
    """One part; its bytes must be read before the next part comes.

    Attributes:
        name: Field name.
        filename: Name the client gave the file, only to tell a file from a field; None for a field.
    """

    def __init__(self, name: str, filename: str | None, source: FormStream) -> None:
        self.name = name
        self.filename = filename
        self._source = source
        self._done = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """The part's bytes as they arrive."""
        while not self._done:
            event = await self._source.next_event()
            if isinstance(event, bytes):
                yield event
            else:
                self._done = True

    async def text(self, max_chars: int) -> str:
        """The part as text.

        Raises:
            ProblemError: 422; longer than ``max_chars``, not UTF-8, or with control characters.
        """
        data = bytearray()
        async for chunk in self.chunks():
            data += chunk
            if len(data) > 4 * max_chars:
                raise self._too_long(max_chars)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProblemError(422, "field-encoding", f"{self.name}: not UTF-8.", pointer=f"/{self.name}") from error
        if len(text) > max_chars:
            raise self._too_long(max_chars)
        if any(c < " " and c not in "\t\r\n" for c in text):
            raise ProblemError(
                422, "field-control-character", f"{self.name}: control characters.", pointer=f"/{self.name}"
            )
        return text

    def _too_long(self, max_chars: int) -> ProblemError:
        return ProblemError(
            422,
            "field-too-long",
            f"{self.name}: longer than {max_chars} characters.",
            pointer=f"/{self.name}",
        )


class FormStream:
    """The parts of one request, in the order sent.

    Args:
        request: With its body unread.
        max_bytes: Largest body, all parts and boundaries together.

    Raises:
        ProblemError: 415 not multipart/form-data, 400 no or an impossible boundary.
    """

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._body = body_chunks(request, max_bytes)
        self._events: deque[_Event] = deque()
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()
        self._parts = 0
        self._parser = MultipartParser(
            _boundary(request),
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )

    async def parts(self) -> AsyncIterator[Part]:
        """Each part; what a caller leaves unread of it is skipped.

        Raises:
            ProblemError: 400 malformed, cut off or too many parts; 413, 408 as ``body_chunks``.
        """
        while not isinstance(event := await self.next_event(), _FormEnd):
            if isinstance(event, _Head):
                part = self._open(event)
                yield part
                async for _ in part.chunks():
                    pass

    async def next_event(self) -> _Event:
        """Next thing the parser found; for ``Part``."""
        while not self._events:
            chunk = await anext(self._body, None)
            if chunk is None:
                raise ProblemError(400, "multipart-truncated", "The form ends before its closing boundary.")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise ProblemError(400, "multipart-malformed", f"The form cannot be parsed: {error}.") from error
        return self._events.popleft()

    def _open(self, head: _Head) -> Part:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ProblemError(400, "multipart-too-many-parts", f"More than {MAX_PARTS} parts.")
        kind, options = parse_options_header(head.headers.get("content-disposition"))
        try:
            name = options.get(b"name", b"").decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProblemError(400, "multipart-malformed", "A field name is not UTF-8.") from error
        if kind != b"form-data" or not name:
            raise ProblemError(400, "multipart-malformed", "A part does not say which field it is.")
        if head.headers.get("content-transfer-encoding", "").lower() not in PLAIN_ENCODINGS:
            raise ProblemError(400, "multipart-encoding", "Parts must be sent as they are, without encoding.")
        filename = options.get(b"filename")
        return Part(name, None if filename is None else filename.decode("utf-8", "replace"), self)

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        name = self._name.decode("latin-1").lower()
        if name in self._headers:
            raise ProblemError(400, "multipart-malformed", "A part repeats a header.")
        self._headers[name] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        self._events.append(_Head(self._headers))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(_PartEnd())

    def _on_end(self) -> None:
        self._events.append(_FormEnd())


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise ProblemError(415, "content-type", "The body must be sent as multipart/form-data.")
    boundary = options.get(b"boundary", b"")
    # RFC 2046: 1 to 70 characters.
    if not 1 <= len(boundary) <= 70:
        raise ProblemError(400, "multipart-boundary", "The content type names no usable boundary.")
    return boundary
