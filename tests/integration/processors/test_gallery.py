"""``overture gallery`` on real faces, the real sandbox and Milvus Lite."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from features import face_gallery
from features.face_gallery import GalleryError
from features.gallery_follower import GalleryFollower
from features.milvus_index import MilvusConfig
from features.objects import LocalObjects
from infra.demo.faces import picture
from models.face_detection import FaceDetector
from models.face_embedding import DlibFaceEmbedder
from models.face_gallery import EMPTY, GallerySnapshot
from models.weights import BUILT
from processors.commands.gallery import app
from tests.galleries import drop_galleries

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

EMBEDDER = DlibFaceEmbedder(folder=BUILT)


@pytest.fixture
def milvus(milvus_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MilvusConfig:
    for name, value in {
        "DATA_DIR": str(tmp_path / "data"),
        "MILVUS__URI": milvus_server.uri,
        "MODELS__FOLDER": str(BUILT.resolve()),
        "GALLERY__EXEMPLARS": "2",
    }.items():
        monkeypatch.setenv(f"OVERTURE_{name}", value)
    config = MilvusConfig(milvus_server.uri)
    drop_galleries(config)
    return config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three public figures, and all that does not belong there."""
    root = tmp_path / "figures"
    wanted = {
        "Barack Obama": ("obama-1", "obama-2", "obama-3", "obama-cut-1"),
        "Joe Biden": ("biden", "cat", "group-1"),
        "Eileen Collins": ("astronaut",),
    }
    for name, names in wanted.items():
        (root / name).mkdir(parents=True)
        for each in names:
            source = picture(each)
            shutil.copy(source, root / name / f"{each}{source.suffix}")
    biden = root / "Joe Biden"
    shutil.copy(picture("astronaut"), biden / "somebody-else.png")
    shutil.copy(biden / picture("biden").with_stem("biden").name, biden / "the-same.jpg")
    (biden / "notes.jpg").write_text("no picture")
    (biden / os.fsdecode(b"caf\xe9.jpg")).write_bytes((biden / "notes.jpg").read_bytes())
    (biden / "empty.png").write_bytes(b"")
    (biden / "link.png").symlink_to(picture("astronaut"))
    (biden / "older").mkdir()
    small = Image.open(picture("astronaut")).resize((128, 128))
    small.save(root / "Eileen Collins" / "small.png")
    (root / "readme.txt").write_text("no person")
    (root / "Nobody").mkdir()
    return root


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def reasons(report: Path) -> dict[str, str]:
    """Reason by the name of the file."""
    return {Path(each["path"]).name: each["reason"] for each in orjson.loads(report.read_bytes())["skipped"]}


def faces_of(name: str) -> Any:
    """Vectors of the faces of a picture, float32 [F, 128]."""
    image = np.asarray(Image.open(picture(name)).convert("RGB"))
    return EMBEDDER.embed(image, FaceDetector().detect(image))


def follow(config: MilvusConfig) -> GallerySnapshot:
    return GalleryFollower(config, GallerySnapshot, EMPTY, embedder=EMBEDDER.version, refresh_s=1).snapshot()


def test_built_of_what_is_usable_and_searched_by_workers(milvus: MilvusConfig, folder: Path, tmp_path: Path) -> None:
    assert follow(milvus) is EMPTY
    report = tmp_path / "report.json"
    told = call("build", folder, "--report", report).output
    assert reasons(report) == {
        # the larger of two alike stays, here the one that is cut beside the face
        "obama-1.jpg": "near-duplicate",
        "cat.png": "no-face",
        "group-1.jpg": "several-faces",
        "notes.jpg": "media-unreadable",
        "caf\\xe9.jpg": "media-unreadable",
        "empty.png": "media-empty",
        "link.png": "link",
        "older": "no-file",
        "the-same.jpg": "duplicate",
        # two pictures, two faces: nobody knows whose folder it is
        "biden.jpg": "outlier",
        "somebody-else.png": "outlier",
        "Joe Biden": "no-picture",
        "small.png": "face-small",
        "readme.txt": "no-folder",
        "Nobody": "no-file",
    }
    assert "left out: " in told
    assert "14 files, 4 pictures used" in told

    held = follow(milvus)
    assert held.persons == ("Barack Obama", "Eileen Collins")
    assert sum(row.kind == "exemplar" for row in held.rows) == 3
    [[first, second]] = held.match(faces_of("obama-1"), 2)
    assert first.person == "Barack Obama"
    assert first.likeness >= held.threshold > second.likeness
    stranger = held.match(faces_of("biden"), 1)[0][0]
    assert stranger.likeness < held.threshold

    assert first.picture is not None
    with asyncio.run(LocalObjects(tmp_path / "data" / "objects").open_file(first.picture)) as file:
        crop = Image.open(file)
        assert (crop.format, max(crop.size)) == ("WEBP", 256)

    assert "it was there already" in call("build", folder).output
    assert follow(milvus).version == held.version
    listed = [orjson.loads(line) for line in call("list", "--json").output.splitlines()]
    assert listed == [{"person": "Barack Obama", "pictures": 2}, {"person": "Eileen Collins", "pictures": 1}]
    assert f"{held.threshold:.4f} <" in call("curve").output


def test_changed_step_by_step_and_back(milvus: MilvusConfig, folder: Path, tmp_path: Path) -> None:
    call("build", folder)
    before = follow(milvus)
    alone = tmp_path / "added" / "Joe Biden"
    alone.mkdir(parents=True)
    shutil.copy(picture("biden"), alone / "1.jpg")
    again = tmp_path / "added" / "B. Obama"
    shutil.copytree(folder / "Barack Obama", again)
    told = call("add", alone, again).output
    assert "the same face under two names? B. Obama and Barack Obama" in told
    added = follow(milvus)
    assert added.persons == ("B. Obama", "Barack Obama", "Eileen Collins", "Joe Biden")
    assert added.match(faces_of("biden"), 1)[0][0].person == "Joe Biden"

    call("remove", "B. Obama")
    without = follow(milvus)
    assert without.persons == ("Barack Obama", "Eileen Collins", "Joe Biden")
    call("use", before.version)
    assert follow(milvus).version == before.version
    states = [orjson.loads(line) for line in call("versions", "--json").output.splitlines()]
    assert [(each["version"], each["in_use"]) for each in states] == [
        (before.version, True),
        (added.version, False),
        (without.version, False),
    ]

    with pytest.raises(GalleryError, match="nobody named 'Joe Biden'"):
        CliRunner().invoke(app, ["remove", "Joe Biden"], catch_exceptions=False)
    objects = LocalObjects(tmp_path / "data" / "objects")
    biden = added.match(faces_of("biden"), 1)[0][0].picture
    collins = before.match(faces_of("astronaut"), 1)[0][0].picture
    assert biden is not None
    assert collins is not None
    call("use", without.version)
    call("remove", "Joe Biden", "--erase")
    assert [each.version for each in face_gallery.versions(milvus)] == [before.version]
    with pytest.raises(KeyError):
        asyncio.run(objects.get(biden.key))
    assert asyncio.run(objects.size(collins.key)) == collins.size_bytes


def test_nothing_usable_leaves_the_one_in_use(milvus: MilvusConfig, folder: Path, tmp_path: Path) -> None:
    call("build", folder)
    before = follow(milvus)
    shutil.rmtree(folder / "Barack Obama")
    shutil.rmtree(folder / "Eileen Collins")
    report = tmp_path / "report.json"
    told = call("build", folder, "--report", report, code=1).output
    assert "no gallery was made" in told
    assert reasons(report)["Joe Biden"] == "no-picture"
    assert follow(milvus).version == before.version
