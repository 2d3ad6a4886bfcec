"""Versions of models in the object store, and the registry of what was done with them.

``models/<name>/<version>/<file>`` are the files, written once; the manifest comes last, so that a version
without one is not there yet. ``models/<name>/events/<number>.json`` is the registry: numbered events that are written
only if their number is free. Whoever would add the next event has seen all before it, or the store refuses him: two
people at once cannot both decide from the same state.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from features.ports import ObjectStore
from schemas.common import ObjectRef
from schemas.errors import AppError, BugError, UnavailableError

MANIFEST = "manifest.json"
JSON = "application/json"
Kind = Literal["registered", "promoted", "rolled_back", "completed"]
MOVES = ("promoted", "rolled_back")
"""Kinds of events that change which version is in use."""
_PATH_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class RegistryError(AppError):
    """What was asked for does not fit what the registry knows."""

    code = "model-registry"
    http_status = 409


class VersionMissingError(RegistryError):
    """No such version."""

    code = "model-version-missing"
    http_status = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEvent:
    """One line of the registry; never changed.

    Attributes:
        number: Place in the order, from 1.
        kind: ``registered``: its files are there; ``promoted``, ``rolled_back``: it is the one in use from now on;
            ``completed``: everybody was told of the move ``of``, and all stores follow it.
        version: Version it is about.
        previous: Version in use before; None where none was.
        at: When, UTC; later than that of the event before, whatever the clocks say.
        by: Who did it.
        reason: Why, in his words.
        of: Number of the move that was completed; 0 for other kinds.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    number: Annotated[int, Field(ge=1)] = 0
    kind: Kind
    version: str
    previous: str | None = None
    at: datetime
    by: str
    reason: str = ""
    of: int = 0


@dataclass(frozen=True, slots=True)
class Registry:
    """All events of a model, in order."""

    name: str
    events: tuple[RegistryEvent, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """Registered versions, the oldest first."""
        return tuple(event.version for event in self.events if event.kind == "registered")

    @property
    def in_use(self) -> str | None:
        """Version in use; None before the first promotion."""
        return line[-1] if (line := self._line()) else None

    @property
    def before(self) -> str | None:
        """Version that a rollback would bring back."""
        return line[-2] if len(line := self._line()) > 1 else None

    @property
    def last_move(self) -> RegistryEvent | None:
        """Event that put the version in use there."""
        return next((event for event in reversed(self.events) if event.kind in MOVES), None)

    @property
    def unfinished(self) -> RegistryEvent | None:
        """The last move, where it is not known that everybody was told of it."""
        last = self.last_move
        done = any(last and event.kind == "completed" and event.of == last.number for event in self.events)
        return None if done else last

    def _line(self) -> list[str]:
        """Versions that were put in use and not rolled back, the last one in use."""
        line: list[str] = []
        for event in self.events:
            if event.kind == "promoted":
                line.append(event.version)
            elif event.kind == "rolled_back":
                line.pop()
        return line


_EVENT = TypeAdapter(RegistryEvent)


class ModelStore:
    """Reads and writes versions and events of models."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def put_version(self, name: str, version: str, files: Mapping[str, bytes]) -> ObjectRef:
        """Write the files of a version, the manifest last; written before, nothing changes.

        Returns:
            Where the manifest lies.

        Raises:
            RegistryError: another file of the same name is there.
            VersionMissingError: see `file_key`.
            ValueError: there is no manifest among them, or a name is no key of an object.
            UnavailableError: the object store does not answer.
        """
        if MANIFEST not in files:
            raise ValueError(f"{version}: a version needs a {MANIFEST}")
        for file in sorted(files, key=lambda each: (each == MANIFEST, each)):
            key = file_key(name, version, file)
            if not await self._objects.put_new(key, files[file]) and await self._objects.get(key) != files[file]:
                raise RegistryError(f"{key} is there with other bytes: a version is written once", code="model-exists")
        return await self.manifest_ref(name, version)

    async def manifest_ref(self, name: str, version: str) -> ObjectRef:
        """Where the manifest of a version lies.

        Raises:
            VersionMissingError: there is no such version.
            UnavailableError: the object store does not answer.
        """
        data = await self.get_file(name, version, MANIFEST)
        return ObjectRef(
            key=file_key(name, version, MANIFEST),
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            content_type=JSON,
        )

    async def get_file(self, name: str, version: str, file: str) -> bytes:
        """Bytes of one file.

        Raises:
            VersionMissingError: it is not there.
            UnavailableError: the object store does not answer.
        """
        try:
            return await self._objects.get(file_key(name, version, file))
        except (KeyError, ValueError) as error:
            raise VersionMissingError(f"{name} {version} has no {file}") from error

    async def registry(self, name: str) -> Registry:
        """All events.

        Raises:
            VersionMissingError: the name can be none of a model.
            BugError: an event is missing or damaged.
            UnavailableError: the object store does not answer.
        """
        keys = sorted([each.key async for each in self._objects.walk(f"models/{_path_part(name)}/events")])
        if keys != [_event_key(name, number) for number in range(1, len(keys) + 1)]:
            raise BugError(f"the registry of {name} has a gap: {keys}", code="registry-damaged")
        data = await asyncio.gather(*(self._objects.get(key) for key in keys))
        return Registry(name, tuple(_read(key, each) for key, each in zip(keys, data, strict=True)))

    async def append(self, seen: Registry, event: RegistryEvent) -> Registry:
        """Add an event that was decided on from what ``seen`` says.

        Args:
            seen: The registry as it was read.
            event: Without its number; its time is moved behind that of the event before.

        Returns:
            The registry with it.

        Raises:
            RegistryError: somebody has added one meanwhile (code ``registry-moved``).
            UnavailableError: the object store does not answer.
        """
        at = event.at
        if seen.events:
            at = max(at, seen.events[-1].at + timedelta(milliseconds=1))
        numbered = replace(event, number=len(seen.events) + 1, at=at)
        if not await self._objects.put_new(_event_key(seen.name, numbered.number), orjson.dumps(numbered)):
            raise RegistryError(
                f"somebody has changed the registry of {seen.name} meanwhile: look at it again", code="registry-moved"
            )
        return Registry(seen.name, (*seen.events, numbered))


class VersionCache:
    """Files of versions in a local folder that processes may share; a version is fetched once."""

    def __init__(self, store: ModelStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    async def fetch(self, name: str, version: str, files: Sequence[str]) -> Path:
        """Folder with the manifest and the files of a version.

        What lies there is not looked at again: whoever opens the folder compares it with the manifest, and calls
        `forget` where it does not agree.

        Raises:
            VersionMissingError: the version, or a file of it, is not there, or its name can be none.
            UnavailableError: the object store does not answer, or the folder cannot be written, its disk being full.
        """
        place = self._place(name, version)
        if await asyncio.to_thread(place.is_dir):
            return place
        wanted = (*files, MANIFEST)
        data = await asyncio.gather(*(self._store.get_file(name, version, file) for file in wanted))
        try:
            await asyncio.to_thread(_place, place, dict(zip(wanted, data, strict=True)))
        except OSError as error:
            raise UnavailableError(f"{place}: {error.strerror}", code="bundles-unwritable") from error
        return place

    async def forget(self, name: str, version: str) -> None:
        """Remove what was fetched of a version, so that it is fetched again.

        Raises:
            VersionMissingError: the version's name can be none.
        """
        await asyncio.to_thread(_remove, self._place(name, version))

    def _place(self, name: str, version: str) -> Path:
        return self._folder / _path_part(name) / _path_part(version)


def file_key(name: str, version: str, file: str) -> str:
    """Key of a version's file.

    Raises:
        VersionMissingError: a name that can be none of a model or a version: these become folders, locally too.
    """
    return f"models/{_path_part(name)}/{_path_part(version)}/{file}"


def _path_part(name: str) -> str:
    if _PATH_PART.fullmatch(name) is None:
        raise VersionMissingError(f"{name!r} is no name of a model or a version")
    return name


def now() -> datetime:
    """The clock, UTC, whole milliseconds."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _event_key(name: str, number: int) -> str:
    return f"models/{_path_part(name)}/events/{number:08d}.json"


def _read(key: str, data: bytes) -> RegistryEvent:
    try:
        return _EVENT.validate_json(data, strict=True)
    except ValidationError as error:
        raise BugError(f"{key}: {error.errors(include_url=False)[0]['msg']}", code="registry-damaged") from error


def _place(place: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with files appear as a whole; one that is there stays."""
    temporary = _beside(place)
    temporary.mkdir(parents=True)
    try:
        for name, data in files.items():
            (temporary / name).write_bytes(data)
        try:
            temporary.rename(place)
        except OSError:
            # another process was quicker
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove(place: Path) -> None:
    """Make a folder disappear as a whole; a missing one is no error."""
    temporary = _beside(place)
    with suppress(FileNotFoundError):
        place.rename(temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{uuid.uuid4().hex}")
