"""The file that holds the hashes of API keys."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from processors.serving.keys import SCOPES, KeyRecord, Scope, Stamp, digest, new_key
from schemas.errors import AppError, UnavailableError

MAX_BYTES = 4 * 1024**2


class KeyFileError(UnavailableError):
    """The key file is missing, broken or open to strangers: nobody can be let in."""

    code = "keys-unreadable"


class KeyRequestError(AppError):
    """A key cannot be made or revoked as asked; the message says why."""

    code = "key-request"
    http_status = 422


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    keys: tuple[KeyRecord, ...] = ()

    @model_validator(mode="after")
    def _refuse_twins(self) -> Self:
        if len({key.id for key in self.keys}) != len(self.keys):
            raise ValueError("two keys have the same id")
        return self


class KeyFile:
    """Readers see the old content or the new, never a part; writers take turns.

    Args:
        path: JSON, mode 0600; made by the first ``create``. A symbolic link is followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> Stamp:
        """Changes whenever the file does.

        Raises:
            KeyFileError: there is no such file, or it cannot be reached.
        """
        try:
            found = self.path.stat()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def read(self) -> tuple[KeyRecord, ...]:
        """All keys, also expired and revoked ones, in the order they were made.

        Raises:
            KeyFileError: missing, not readable, writable by others than its owner, or no key file.
        """
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise KeyFileError(
                f"{self.path} has mode {stat.S_IMODE(mode):04o}: others than its owner could add keys; chmod 600 it"
            )
        if len(data) > MAX_BYTES:
            raise KeyFileError(f"{self.path} is no key file: more than {MAX_BYTES} bytes")
        return parse_keys(data, self.path)

    def create(
        self, name: str, scopes: tuple[Scope, ...], now: datetime, expires_at: datetime | None = None
    ) -> tuple[str, KeyRecord]:
        """Make a key; returns its text, which is kept nowhere, and its record.

        Raises:
            KeyRequestError: an unusable name, no scope, an end that is past or has no time zone.
            KeyFileError: the file cannot be read or written.
        """
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
            raise KeyRequestError(f"a key must end after {now.isoformat()}, not at {expires_at.isoformat()}")
        with self._changing() as keys:
            number, text = new_key(frozenset(key.id for key in keys))
            try:
                record = KeyRecord(
                    id=number,
                    name=name,
                    scopes=tuple(scope for scope in SCOPES if scope in scopes),
                    sha256=digest(text),
                    created_at=now,
                    expires_at=expires_at,
                )
            except ValidationError as error:
                raise KeyRequestError(_first(error)) from error
            self._write((*keys, record))
        return text, record

    def revoke(self, number: str, now: datetime) -> KeyRecord:
        """Withdraw the key with id ``number``; one that is withdrawn already stays as it is.

        Raises:
            KeyRequestError: no key has that id.
            KeyFileError: the file cannot be read or written.
        """
        with self._changing() as keys:
            found = next((key for key in keys if key.id == number), None)
            if found is None:
                raise KeyRequestError(f"{self.path} has no key with the id {number!a}")
            if found.revoked_at is None:
                found = found.model_copy(update={"revoked_at": now})
                self._write(tuple(found if key.id == number else key for key in keys))
        return found

    @contextmanager
    def _changing(self) -> Iterator[tuple[KeyRecord, ...]]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_name(self.path.name + ".lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield self.read() if self.path.exists() else ()
        except OSError as error:
            raise KeyFileError(f"{self.path} cannot be written: {error.strerror}") from error

    def _write(self, keys: tuple[KeyRecord, ...]) -> None:
        target = self.path.resolve()
        data = _Document(keys=keys).model_dump_json(indent=1).encode()
        # mkstemp gives mode 0600
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def parse_keys(data: bytes, path: Path) -> tuple[KeyRecord, ...]:
    """The keys in the content of ``path``.

    Raises:
        KeyFileError: it is no key file.
    """
    try:
        return _Document.model_validate_json(data).keys
    except ValidationError as error:
        # its text and its cause would hold what the file holds
        raise KeyFileError(f"{path} is no key file: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = "/".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _unreadable(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(f"the key file {path} cannot be read: {error.strerror}")
