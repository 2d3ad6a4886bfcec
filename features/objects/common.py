"""What both kinds of store share: keys, measuring, checking, errors."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, ParamSpec, TypeVar

from obstore.exceptions import BaseError

from schemas.common import ObjectRef
from schemas.errors import BadEventError, BadMediaError, UnavailableError

P = ParamSpec("P")
T = TypeVar("T")

TEMPORARY = "tmp"
"""First segment of the keys of unfinished uploads; no object has it."""
CHUNK = 1024 * 1024
_SEGMENT = re.compile(r"[A-Za-z0-9_@=+:-][A-Za-z0-9._@=+:-]*")
_MAX_KEY, _MAX_SEGMENT = 1024, 200


def check_key(key: str) -> str:
    """``key`` itself if it is one that every store takes.

    ASCII letters, digits and ``._@=+:-`` in segments joined by ``/``; no segment is empty or begins with a dot, and
    the first is not the reserved ``tmp``.

    Raises:
        ValueError: it is not.
    """
    segments = key.split("/")
    if (
        len(key) > _MAX_KEY
        or segments[0] == TEMPORARY
        or not all(len(part) <= _MAX_SEGMENT and _SEGMENT.fullmatch(part) for part in segments)
    ):
        raise ValueError(f"{key[:80]!r} is no key of an object")
    return key


def check_folder(folder: str) -> str:
    """``folder`` itself if keys may begin with it; empty for all.

    Raises:
        ValueError: it is not.
    """
    return folder if folder in ("", TEMPORARY) else check_key(folder)


def content_key(prefix: str, sha256: str) -> str:
    """``<prefix>/<first two hex digits>/<sha256>``."""
    return check_key(f"{prefix}/{sha256[:2]}/{sha256}")


async def in_thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `asyncio.to_thread`, but a cancelled caller waits for the thread: it may not work on a closed file."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        # looked at, or asyncio logs it as forgotten
        _ = work.cancelled() or work.exception()
        raise


class Meter:
    """Length and SHA-256 of what passes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._max_bytes:
            raise BadMediaError(f"The file is larger than {self._max_bytes} bytes.", code="upload-too-large")
        self._hash.update(chunk)

    def ref(self, prefix: str, content_type: str) -> ObjectRef:
        if not self.size:
            raise BadMediaError("The file is empty.", code="media-empty")
        digest = self._hash.hexdigest()
        return ObjectRef(
            key=content_key(prefix, digest), sha256=digest, size_bytes=self.size, content_type=content_type
        )


def ref_of(key: str, data: bytes, content_type: str) -> ObjectRef:
    digest = hashlib.sha256(data).hexdigest()
    return ObjectRef(key=key, sha256=digest, size_bytes=len(data), content_type=content_type)


def require_same(file: IO[bytes], ref: ObjectRef) -> None:
    size, digest = os.fstat(file.fileno()).st_size, ""
    if size == ref.size_bytes:
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    if digest != ref.sha256:
        raise BadEventError(f"the bytes under {ref.key} are not those of the event", code="object-mismatch")


@contextmanager
def translated(address: str, wanted: str) -> Iterator[None]:
    """Raise what the port promises; ``wanted`` is the key that is read, empty where nothing is."""
    try:
        yield
    except (BaseError, OSError) as error:
        if wanted and isinstance(error, FileNotFoundError):
            raise KeyError(wanted) from error
        # obstore appends a dump of its internals from the second line on
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
        raise UnavailableError(f"object store {address}: {reason}", code="objects-unavailable") from error
