"""Versions and the registry on a real folder: written once, decided by one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from features.model_store import (
    ModelStore,
    Registry,
    RegistryError,
    RegistryEvent,
    VersionCache,
    VersionMissingError,
    now,
)
from features.objects import LocalObjects
from schemas.errors import BugError, UnavailableError

FILES = {"manifest.json": b"{}", "a.bin": b"a"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(LocalObjects(tmp_path / "objects"))


def event(kind: str, version: str = "v1", **more: object) -> RegistryEvent:
    return RegistryEvent(kind=kind, version=version, at=now(), by="ada", **more)  # type: ignore[arg-type]


async def told(store: ModelStore, *events: RegistryEvent) -> Registry:
    for each in events:
        await store.append(await store.registry("m"), each)
    return await store.registry("m")


async def test_a_version_is_written_once(store: ModelStore) -> None:
    ref = await store.put_version("m", "v1", FILES)
    assert ref.key == "models/m/v1/manifest.json"
    assert await store.put_version("m", "v1", FILES) == ref
    with pytest.raises(RegistryError, match="other bytes"):
        await store.put_version("m", "v1", FILES | {"a.bin": b"b"})
    assert await store.get_file("m", "v1", "a.bin") == b"a"


async def test_what_is_not_there_is_said(store: ModelStore) -> None:
    with pytest.raises(VersionMissingError, match=r"m v9 has no manifest.json"):
        await store.manifest_ref("m", "v9")
    with pytest.raises(VersionMissingError):
        await store.get_file("m", "../v1", "a.bin")
    assert await store.registry("m") == Registry("m")


async def test_the_registry_knows_what_is_in_use_and_what_was(store: ModelStore) -> None:
    seen = await told(store, event("registered"), event("registered", "v2"), event("promoted"), event("promoted", "v2"))
    assert (seen.versions, seen.in_use, seen.before) == (("v1", "v2"), "v2", "v1")
    assert seen.unfinished is not None
    assert seen.unfinished.number == 4
    seen = await told(store, event("completed", "v2", of=4), event("rolled_back"))
    assert (seen.in_use, seen.before) == ("v1", None)
    assert seen.unfinished is not None
    seen = await told(store, event("completed", of=6))
    assert seen.unfinished is None
    assert [each.at for each in seen.events] == sorted({each.at for each in seen.events})


async def test_of_two_who_decide_at_once_one_is_refused(store: ModelStore) -> None:
    seen = await store.registry("m")
    done = await asyncio.gather(
        *(store.append(seen, event("promoted", f"v{n}")) for n in range(8)), return_exceptions=True
    )
    refused = [each for each in done if isinstance(each, RegistryError)]
    assert len(refused) == 7
    assert {each.code for each in refused} == {"registry-moved"}
    assert len((await store.registry("m")).events) == 1


@pytest.mark.parametrize("damage", ["gap", "words", "json"])
async def test_a_damaged_registry_is_an_error(store: ModelStore, tmp_path: Path, damage: str) -> None:
    await told(store, event("registered"), event("promoted"))
    first = tmp_path / "objects" / "models" / "m" / "events" / "00000001.json"
    if damage == "gap":
        first.unlink()
    elif damage == "words":
        first.write_bytes(orjson.dumps(orjson.loads(first.read_bytes()) | {"kind": "deleted"}))
    else:
        first.write_bytes(b"{")
    with pytest.raises(BugError) as failure:
        await store.registry("m")
    assert failure.value.code == "registry-damaged"


async def test_a_version_is_fetched_once_and_again_after_it_was_forgotten(store: ModelStore, tmp_path: Path) -> None:
    await store.put_version("m", "v1", FILES)
    cache = VersionCache(store, tmp_path / "cache")
    places = await asyncio.gather(*(cache.fetch("m", "v1", ["a.bin"]) for _ in range(5)))
    assert set(places) == {tmp_path / "cache" / "m" / "v1"}
    assert {path.name: path.read_bytes() for path in places[0].iterdir()} == FILES
    (places[0] / "a.bin").write_bytes(b"damaged")
    assert (await cache.fetch("m", "v1", ["a.bin"]) / "a.bin").read_bytes() == b"damaged"
    await cache.forget("m", "v1")
    await cache.forget("m", "v1")
    assert (await cache.fetch("m", "v1", ["a.bin"]) / "a.bin").read_bytes() == b"a"
    assert [path.name for path in (tmp_path / "cache" / "m").iterdir()] == ["v1"]


async def test_a_version_without_a_file_is_not_fetched_in_part(store: ModelStore, tmp_path: Path) -> None:
    await store.put_version("m", "v1", FILES)
    cache = VersionCache(store, tmp_path / "cache")
    with pytest.raises(VersionMissingError):
        await cache.fetch("m", "v1", ["a.bin", "b.bin"])
    assert not (tmp_path / "cache" / "m" / "v1").exists()


@pytest.mark.parametrize("version", ["", ".", "..", "../other", "a/b", "v1\n", ".hidden", "-v", "x" * 65, "{outside}"])
async def test_a_version_that_leads_elsewhere_touches_nothing(store: ModelStore, tmp_path: Path, version: str) -> None:
    outside = tmp_path / "outside"
    beside = tmp_path / "cache" / "other" / "v1"
    for folder in (outside, beside, tmp_path / "cache" / "m" / "v1"):
        folder.mkdir(parents=True)
    before = _tree(tmp_path)
    cache, wrong = VersionCache(store, tmp_path / "cache"), version.replace("{outside}", str(outside))
    for call in (
        lambda: cache.forget("m", wrong),
        lambda: cache.forget(wrong, "v1"),
        lambda: cache.fetch("m", wrong, ["a.bin"]),
        lambda: store.put_version("m", wrong, FILES),
        lambda: store.get_file("m", wrong, "a.bin"),
        lambda: store.registry(wrong),
        lambda: store.append(Registry(wrong), event("registered")),
    ):
        with pytest.raises(VersionMissingError, match="no name of"):
            await call()
    assert _tree(tmp_path) == before


async def test_a_folder_that_cannot_be_written_is_named_and_tried_again(store: ModelStore, tmp_path: Path) -> None:
    await store.put_version("recommender", "v1", {"manifest.json": b"{}", "a": b"a"})
    cache = VersionCache(store, tmp_path / "taken" / "cache")
    (tmp_path / "taken").write_bytes(b"a file where the folder should be")
    with pytest.raises(UnavailableError, match="taken/cache/recommender/v1: Not a directory") as refused:
        await cache.fetch("recommender", "v1", ["a"])
    assert refused.value.code == "bundles-unwritable"
    (tmp_path / "taken").unlink()
    assert ((await cache.fetch("recommender", "v1", ["a"])) / "a").read_bytes() == b"a"


def _tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))
