"""Bytes by key: a local folder (``file://``) or whatever obstore reaches (``s3://``).

The local folder is plain POSIX calls: obstore's own local store never calls fsync, so an object that HTTP answered
202 for could be empty after a power cut. Remote stores answer only when the object is durable.

Keys beginning with ``tmp/`` are uploads in progress; what a crash leaves behind there ``sweep`` removes. Remotely a
crash also leaves unfinished multipart uploads, which no listing shows: give the bucket a lifecycle rule against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store

from features.objects.common import check_key, content_key
from features.objects.local import LocalObjects
from features.objects.remote import RemoteObjects
from features.ports import ObjectStore

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

__all__ = ["LocalObjects", "RemoteObjects", "check_key", "content_key", "open_objects"]


def open_objects(url: str, options: Mapping[str, str] | None = None) -> ObjectStore:
    """The store at ``url``.

    Args:
        url: ``file:///folder`` (made if missing) or ``s3://bucket/prefix``.
        options: Options of obstore's S3 store, for example ``endpoint`` or ``region``; credentials come from these
            or from the usual ``AWS_*`` variables.

    Raises:
        ValueError: a URL of neither kind, or options that obstore refuses.
        UnavailableError: the folder cannot be made.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalObjects(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.hostname:
        chosen = dict(options or {})
        client: ClientConfig = {
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=30),
            # of a whole request: the largest upload through a slow line
            "timeout": timedelta(minutes=15),
        }
        if chosen.get("endpoint", "").startswith("http://"):
            client["allow_http"] = True
        try:
            store = S3Store.from_url(
                url,
                config=cast("S3Config", chosen),
                client_options=client,
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
            )
        except BaseError as error:
            raise ValueError(f"s3://{parts.hostname}: {str(error).partition(chr(10))[0]}") from error
        return RemoteObjects(store, f"s3://{parts.hostname}{parts.path}")
    raise ValueError(f"objects are kept at file:// or s3://, not at {parts.scheme}://")
