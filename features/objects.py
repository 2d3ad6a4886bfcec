"""Bytes by key: a local folder (``file://``) or whatever obstore reaches (``s3://``).

The local folder is plain POSIX calls: obstore's own local store never calls fsync, so an object that HTTP answered
202 for could be empty after a power cut. Remote stores answer only when the object is durable.

Keys beginning with ``tmp/`` are uploads in progress; what a crash leaves behind stays there (and, remotely, as an
unfinished multipart upload), so a lifecycle rule or ``find -mtime`` on that prefix is the whole cleaning.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from features.ports import ObjectStore
from schemas.common import ObjectRef
from schemas.errors import BadEventError, BadMediaError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

P = ParamSpec("P")
T = TypeVar("T")

TEMPORARY = "tmp"
_SEGMENT = re.compile(r"[A-Za-z0-9_@=+:-][A-Za-z0-9._@=+:-]*")
_MAX_KEY, _MAX_SEGMENT = 1024, 200
_CHUNK = 1024 * 1024


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


def content_key(prefix: str, sha256: str) -> str:
    """``<prefix>/<first two hex digits>/<sha256>``."""
    return check_key(f"{prefix}/{sha256[:2]}/{sha256}")


def open_objects(url: str, options: Mapping[str, str] | None = None) -> ObjectStore:
    """The store at ``url``.

    Args:
        url: ``file:///folder`` (made if missing) or ``s3://bucket/prefix``.
        options: Options of obstore's S3 store, for example ``endpoint`` or ``region``; credentials come from these
            or from the usual ``AWS_*`` variables.

    Raises:
        ValueError: a URL of neither kind.
        UnavailableError: the folder cannot be made.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalObjects(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.hostname:
        store = from_url(
            url,
            config=dict(options or {}),  # type: ignore[arg-type]
            client_options={"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
        )
        return RemoteObjects(store, f"s3://{parts.hostname}{parts.path}")
    raise ValueError(f"objects are kept at file:// or s3://, not at {parts.scheme}://")


async def _in_thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `asyncio.to_thread`, but a cancelled caller waits for the thread: it may not work on a closed file."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


class _Meter:
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


def _ref(key: str, data: bytes, content_type: str) -> ObjectRef:
    digest = hashlib.sha256(data).hexdigest()
    return ObjectRef(key=key, sha256=digest, size_bytes=len(data), content_type=content_type)


def _require_same(file: IO[bytes], ref: ObjectRef) -> None:
    size, digest = os.fstat(file.fileno()).st_size, ""
    if size == ref.size_bytes:
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    if digest != ref.sha256:
        raise BadEventError(f"the bytes under {ref.key} are not those of the event", code="object-mismatch")


@contextmanager
def _translated(address: str, key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise KeyError(key) from error
    except (BaseError, OSError) as error:
        # obstore appends a dump of its internals from the second line on
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
        raise UnavailableError(f"object store {address}: {reason}") from error


class LocalObjects:
    """`ObjectStore` in a folder; every write is on the disk (file and directories) when it returns."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, made if missing.

        Raises:
            UnavailableError: it cannot be made.
        """
        self._folder = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve would follow a later change of a link)
        self._address = self._folder.as_uri()
        with self._errors(""):
            self._make_folder(self._folder / TEMPORARY)

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        check_key(key)
        with self._errors(key):
            await _in_thread(self._write, key, data, replace=True)
        return _ref(key, data, content_type)

    async def put_new(self, key: str, data: bytes) -> bool:
        check_key(key)
        with self._errors(key):
            return await _in_thread(self._write, key, data, replace=False)

    async def put_stream(
        self, chunks: AsyncIterator[bytes], *, prefix: str, max_bytes: int, content_type: str
    ) -> ObjectRef:
        check_key(prefix)
        meter, pending, temporary = _Meter(max_bytes), bytearray(), self._temporary()

        def write(data: bytes) -> None:
            meter.add(data)
            file.write(data)

        def end() -> ObjectRef:
            ref = meter.ref(prefix, content_type)
            self._land(file, temporary, ref.key, replace=True)
            return ref

        with self._errors(prefix):
            file = await _in_thread(self._create, temporary)
        try:
            async for chunk in chunks:
                pending += chunk
                if len(pending) >= _CHUNK:
                    with self._errors(prefix):
                        await _in_thread(write, bytes(pending))
                    pending.clear()
            with self._errors(prefix):
                await _in_thread(write, bytes(pending))
                return await _in_thread(end)
        finally:
            file.close()
            temporary.unlink(missing_ok=True)  # noqa: ASYNC240 (one system call, and cancelling must not skip it)

    async def get(self, key: str) -> bytes:
        check_key(key)
        with self._errors(key):
            return await _in_thread(self._read, key)

    async def open_file(self, ref: ObjectRef) -> IO[bytes]:
        check_key(ref.key)
        with self._errors(ref.key):
            file = await _in_thread(self._open, ref.key)
            try:
                await _in_thread(_require_same, file, ref)
            except BaseException:
                file.close()
                raise
        return file

    async def delete(self, key: str) -> None:
        check_key(key)
        with self._errors(key):
            await _in_thread(self._remove, key)

    def _errors(self, key: str) -> AbstractContextManager[None]:
        return _translated(self._address, key)

    def _temporary(self) -> Path:
        return self._folder / TEMPORARY / uuid.uuid4().hex

    def _create(self, path: Path) -> IO[bytes]:
        # a file object of its own life: put_stream closes it
        return path.open("xb", buffering=0)

    def _write(self, key: str, data: bytes, *, replace: bool) -> bool:
        temporary = self._temporary()
        try:
            with self._create(temporary) as file:
                file.write(data)
                return self._land(file, temporary, key, replace=replace)
        finally:
            temporary.unlink(missing_ok=True)

    def _land(self, file: IO[bytes], temporary: Path, key: str, *, replace: bool) -> bool:
        """Make the written ``temporary`` the object ``key``; whether it is this one that is there now."""
        os.fsync(file.fileno())
        target, new = self._folder / key, True
        self._make_folder(target.parent)
        if replace:
            temporary.replace(target)
        else:
            try:
                target.hardlink_to(temporary)
            except FileExistsError:
                new = False
        # also for the loser of a race: it may rely on the winner's object from now on
        _sync_folder(target.parent)
        return new

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for made in reversed(missing):
            made.mkdir(exist_ok=True)
            _sync_folder(made.parent)

    def _open(self, key: str) -> IO[bytes]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(self._folder / key, flags), "rb")

    def _read(self, key: str) -> bytes:
        with self._open(key) as file:
            return file.read()

    def _remove(self, key: str) -> None:
        target = self._folder / key
        try:
            target.unlink()
        except FileNotFoundError:
            return
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RemoteObjects:
    """`ObjectStore` over a store of obstore, which must know conditional puts (S3 with ``If-None-Match``)."""

    def __init__(self, store: Any, address: str) -> None:
        """Use ``store``; ``address`` names it in messages."""
        self._store = store
        self._address = address

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        check_key(key)
        with self._errors(key):
            await obstore.put_async(self._store, key, data, attributes={"Content-Type": content_type})
        return _ref(key, data, content_type)

    async def put_new(self, key: str, data: bytes) -> bool:
        check_key(key)
        with self._errors(key):
            try:
                await obstore.put_async(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    async def put_stream(
        self, chunks: AsyncIterator[bytes], *, prefix: str, max_bytes: int, content_type: str
    ) -> ObjectRef:
        check_key(prefix)
        meter, temporary = _Meter(max_bytes), f"{TEMPORARY}/{uuid.uuid4().hex}"
        foreign: list[BaseException] = []

        async def measured() -> AsyncIterator[bytes]:
            try:
                async for chunk in chunks:
                    if chunk:
                        meter.add(chunk)
                        yield chunk
            except Exception as error:
                foreign.append(error)
                raise

        try:
            with self._errors(prefix):
                try:
                    await obstore.put_async(
                        self._store, temporary, measured(), attributes={"Content-Type": content_type}
                    )
                except Exception:
                    # what the sender of the stream raised is not the store's failure
                    if not foreign:
                        raise
                if not foreign:
                    ref = meter.ref(prefix, content_type)
                    await obstore.copy_async(self._store, temporary, ref.key)
        finally:
            await self._discard(temporary)
        if foreign:
            raise foreign[0]
        return ref

    async def get(self, key: str) -> bytes:
        check_key(key)
        with self._errors(key):
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())

    async def open_file(self, ref: ObjectRef) -> IO[bytes]:
        check_key(ref.key)
        # TemporaryFile has no name: nothing is left behind whatever happens to this process
        file: IO[bytes] = await _in_thread(tempfile.TemporaryFile)
        try:
            with self._errors(ref.key):
                answer = await obstore.get_async(self._store, ref.key)
                if answer.meta["size"] == ref.size_bytes:
                    async for chunk in answer.stream(min_chunk_size=_CHUNK):
                        await _in_thread(file.write, bytes(chunk))
                await _in_thread(file.flush)
            await _in_thread(_require_same, file, ref)
        except BaseException:
            file.close()
            raise
        return file

    async def delete(self, key: str) -> None:
        check_key(key)
        with self._errors(key):
            await self._remove(key)

    def _errors(self, key: str) -> AbstractContextManager[None]:
        return _translated(self._address, key)

    async def _discard(self, temporary: str) -> None:
        with self._errors(temporary):
            await self._remove(temporary)

    async def _remove(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
