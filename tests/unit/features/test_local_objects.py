from __future__ import annotations

import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from features.objects import LocalObjects
from schemas.errors import UnavailableError


async def stream(size: int) -> AsyncIterator[bytes]:
    yield bytes(size)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("way", ["put", "put_new", "put_stream"])
async def test_a_write_is_on_the_disk_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    store, steps = LocalObjects(tmp_path), []
    real_sync, real_replace, real_link = os.fsync, os.replace, os.link

    def sync(handle: int) -> None:
        real_sync(handle)
        steps.append(("sync", Path(f"/proc/self/fd/{handle}").readlink()))

    def land(real):
        def call(source, target, **more) -> None:
            real(source, target, **more)
            steps.append(("land", Path(target)))

        return call

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", land(real_replace))
    monkeypatch.setattr(os, "link", land(real_link))
    if way == "put_stream":
        key = (await store.put_stream(stream(9), prefix="a", max_bytes=9, content_type="x/y")).key
    else:
        key = "a/b/c"
        await (store.put(key, b"x", "x/y") if way == "put" else store.put_new(key, b"x"))
    target = tmp_path / key
    at = steps.index(("land", target))
    assert [path.parent for kind, path in steps[:at] if kind == "sync"].count(tmp_path / "tmp") == 1
    assert {("sync", tmp_path), ("sync", tmp_path / "a")} <= set(steps[:at])
    assert ("sync", target.parent) in steps[at:]


async def test_a_full_disk_is_an_outage_and_leaves_nothing(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)
    with files_of_at_most(100_000):
        for call in (
            store.put("a/b", bytes(200_000), "x/y"),
            store.put_new("a/c", bytes(200_000)),
            store.put_stream(stream(200_000), prefix="a", max_bytes=10**9, content_type="x/y"),
        ):
            with pytest.raises(UnavailableError, match=f"object store file://{tmp_path}") as caught:
                await call
            assert caught.value.code == "objects-unavailable"
    assert files(tmp_path) == []


async def test_a_link_in_place_of_an_object_is_not_followed(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "objects")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "objects/a").symlink_to(tmp_path / "secret")
    with pytest.raises(UnavailableError):
        await store.get("a")


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match=r"Not a directory|File exists"):
        LocalObjects(tmp_path / "file")


async def test_a_store_whose_folder_is_gone_is_an_outage(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "objects")
    (tmp_path / "objects/tmp").rmdir()
    with pytest.raises(UnavailableError):
        await store.put("a/b", b"x", "x/y")
