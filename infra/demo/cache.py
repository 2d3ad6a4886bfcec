"""Files that the demo makes, kept so that a second run makes nothing."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path


class Cache:
    """A folder of made files, each named after what it was made from.

    Args:
        folder: Created when the first file is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, recipe: str, make: Callable[[Path], object]) -> Path:
        """The file `name`, made by `make` unless it is there already.

        Args:
            name: File name with suffix.
            recipe: Everything that decides the content; another recipe makes another file.
            make: Writes the file at the path given; the file appears under its name only when complete.
        """
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:10]
        stem, suffix = Path(name).stem, Path(name).suffix
        file = self._folder / f"{stem}-{digest}{suffix}"
        if file.exists():
            return file
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".making-") as folder:
            making = Path(folder) / name
            make(making)
            making.replace(file)
        return file
