"""The pictures of faces: named, found again without a second fetch, checked. Other tests fetch the real archives."""

import subprocess
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest

from infra.demo.errors import DemoError
from infra.demo.faces import ARCHIVES, PICTURES, archive, picture


def put_archive(cache: Path, name: str, member: str, content: bytes) -> Path:
    """An archive as it lies in the cache after a fetch."""
    file = cache / "archives" / f"{name}-{ARCHIVES[name].archive.sha256[:12]}"
    file.parent.mkdir(parents=True, exist_ok=True)
    if ARCHIVES[name].kind == "wheel":
        with zipfile.ZipFile(file, "w") as wheel:
            wheel.writestr(member, content)
    else:
        with tarfile.open(file, "w:gz") as tar:
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, BytesIO(content))
    return file


@pytest.mark.parametrize("name", ["biden", "zidane", "group-4"])
def test_a_picture_is_taken_out_of_its_archive_once(tmp_path: Path, name: str) -> None:
    source = PICTURES[name].source
    assert isinstance(source, str)
    file = put_archive(tmp_path, source, PICTURES[name].path, b"a picture")
    with ThreadPoolExecutor(8) as pool:
        (taken,) = set(pool.map(lambda _: picture(name, tmp_path), range(8)))
    assert taken.read_bytes() == b"a picture"
    assert taken.suffix == ".jpg"
    file.unlink()
    assert picture(name, tmp_path) == taken
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_a_picture_of_an_installed_package_needs_no_archive(tmp_path: Path) -> None:
    assert picture("astronaut", tmp_path).is_file()
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="nobody; there are obama-1"):
        picture("nobody", tmp_path)
    with pytest.raises(DemoError, match="nothing; there are face-recognition"):
        archive("nothing", tmp_path)


def test_another_archive_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(command: list[str], **_: object) -> None:
        assert command[-1] == "@vladmandic/face-api@1.7.15"
        (Path(command[command.index("--pack-destination") + 1]) / "some.tgz").write_bytes(b"another")

    monkeypatch.setattr(subprocess, "run", pack)
    with pytest.raises(DemoError, match="pinned is"):
        archive("face-api", tmp_path)
    assert list((tmp_path / "archives").iterdir()) == []


def test_a_failing_npm_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DemoError, match="npm pack"):
        archive("face-api", tmp_path)
