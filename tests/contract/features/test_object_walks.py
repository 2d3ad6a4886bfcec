"""Walking through, moving and sweeping objects, alike in every store."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.objects import LocalObjects
from features.ports import ObjectStore


async def keys(store: ObjectStore, folder: str = "") -> list[str]:
    return sorted([each.key async for each in store.walk(folder)])


async def test_a_folder_holds_what_begins_with_it(objects: ObjectStore) -> None:
    for key in ("media/ab/1", "media/ab/c/2", "media/abc/3", "receipts/ab"):
        await objects.put(key, key.encode(), "x/y")
    assert await keys(objects, "media/ab") == ["media/ab/1", "media/ab/c/2"]
    assert await keys(objects, "media") == ["media/ab/1", "media/ab/c/2", "media/abc/3"]
    assert len(await keys(objects)) == 4
    assert await keys(objects, "never/there") == []
    (one,) = [each async for each in objects.walk("media/abc")]
    assert one.size_bytes == len("media/abc/3")
    assert abs(one.changed_at - datetime.now(UTC)) < timedelta(minutes=5)


async def test_a_move_replaces_what_lies_there(objects: ObjectStore) -> None:
    await objects.put("a/1/x", b"new", "x/y")
    await objects.put("b/x", b"old", "x/y")
    await objects.move("a/1/x", "b/x")
    assert await objects.get("b/x") == b"new"
    assert await keys(objects) == ["b/x"]
    with pytest.raises(KeyError):
        await objects.move("a/1/x", "b/x")
    assert await objects.get("b/x") == b"new"


@pytest.mark.parametrize("folder", ["../a", "a/", "a//b", "tmp/x"])
async def test_bad_folders_are_refused(objects: ObjectStore, folder: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        await keys(objects, folder)
    with pytest.raises(ValueError, match="no key"):
        await objects.move(folder, "a/b")


async def test_only_idle_unfinished_uploads_are_swept(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)
    await store.put("media/a/1", b"kept", "x/y")
    left = tmp_path / "tmp" / "left"
    left.write_bytes(b"half an upload")
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(2_000_000)
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(store.put_stream(endless(), prefix="a", max_bytes=10**9, content_type="x/y"))
    await started.wait()
    assert len(await keys(store)) == 3
    assert await store.sweep(timedelta(hours=1)) == 1
    assert not left.exists()
    assert len(await keys(store, "tmp")) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await keys(store) == ["media/a/1"]


def test_emptied_folders_go_and_writers_beside_them_do_not_mind(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)

    async def come_and_go(number: int) -> None:
        for _ in range(30):
            await store.put(f"a/b/c/{number}", b"x", "x/y")
            await store.delete(f"a/b/c/{number}")

    async def all_at_once() -> None:
        await asyncio.gather(*(come_and_go(n) for n in range(8)))

    asyncio.run(all_at_once())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "tmp"]
    assert list((tmp_path / "a").iterdir()) == []
