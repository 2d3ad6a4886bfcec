"""``overture gallery remove --erase``: nothing of a person is left, whatever broke off before. On Milvus Lite."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pymilvus
import pytest
from rich.console import Console

from features import face_gallery
from features.contents import gallery_contents
from features.face_gallery import PICTURES, GalleryError
from features.milvus_index import MilvusConfig
from features.objects import LocalObjects
from infra.local.parts import MilvusServer
from processors.runtime.gallery_settings import Gallery
from processors.tools.gallery.build import Chosen, GalleryWork
from processors.tools.gallery.curve import SHIPPED_EMBEDDER
from processors.tools.gallery.faces import ReadFace
from processors.tools.gallery.selection import Person
from processors.tools.gallery.showing import print_outcome
from processors.tools.gallery.version import picture_of
from tests.galleries import drop_galleries

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture
def milvus(milvus_server: MilvusServer) -> Iterator[MilvusConfig]:
    config = MilvusConfig(milvus_server.uri)
    drop_galleries(config)
    yield config
    drop_galleries(config)


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "objects")


@pytest.fixture
def work(milvus: MilvusConfig, objects: LocalObjects) -> GalleryWork:
    return GalleryWork(milvus, objects, Gallery())


def person(name: str, picture: int) -> Person:
    vector = np.random.default_rng(picture).normal(size=128)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    read = ReadFace(name, f"{picture}.jpg", f"{picture:064x}", vector, 100.0, f"crop of {name} {picture}".encode())
    return Person(name, (read,), vector)


def chosen(*persons: Person) -> Chosen:
    crops = {picture_of(face).key: face.crop for each in persons for face in each.exemplars}
    return Chosen(persons, len(persons), len(persons), (), crops)


async def crops(objects: LocalObjects) -> set[str]:
    """What is on each small picture."""
    return {(await objects.get(each.key)).decode() async for each in objects.walk(PICTURES)}


async def named_in(config: MilvusConfig, name: str) -> list[str]:
    """Rows of whatever version that a scan finds a name in."""
    return [place async for place, row in gallery_contents(config) if name.encode() in row]


class BreaksOffError(Exception):
    """The process ends here."""


def break_off_after(monkeypatch: pytest.MonkeyPatch, inserts: int) -> None:
    left = iter(range(inserts))
    insert = pymilvus.MilvusClient.insert

    def some(self: Any, *args: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise BreaksOffError
        return insert(self, *args, **more)

    monkeypatch.setattr(face_gallery, "_BATCH", 2)
    monkeypatch.setattr(pymilvus.MilvusClient, "insert", some)


async def test_what_a_broken_build_has_left_of_a_person_is_seen_and_goes(
    milvus: MilvusConfig, objects: LocalObjects, work: GalleryWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work.build(chosen(person("Ann", 1), person("Victim", 2)), SHIPPED_EMBEDDER)
    others = chosen(person("Ann", 1), person("Victim", 3), person("Cat", 4))
    with monkeypatch.context() as patched:
        break_off_after(patched, 2)
        with pytest.raises(BreaksOffError):
            await work.build(others, SHIPPED_EMBEDDER)
    assert [(each.complete, each.in_use) for each in face_gallery.versions(milvus)] == [(True, True), (False, False)]
    assert len(await named_in(milvus, "Victim")) == 4

    done = await work.remove(["Victim"], erase=True)
    assert [each.version for each in face_gallery.versions(milvus)] == [done.version]
    assert await named_in(milvus, "Victim") == []
    assert len(await named_in(milvus, "Ann")) == 2
    assert await crops(objects) == {"crop of Ann 1"}


async def test_the_last_person_can_be_erased_too(
    milvus: MilvusConfig, objects: LocalObjects, work: GalleryWork
) -> None:
    built = await work.build(chosen(person("Ann", 1)), SHIPPED_EMBEDDER)
    with pytest.raises(GalleryError, match="without anybody"):
        await work.remove(["Ann"], erase=False)
    assert face_gallery.in_use(milvus) == built.version
    done = await work.remove(["Ann"], erase=True)
    assert (done.version, done.dropped) == ("", (built.version,))
    assert face_gallery.in_use(milvus) == ""
    assert face_gallery.versions(milvus) == []
    assert await crops(objects) == set()
    told = Console(file=StringIO())
    print_outcome(done, told)
    assert "nobody is left: no gallery is in use" in told.file.getvalue()  # type: ignore[attr-defined]
    # and another can be built
    again = await work.build(chosen(person("Bob", 2)), SHIPPED_EMBEDDER)
    assert face_gallery.in_use(milvus) == again.version


async def test_out_of_a_gallery_of_another_embedder_too(milvus: MilvusConfig, work: GalleryWork) -> None:
    """Fifty persons have a curve of their own, and 49 have none."""
    everybody = [person(f"person {number:02}", number) for number in range(50)]
    built = await work.build(chosen(*everybody), "another@1")
    done = await work.remove(["person 07"], erase=True)
    assert (done.persons, done.threshold, done.threshold_by) == (49, built.threshold, "before")
    assert await named_in(milvus, "person 07") == []
