"""A folder of persons: which files are pictures of whom, and which are none."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Skipped:
    """A file or folder that was left out.

    Attributes:
        path: Where it lies.
        reason: Stable identifier, lower-case words joined by hyphens.
        detail: A few words.
    """

    path: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """What was found.

    Attributes:
        persons: Name -> files that may be pictures, in order.
        skipped: What can be none.
    """

    persons: dict[str, tuple[Path, ...]]
    skipped: tuple[Skipped, ...]


def read_folder(folder: Path) -> Folder:
    """Look through a folder of persons; no file is opened.

    Raises:
        OSError: it cannot be read.
    """
    return read_persons(sorted(folder.iterdir()))


def read_persons(entries: Sequence[Path]) -> Folder:
    """The same for folders of one person each; the name of a folder is the person's.

    Links are not followed: they may name anything.

    Raises:
        OSError: one cannot be read.
    """
    persons: dict[str, tuple[Path, ...]] = {}
    skipped: list[Skipped] = []
    for entry in entries:
        name = unicodedata.normalize("NFC", entry.name)
        if problem := _no_person(entry, name):
            skipped.append(Skipped(shown(entry), *problem))
        elif name in persons:
            skipped.append(Skipped(shown(entry), "same-name", f"another folder is named {name}, too"))
        else:
            try:
                files = sorted(entry.iterdir())
            except OSError as error:
                skipped.append(Skipped(shown(entry), "unreadable", error.strerror or ""))
                continue
            wrong = {each: problem for each in files if (problem := _no_file(each))}
            skipped += [Skipped(shown(each), *problem) for each, problem in wrong.items()]
            persons[name] = tuple(each for each in files if each not in wrong)
            if not persons[name]:
                skipped.append(Skipped(shown(entry), "no-file", "the person's folder holds no file"))
    return Folder({name: files for name, files in persons.items() if files}, tuple(skipped))


def shown(path: Path) -> str:
    """A path as text that every terminal and file takes, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _no_person(entry: Path, name: str) -> tuple[str, str] | None:
    if entry.is_symlink():
        return "link", "links are not followed"
    if not entry.is_dir():
        return "no-folder", "pictures lie in a folder named after their person"
    if not name or not name.isprintable() or name != name.strip() or name.startswith("."):
        return "bad-name", "no name of a person"
    return None


def _no_file(entry: Path) -> tuple[str, str] | None:
    if entry.is_symlink():
        return "link", "links are not followed"
    if not entry.is_file():
        return "no-file", "a person's folder holds pictures only"
    return None


def pictures(folder: Folder) -> Iterator[tuple[str, Path]]:
    """Every person and file, in order."""
    for name, files in folder.persons.items():
        for path in files:
            yield name, path
