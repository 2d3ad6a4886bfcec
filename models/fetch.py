"""Fetches one file of known hash over https."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from models.weights import WeightsError
from schemas.errors import UnavailableError

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def fetch(url: str, target: Path, sha256: str, size_bytes: int) -> None:
    """Puts a file in its place, whole and right or not at all.

    Args:
        url: https address; plain http only on this machine. Redirects are followed, to https only.
        target: Where the file goes; its folder is made.
        sha256: Hash the file must have, hexadecimal.
        size_bytes: Length the file must have; nothing longer is read.

    Raises:
        WeightsError: Another address, length or hash.
        UnavailableError: The server cannot be reached or answers with an error.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = hashlib.sha256()
            length = 0
            for chunk in _chunks(url):
                length += len(chunk)
                if length > size_bytes:
                    raise WeightsError(f"{url}: longer than the {size_bytes} bytes of its card")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if length != size_bytes or digest.hexdigest() != sha256:
            raise WeightsError(
                f"{url}: {length} bytes, sha256 {digest.hexdigest()}; the card says {size_bytes} bytes, {sha256}"
            )
        part.chmod(0o644)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _chunks(url: str) -> Iterator[bytes]:
    """Body of the answer as it was sent; refuses every hop that is not https."""
    hooks = {"request": [_refuse_plain]}
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=True, event_hooks=hooks) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            response.raise_for_status()
            yield from response.iter_raw()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"{url}: {error}") from error


def _refuse_plain(request: httpx.Request) -> None:
    if request.url.scheme != "https" and request.url.host not in _LOOPBACK:
        raise WeightsError(f"{request.url}: weights are fetched over https only")
