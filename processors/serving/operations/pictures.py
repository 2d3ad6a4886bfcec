"""Which uploads have a picture, and which of these nobody should see unasked."""

from __future__ import annotations

from schemas.media import MediaStatus


def has_thumbnail(status: MediaStatus) -> bool:
    """A deleted upload's picture is not shown any more, whether or not its bytes are gone yet."""
    return status.thumbnail is not None and status.state != "deleted"


def is_sensitive(status: MediaStatus) -> bool:
    """Whether moderation has not passed the item, or not yet. A waveform can hurt nobody."""
    return status.state != "published" and status.kind != "audio"
