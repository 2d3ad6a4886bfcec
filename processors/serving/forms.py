"""Forms with one file: fields checked as they come, the file passed on to the object store."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import structlog
from fastapi import Request

from features.ownership import INCOMING
from features.ports import ObjectStore
from processors.runtime.settings import UploadLimits
from processors.serving.multipart import FormStream, Part
from processors.serving.problems import ProblemError
from processors.serving.sniff import HEAD_BYTES, Family, Sniffed, sniff
from schemas.common import ObjectRef
from schemas.errors import BadMediaError, UnavailableError

log = structlog.get_logger(__name__)
FORM_OVERHEAD_BYTES = 1024 * 1024
"""What fields and boundaries may add to the file."""

FAMILY_OF_KIND: dict[str, Family] = {
    "video": "video",
    "audio": "audio",
    "post": "image",
    "score": "image",
    "screenshot": "image",
}


@dataclass(frozen=True)
class FieldRule:
    """One field of a form.

    Attributes:
        max_chars: Longest value, characters.
        max_count: How often it may come.
    """

    max_chars: int
    max_count: int = 1


@dataclass
class Form:
    """What was sent.

    Attributes:
        values: Field name -> values in the order sent.
        object: The stored file; None when there was none.
        sniffed: What the file looked like.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    object: ObjectRef | None = None
    sniffed: Sniffed | None = None


class FormReader:
    """Reads forms whose only file is the field ``file``.

    Args:
        objects: Where files go.
        limits: Byte limits by family.
        rules: Fields that may come beside ``file``.
    """

    def __init__(self, objects: ObjectStore, limits: UploadLimits, rules: Mapping[str, FieldRule]) -> None:
        self._objects = objects
        self._rules = rules
        self._max_bytes: dict[Family, int] = {
            "video": limits.video_bytes,
            "audio": limits.audio_bytes,
            "image": limits.image_bytes,
        }

    async def read(self, request: Request, family: Family | None = None) -> Form:
        """Read the whole form; the file is durable when this returns, and waits for ``keep`` or ``discard``.

        ``family`` says what the file must be; None: the field ``kind`` says it, wherever it comes. A file
        that comes before ``kind`` is stored under its own family's limit and checked afterwards.

        Raises:
            ProblemError: 4xx; see ``FormStream``, ``Part.text``, ``check_family``; unknown or repeated fields.
            BadMediaError: the file is empty or too large.
            UnavailableError: the object store is away.
        """
        form = Form()
        try:
            await self._read(request, family, form)
        except BaseException:
            await self.discard(form)
            raise
        return form

    async def keep(self, form: Form, key: str) -> None:
        """Give the file of an accepted form its place; the same file again changes nothing.

        Raises:
            UnavailableError: the object store is away.
        """
        if form.object is not None:
            await self._objects.move(form.object.key, key)

    async def discard(self, form: Form) -> None:
        """Remove the file of a form that is not accepted; what cannot be removed now is swept later."""
        if form.object is None:
            return
        try:
            await self._objects.delete(form.object.key)
        except UnavailableError as error:
            log.warning("an unfinished upload stays for now", key=form.object.key, error=str(error))

    async def _read(self, request: Request, family: Family | None, form: Form) -> None:
        largest = self._max_bytes[family] if family else max(self._max_bytes.values())
        stream = FormStream(request, largest + FORM_OVERHEAD_BYTES)
        async for part in stream.parts():
            if part.name == "file":
                if form.object is not None:
                    raise ProblemError(422, "field-duplicate", "file is given twice.", pointer="/file")
                await self._store(part, form, family or _family_of(form))
            else:
                await self._take(part, form)
        if form.sniffed is not None:
            self._check_late(form, family or _family_of(form))

    async def _take(self, part: Part, form: Form) -> None:
        rule = self._rules.get(part.name)
        if rule is None:
            raise ProblemError(
                422, "field-unknown", f"There is no field {part.name[:40]!a}.", allowed=["file", *self._rules]
            )
        if part.filename is not None:
            raise ProblemError(422, "field-is-file", f"{part.name} is no file.", pointer=f"/{part.name}")
        values = form.values.setdefault(part.name, [])
        values.append(await part.text(rule.max_chars))
        if len(values) > rule.max_count:
            code = "field-duplicate" if rule.max_count == 1 else "field-too-many"
            detail = f"{part.name} is given more than {rule.max_count} time(s)."
            raise ProblemError(422, code, detail, pointer=f"/{part.name}")

    async def _store(self, part: Part, form: Form, family: Family | None) -> None:
        chunks = part.chunks()
        head = bytearray()
        async for chunk in chunks:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        if not head:
            if part.filename:
                raise BadMediaError("The file is empty.", code="media-empty")
            return  # a browser's file input without a choice
        sniffed = sniff(bytes(head[:HEAD_BYTES]))
        if sniffed is None:
            raise _wrong_type("The file is none of the accepted types.")
        if family is not None:
            check_family(sniffed, family)
        limit = self._max_bytes[family] if family else max(self._max_bytes[f] for f in sniffed.families)
        form.sniffed = sniffed
        form.object = await self._objects.put_stream(
            _joined(bytes(head), chunks),
            prefix=f"{INCOMING}/{uuid.uuid4().hex}",
            max_bytes=limit,
            content_type=sniffed.content_type,
        )

    def _check_late(self, form: Form, family: Family | None) -> None:
        if family is None or form.object is None or form.sniffed is None:
            return
        check_family(form.sniffed, family)
        if form.object.size_bytes > self._max_bytes[family]:
            raise BadMediaError(f"The file has more than {self._max_bytes[family]} bytes.", code="upload-too-large")


def check_family(sniffed: Sniffed, family: Family) -> None:
    """Refuse a file that cannot be what it was sent as.

    Raises:
        ProblemError: 415.
    """
    if family not in sniffed.families:
        raise _wrong_type(f"The file is {sniffed.content_type}, which holds no {family}.")


def _wrong_type(detail: str) -> ProblemError:
    return ProblemError(415, "media-type", detail, pointer="/file")


def _family_of(form: Form) -> Family | None:
    kinds = form.values.get("kind", [])
    return FAMILY_OF_KIND.get(kinds[0]) if kinds else None


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
