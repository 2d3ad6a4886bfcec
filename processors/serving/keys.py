"""API keys: what one looks like, what is kept of it, what it opens.

A key is ``ovk_<id>_<secret>``: the id (16 hex digits) names it in logs and lists, the secret is 32 random
bytes in base64url. Kept is SHA-256 of the whole text. A slow hash (scrypt, argon2) makes guesses dear where
people choose the secret; against 2^256 equally likely ones no guessing helps, and milliseconds of hashing in
every request would only be a way to bring the service down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, Protocol, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Scope = Literal["ingest", "read", "operate", "review"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
State = Literal["active", "expired", "revoked"]
ID_BYTES, SECRET_BYTES = 8, 32
NAME_CHARS = 100
_KEY = re.compile(r"ovk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
# Compared with where no key has the id, so that an unknown id takes as long as a wrong secret.
_NOBODY = hashlib.sha256(b"nobody").hexdigest()

Stamp = tuple[int, ...]
"""Changes whenever a file does."""


class KeyRefusedError(Exception):
    """A key that opens nothing.

    Attributes:
        code: ``key-invalid``, ``key-expired`` or ``key-revoked``; the latter two only for who knows the secret.
        key_id: The id it names; None where the text is no key at all.
    """

    def __init__(self, code: str, key_id: str | None) -> None:
        super().__init__(code)
        self.code = code
        self.key_id = key_id


class KeyRecord(BaseModel):
    """What is kept of a key.

    Attributes:
        id: 16 hex digits; no secret.
        name: For people: who uses it; 1 to 100 printable characters.
        scopes: What it opens.
        sha256: Hex digest of the key's text.
        created_at: With time zone.
        expires_at: From then on it opens nothing; None: never.
        revoked_at: When it was withdrawn; None: it was not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS, pattern=r"^[^\x00-\x1f\x7f]+$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def state(self, now: datetime) -> State:
        """Whether it opens something at ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "active"


class KeySource(Protocol):
    """Where keys are kept; both methods raise ``KeyFileError`` (503)."""

    def stamp(self) -> Stamp: ...

    def read(self) -> tuple[KeyRecord, ...]: ...


def new_key(taken: frozenset[str]) -> tuple[str, str]:
    """Id, none of ``taken``, and text of a new key."""
    number = secrets.token_hex(ID_BYTES)
    while number in taken:
        number = secrets.token_hex(ID_BYTES)
    return number, f"ovk_{number}_{secrets.token_urlsafe(SECRET_BYTES)}"


def key_id(text: str) -> str | None:
    """Id of the key ``text``; None if it has not the form of one."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def digest(text: str) -> str:
    """What is kept of the key ``text``: SHA-256, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


class KeyRing:
    """The keys of a source in memory, read again as soon as the source has changed."""

    def __init__(self, source: KeySource, now: Callable[[], datetime]) -> None:
        self._source = source
        self._now = now
        self._stamp: Stamp | None = None
        self._keys: dict[str, KeyRecord] = {}

    def refresh(self) -> None:
        """Read the source if it has changed; costs one stat where it has not.

        Raises:
            KeyFileError: it cannot be read now; nobody is let in on what it held before.
        """
        # before the content: what is written in between has another stamp, and is read next time
        stamp = self._source.stamp()
        if stamp != self._stamp:
            self._stamp = None
            self._keys = {key.id: key for key in self._source.read()}
            self._stamp = stamp

    def find(self, text: str) -> KeyRecord:
        """The record of the key ``text``.

        Raises:
            KeyRefusedError: no such key, wrong secret, expired or revoked.
            KeyFileError: as ``refresh``.
        """
        self.refresh()
        number = key_id(text)
        if number is None:
            raise KeyRefusedError("key-invalid", None)
        record = self._keys.get(number)
        right = hmac.compare_digest(digest(text), record.sha256 if record else _NOBODY)
        if record is None or not right:
            raise KeyRefusedError("key-invalid", number)
        state = record.state(self._now())
        if state != "active":
            raise KeyRefusedError(f"key-{state}", number)
        return record
