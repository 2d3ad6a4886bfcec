from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from features.objects import LocalObjects, RemoteObjects
from features.ports import ObjectStore
from schemas.errors import BadEventError, BadMediaError
from tests.fakes.features import MemoryObjects


async def stream(*chunks: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if error:
        raise error


def keys(store: ObjectStore) -> list[str]:
    match store:
        case LocalObjects():
            folder = store._folder
            return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        case RemoteObjects():
            return sorted(each["path"] for each in store._store.list().collect())
        case MemoryObjects():
            return sorted(store.data)
    raise TypeError


async def test_what_was_put_is_got(objects: ObjectStore) -> None:
    ref = await objects.put("crops/ab/x.png", b"bytes", "image/png")
    assert (ref.key, ref.size_bytes, ref.content_type) == ("crops/ab/x.png", 5, "image/png")
    assert ref.sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert await objects.get(ref.key) == b"bytes"
    await objects.put("crops/ab/x.png", b"bytes", "image/png")
    assert keys(objects) == ["crops/ab/x.png"]


async def test_the_size_is_told_without_reading(objects: ObjectStore) -> None:
    await objects.put("crops/ab/y.png", b"bytes", "image/png")
    assert await objects.size("crops/ab/y.png") == 5
    with pytest.raises(KeyError):
        await objects.size("crops/ab/z.png")


async def test_of_many_writers_of_a_new_key_one_wins(objects: ObjectStore) -> None:
    values = [bytes([n]) * 8 for n in range(8)]
    won = await asyncio.gather(*(objects.put_new("receipts/1", each) for each in values))
    assert won.count(True) == 1
    assert await objects.get("receipts/1") == values[won.index(True)]
    assert keys(objects) == ["receipts/1"]


async def test_a_stream_is_kept_under_its_hash(objects: ObjectStore) -> None:
    chunks = [os.urandom(700_000), b"", os.urandom(900_000), b"end"]
    ref = await objects.put_stream(stream(*chunks), prefix="uploads", max_bytes=2_000_000, content_type="video/mp4")
    whole = b"".join(chunks)
    digest = hashlib.sha256(whole).hexdigest()
    assert (ref.key, ref.sha256, ref.size_bytes) == (f"uploads/{digest[:2]}/{digest}", digest, len(whole))
    again = await objects.put_stream(stream(whole), prefix="uploads", max_bytes=2_000_000, content_type="video/mp4")
    assert again == ref
    assert keys(objects) == [ref.key]
    with await objects.open_file(ref) as file:
        assert os.fstat(file.fileno()).st_size == len(whole)
        assert file.tell() == 0
        assert file.read() == whole


@pytest.mark.parametrize(
    ("chunks", "code"), [([b"12345", b"67890", b"1"], "upload-too-large"), ([], "media-empty"), ([b""], "media-empty")]
)
async def test_a_refused_stream_leaves_nothing(objects: ObjectStore, chunks: list[bytes], code: str) -> None:
    with pytest.raises(BadMediaError) as caught:
        await objects.put_stream(stream(*chunks), prefix="uploads", max_bytes=10, content_type="x/y")
    assert caught.value.code == code
    assert keys(objects) == []


@pytest.mark.parametrize("error", [ConnectionResetError("client went away"), RuntimeError("bad form")])
async def test_a_broken_stream_leaves_nothing_and_is_no_failure_of_the_store(
    objects: ObjectStore, error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        await objects.put_stream(
            stream(bytes(2_000_000), error=error), prefix="uploads", max_bytes=10**9, content_type="x/y"
        )
    assert caught.value is error
    assert keys(objects) == []


async def test_a_cancelled_stream_leaves_nothing(objects: ObjectStore) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(2_000_000)
        reached.set()
        await asyncio.Event().wait()
        yield b""

    task = asyncio.create_task(objects.put_stream(endless(), prefix="uploads", max_bytes=10**9, content_type="x/y"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert keys(objects) == []


async def test_a_file_with_other_bytes_is_refused(objects: ObjectStore) -> None:
    ref = await objects.put("a/b", b"bytes", "x/y")
    for wrong in (replace(ref, size_bytes=4), replace(ref, sha256="0" * 64), replace(ref, size_bytes=10**9)):
        with pytest.raises(BadEventError) as caught:
            await objects.open_file(wrong)
        assert caught.value.code == "object-mismatch"


async def test_what_is_missing(objects: ObjectStore) -> None:
    ref = await objects.put("a/b", b"bytes", "x/y")
    await objects.delete("a/b")
    await objects.delete("a/b")
    await objects.delete("never/there")
    with pytest.raises(KeyError):
        await objects.get("a/b")
    with pytest.raises(KeyError):
        await objects.open_file(ref)


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a/./b", "a/.hidden", "a/%2e%2e/b"),
        *("a\0b", "a\nb", "a\\b", "a b", "a#1", "ключ", "tmp/x", "tmp", "x" * 1025, "a/" + "x" * 201),
    ],
)
async def test_bad_keys_are_refused(objects: ObjectStore, key: str) -> None:
    ref = await objects.put("a/b", b"bytes", "x/y")
    calls = [
        lambda: objects.put(key, b"", "x/y"),
        lambda: objects.put_new(key, b""),
        lambda: objects.get(key),
        lambda: objects.open_file(replace(ref, key=key)),
        lambda: objects.delete(key),
        lambda: objects.put_stream(stream(b"x"), prefix=key, max_bytes=9, content_type="x/y"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="no key"):
            await call()


def test_the_folder_of_a_local_store_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalObjects(Path("objects"))
    monkeypatch.chdir("/")
    assert asyncio.run(store.put_new("a/b", b"x"))
    assert (tmp_path / "objects/a/b").read_bytes() == b"x"
