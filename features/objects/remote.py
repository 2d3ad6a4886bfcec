"""Objects in S3 or whatever else obstore reaches."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import obstore
from obstore.exceptions import AlreadyExistsError

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


class _SenderError(Exception):
    """The stream broke, not the store."""

    def __init__(self, original: OSError) -> None:
        super().__init__(str(original))
        self.original = original


class RemoteObjects:
    """`ObjectStore` over a store of obstore, which must know conditional puts (S3 with ``If-None-Match``)."""

    def __init__(self, store: Any, address: str) -> None:
        """Use ``store``; ``address`` names it in messages."""
        self._store = store
        self._address = address

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        check_key(key)
        with self._errors():
            await obstore.put_async(self._store, key, data, attributes={"Content-Type": content_type})
        return ref_of(key, data, content_type)

    async def put_new(self, key: str, data: bytes) -> bool:
        check_key(key)
        with self._errors():
            try:
                await obstore.put_async(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    async def put_stream(
        self, chunks: AsyncIterator[bytes], *, prefix: str, max_bytes: int, content_type: str
    ) -> ObjectRef:
        check_key(prefix)
        meter, temporary = Meter(max_bytes), f"{TEMPORARY}/{uuid.uuid4().hex}"

        async def measured() -> AsyncIterator[bytes]:
            try:
                async for chunk in chunks:
                    if chunk:
                        meter.add(chunk)
                        yield chunk
            except OSError as error:
                raise _SenderError(error) from error

        attributes = {"Content-Type": content_type}
        try:
            with self._errors():
                await obstore.put_async(self._store, temporary, measured(), attributes=attributes)
                ref = meter.ref(prefix, content_type)
                await obstore.copy_async(self._store, temporary, ref.key)
        except _SenderError as error:
            raise error.original from None
        finally:
            with self._errors():
                await self._remove(temporary)
        return ref

    async def get(self, key: str) -> bytes:
        check_key(key)
        with self._errors(key):
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())

    async def size(self, key: str) -> int:
        check_key(key)
        with self._errors(key):
            return int((await obstore.head_async(self._store, key))["size"])

    async def open_file(self, ref: ObjectRef) -> IO[bytes]:
        check_key(ref.key)
        # TemporaryFile has no name: nothing is left behind whatever happens to this process
        file: IO[bytes] = await in_thread(tempfile.TemporaryFile)
        try:
            with self._errors(ref.key):
                answer = await obstore.get_async(self._store, ref.key)
                if answer.meta["size"] == ref.size_bytes:
                    async for chunk in answer.stream(min_chunk_size=CHUNK):
                        await in_thread(file.write, bytes(chunk))
                await in_thread(file.flush)
            await in_thread(require_same, file, ref)
        except BaseException:
            file.close()
            raise
        return file

    async def delete(self, key: str) -> None:
        check_key(key)
        with self._errors():
            await self._remove(key)

    async def move(self, key: str, target: str) -> None:
        check_key(key)
        check_key(target)
        with self._errors(key):
            await obstore.copy_async(self._store, key, target)
        with self._errors():
            await self._remove(key)

    async def walk(self, folder: str = "") -> AsyncIterator[StoredObject]:
        check_folder(folder)
        with self._errors():
            async for found in obstore.list(self._store, prefix=folder or None):
                for each in found:
                    yield StoredObject(each["path"], each["size"], each["last_modified"])

    async def sweep(self, idle: timedelta) -> int:
        before = datetime.now(UTC) - idle
        left = [each.key async for each in self.walk(TEMPORARY) if each.changed_at < before]
        for key in left:
            with self._errors():
                await self._remove(key)
        return len(left)

    def _errors(self, wanted: str = "") -> AbstractContextManager[None]:
        return translated(self._address, wanted)

    async def _remove(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
