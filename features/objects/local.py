"""Objects in a folder of this machine."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import IO

from features.objects.common import (
    CHUNK,
    TEMPORARY,
    Meter,
    check_folder,
    check_key,
    in_thread,
    ref_of,
    require_same,
    translated,
)
from features.ports import StoredObject
from schemas.common import ObjectRef

PLACE_TRIES = 10


class LocalObjects:
    """`ObjectStore` in a folder; every write is on the disk (file and directories) when it returns."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, made if missing.

        Raises:
            UnavailableError: it cannot be made.
        """
        self._folder = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve would follow a later change of a link)
        self._address = self._folder.as_uri()
        with self._errors():
            self._make_folder(self._folder / TEMPORARY)

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        check_key(key)
        with self._errors():
            await in_thread(self._write, key, data, replace=True)
        return ref_of(key, data, content_type)

    async def put_new(self, key: str, data: bytes) -> bool:
        check_key(key)
        with self._errors():
            return await in_thread(self._write, key, data, replace=False)

    async def put_stream(
        self, chunks: AsyncIterator[bytes], *, prefix: str, max_bytes: int, content_type: str
    ) -> ObjectRef:
        check_key(prefix)
        meter, pending, temporary = Meter(max_bytes), bytearray(), self._temporary()

        def write(data: bytes) -> None:
            meter.add(data)
            _write_all(file, data)

        def end() -> ObjectRef:
            ref = meter.ref(prefix, content_type)
            self._land(file, temporary, ref.key, replace=True)
            return ref

        with self._errors():
            file = await in_thread(self._create, temporary)
        try:
            async for chunk in chunks:
                pending += chunk
                if len(pending) >= CHUNK:
                    with self._errors():
                        await in_thread(write, bytes(pending))
                    pending.clear()
            with self._errors():
                await in_thread(write, bytes(pending))
                return await in_thread(end)
        finally:
            file.close()
            temporary.unlink(missing_ok=True)

    async def get(self, key: str) -> bytes:
        check_key(key)
        with self._errors(key):
            return await in_thread(self._read, key)

    async def size(self, key: str) -> int:
        check_key(key)
        with self._errors(key):
            return (await in_thread((self._folder / key).lstat)).st_size

    async def open_file(self, ref: ObjectRef) -> IO[bytes]:
        check_key(ref.key)
        with self._errors(ref.key):
            file = await in_thread(self._open, ref.key)
            try:
                await in_thread(require_same, file, ref)
            except BaseException:
                file.close()
                raise
        return file

    async def delete(self, key: str) -> None:
        check_key(key)
        with self._errors():
            await in_thread(self._remove, key)

    async def move(self, key: str, target: str) -> None:
        check_key(key)
        check_key(target)
        with self._errors(key):
            await in_thread(self._move, key, target)

    async def walk(self, folder: str = "") -> AsyncIterator[StoredObject]:
        check_folder(folder)
        with self._errors():
            found = await in_thread(self._list, folder)
        for each in found:
            yield each

    async def sweep(self, idle: timedelta) -> int:
        with self._errors():
            return await in_thread(self._sweep, datetime.now(UTC) - idle)

    def _errors(self, wanted: str = "") -> AbstractContextManager[None]:
        return translated(self._address, wanted)

    def _temporary(self) -> Path:
        return self._folder / TEMPORARY / uuid.uuid4().hex

    def _create(self, path: Path) -> IO[bytes]:
        # a file object of its own life: put_stream closes it
        return path.open("xb", buffering=0)

    def _write(self, key: str, data: bytes, *, replace: bool) -> bool:
        temporary = self._temporary()
        try:
            with self._create(temporary) as file:
                _write_all(file, data)
                return self._land(file, temporary, key, replace=replace)
        finally:
            temporary.unlink(missing_ok=True)

    def _land(self, file: IO[bytes], temporary: Path, key: str, *, replace: bool) -> bool:
        """Make the written ``temporary`` the object ``key``; whether it is this one that is there now."""
        os.fsync(file.fileno())
        target = self._folder / key

        def place() -> bool:
            if replace:
                temporary.replace(target)
                return True
            try:
                target.hardlink_to(temporary)
            except FileExistsError:
                return False
            return True

        return self._place(target, place)

    def _place(self, target: Path, place: Callable[[], bool]) -> bool:
        """What ``place`` says, with the folder of ``target`` there and synced.

        Synced also for the loser of a race: it may rely on the winner's object from now on. Tried again when somebody
        who removes empty folders comes between.
        """
        for tries in range(1, PLACE_TRIES + 1):
            try:
                self._make_folder(target.parent)
                new = place()
                _sync_folder(target.parent)
            except FileNotFoundError:
                if tries == PLACE_TRIES:
                    raise
            else:
                return new
        raise AssertionError("the last try returns or raises")

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for made in reversed(missing):
            # not exist_ok: that fails too where somebody makes the folder and somebody takes it away again
            with suppress(FileExistsError):
                made.mkdir()
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
            _sync_folder(target.parent)
        except FileNotFoundError:
            return  # it, or by now its folder too
        self._prune(target.parent)

    def _move(self, key: str, target: str) -> None:
        source, wanted = self._folder / key, self._folder / target
        if not source.is_file():
            raise FileNotFoundError(key)

        def place() -> bool:
            source.replace(wanted)
            return True

        # its old name goes to the disk with the new one, or is swept there after a crash: it needs no wait of its own
        self._place(wanted, place)
        self._prune(source.parent)

    def _list(self, folder: str) -> list[StoredObject]:
        found = []
        for path in sorted((self._folder / folder).rglob("*")):
            try:
                stat = path.lstat()
            except FileNotFoundError:
                continue
            if S_ISREG(stat.st_mode):
                key = path.relative_to(self._folder).as_posix()
                found.append(StoredObject(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)))
        return found

    def _sweep(self, before: datetime) -> int:
        left = [each for each in self._list(TEMPORARY) if each.changed_at < before]
        for each in left:
            (self._folder / each.key).unlink(missing_ok=True)
        return len(left)

    def _prune(self, folder: Path) -> None:
        """Take away folders that hold nothing more, but none of the first level."""
        while folder.parent != self._folder and folder != self._folder:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def _write_all(file: IO[bytes], data: bytes) -> None:
    # unbuffered, so that closing never writes and a full disk is an error here; one call may write only a part
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
