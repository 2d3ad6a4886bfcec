"""Versions of the gallery in Milvus Lite, and the one that workers follow."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from features import face_gallery
from features.face_gallery import Gallery, GalleryError, GalleryFacts, GalleryRow
from features.gallery_follower import GalleryFollower
from features.milvus_index import MilvusConfig
from infra.local.parts import MilvusServer
from schemas.common import ObjectRef
from schemas.errors import UnavailableError
from tests.galleries import drop_galleries

pytestmark = pytest.mark.real
DIM = 8


@pytest.fixture
def milvus(milvus_server: MilvusServer) -> Iterator[MilvusConfig]:
    config = MilvusConfig(milvus_server.uri)
    yield config
    drop_galleries(config)


def made(version: str, count: int = 3, *, at: int = 1, embedder: str = "e/1") -> Gallery:
    vectors = np.random.default_rng(count).standard_normal((count, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kinds: list[Literal["centroid", "exemplar"]] = ["centroid", *["exemplar"] * (count - 1)]
    rows = tuple(
        GalleryRow(f"{number:032x}", f'Zoë "{number}"', kind, f"{number:064x}", _ref(number))
        for number, kind in enumerate(kinds)
    )
    return Gallery(version, GalleryFacts(embedder, DIM, 0.9637, 0.001, count, count, at), rows, vectors)


def _ref(number: int) -> ObjectRef:
    sha256 = f"{number:064x}"
    return ObjectRef(key=f"gallery/{sha256}.webp", sha256=sha256, size_bytes=number, content_type="image/webp")


def follow(config: MilvusConfig, now: list[float], embedder: str = "e/1") -> GalleryFollower[Any]:
    def make(version: str, threshold: float, embedder: str, rows: Any, vectors: Any) -> tuple[str, int]:
        return version, len(rows)

    return GalleryFollower(config, make, "nothing", embedder=embedder, refresh_s=30, clock=lambda: now[0])


def test_what_is_written_is_read_whole_and_written_once(milvus: MilvusConfig) -> None:
    gallery = made("a" * 12, 4500)
    assert face_gallery.write(milvus, gallery)
    assert not face_gallery.write(milvus, gallery)
    found = face_gallery.read(milvus, gallery.version)
    order = np.argsort([row.id for row in found.rows])
    assert [found.rows[at] for at in order] == list(gallery.rows)
    assert found.vectors[order].tobytes() == gallery.vectors.tobytes()
    assert (found.version, found.facts) == (gallery.version, gallery.facts)


def test_what_a_broken_run_left_behind_is_no_version_and_made_anew(milvus: MilvusConfig) -> None:
    gallery = made("b" * 12)
    broken = replace(gallery, rows=gallery.rows[:2], vectors=gallery.vectors[:2])
    with pytest.raises(UnavailableError, match="did not take all rows"):
        face_gallery.write(milvus, broken)
    [stored] = face_gallery.versions(milvus)
    assert not stored.complete
    assert {row.id for row in face_gallery.rows_there(milvus, gallery.version)} == {row.id for row in broken.rows}
    assert face_gallery.rows_there(milvus, "0" * 12) == ()
    with pytest.raises(GalleryError, match="no finished gallery"):
        face_gallery.read(milvus, gallery.version)
    with pytest.raises(GalleryError, match="no finished gallery"):
        face_gallery.use(milvus, gallery.version, "")
    assert face_gallery.write(milvus, gallery)
    assert len(face_gallery.read(milvus, gallery.version).rows) == 3


def test_versions_by_age_and_one_in_use(milvus: MilvusConfig) -> None:
    for version, at in (("c", 3), ("d", 1), ("e", 2)):
        face_gallery.write(milvus, made(version * 12, at=at))
    assert face_gallery.in_use(milvus) == ""
    face_gallery.use(milvus, "e" * 12, "")
    with pytest.raises(GalleryError, match="came into use meanwhile"):
        face_gallery.use(milvus, "c" * 12, "d" * 12)
    face_gallery.use(milvus, "c" * 12, "e" * 12)
    assert [(each.version[0], each.in_use) for each in face_gallery.versions(milvus)] == [
        ("d", False),
        ("e", False),
        ("c", True),
    ]
    with pytest.raises(GalleryError, match="no finished gallery"):
        face_gallery.use(milvus, "f" * 12, "c" * 12)
    with pytest.raises(GalleryError, match="came into use meanwhile"):
        face_gallery.use_none(milvus, "e" * 12)
    face_gallery.use_none(milvus, "c" * 12)
    assert face_gallery.in_use(milvus) == ""
    face_gallery.use(milvus, "c" * 12, "")
    with pytest.raises(GalleryError, match="no finished gallery"):
        face_gallery.read(milvus, "f" * 12)
    face_gallery.remove(milvus, ["d" * 12, "e" * 12])
    assert [each.version[0] for each in face_gallery.versions(milvus)] == ["c"]


def test_a_text_that_is_too_long_is_refused_before_anything_is_made(milvus: MilvusConfig) -> None:
    gallery = made("a" * 12)
    long = replace(gallery, rows=(replace(gallery.rows[0], person="é" * 129), *gallery.rows[1:]))
    with pytest.raises(ValueError, match="longer than 256 bytes"):
        face_gallery.write(milvus, long)
    assert face_gallery.versions(milvus) == []


def test_workers_follow_the_alias_after_a_while(milvus: MilvusConfig, caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    follower = follow(milvus, now)
    assert follower.snapshot() == "nothing"
    face_gallery.write(milvus, made("a" * 12))
    face_gallery.write(milvus, made("b" * 12, 5))
    face_gallery.use(milvus, "a" * 12, "")
    assert follower.snapshot() == "nothing"
    now[0] += 30
    assert follower.snapshot() == ("a" * 12, 3)
    face_gallery.use(milvus, "b" * 12, "a" * 12)
    now[0] += 29
    assert follower.snapshot() == ("a" * 12, 3)
    now[0] += 1
    assert follower.snapshot() == ("b" * 12, 5)
    face_gallery.write(milvus, made("c" * 12, embedder="e/2"))
    face_gallery.use(milvus, "c" * 12, "b" * 12)
    now[0] += 30
    with caplog.at_level(logging.WARNING):
        assert follower.snapshot() == ("b" * 12, 5)
    assert "is of e/2, faces are embedded by e/1" in caplog.text
    with pytest.raises(UnavailableError, match="build it anew") as refused:
        follow(milvus, now).snapshot()
    assert refused.value.code == "gallery-embedder"
    assert follow(milvus, now, "e/2").snapshot() == ("c" * 12, 3)


def test_what_is_held_stays_while_milvus_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    with MilvusServer(tmp_path) as server:
        config = MilvusConfig(server.uri, timeout_s=2.0)
        face_gallery.write(config, made("a" * 12))
        face_gallery.use(config, "a" * 12, "")
        follower = follow(config, now)
        assert follower.snapshot() == ("a" * 12, 3)
    now[0] += 30
    with caplog.at_level(logging.WARNING):
        assert follower.snapshot() == ("a" * 12, 3)
    assert "stays" in caplog.text
    # and is not asked for again at once
    caplog.clear()
    assert follower.snapshot() == ("a" * 12, 3)
    assert not caplog.records
    with pytest.raises(UnavailableError) as away:
        follow(config, now).snapshot()
    assert away.value.retryable
