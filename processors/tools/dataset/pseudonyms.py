"""Names for users that only who has the key can tell from the real ones."""

from __future__ import annotations

import os
import secrets
import stat
from hashlib import blake2b
from pathlib import Path

from schemas.errors import UnavailableError

KEY_BYTES = 32
PSEUDONYM_BYTES = 16


class PseudonymKeyError(UnavailableError):
    """The key of the pseudonyms is not usable."""

    code = "pseudonym-key"


def read_key(path: Path) -> bytes:
    """The key in a file; made, mode 0600, if there is none. A new key gives every user another pseudonym.

    Raises:
        PseudonymKeyError: it cannot be read or written, is open to others, or is no key.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        with path.open("rb") as file:
            mode, key = os.fstat(file.fileno()).st_mode, file.read(KEY_BYTES + 1)
    except OSError as error:
        raise PseudonymKeyError(f"the key of the pseudonyms {path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PseudonymKeyError(f"{path} has mode {stat.S_IMODE(mode):04o}: others could tell users; chmod 600 it")
    if len(key) != KEY_BYTES:
        raise PseudonymKeyError(f"{path} is no key: {KEY_BYTES} bytes expected")
    return key


def pseudonym(user: str, key: bytes) -> str:
    """32 hexadecimal digits for a user: BLAKE2b with a key (RFC 7693)."""
    return blake2b(user.encode(), key=key, digest_size=PSEUDONYM_BYTES).hexdigest()
