"""The errors that cross a process border.

Four branches, because the worker does four different things with a failure:

==============  =====================================================================
``BadEventError``     the event itself is unusable: dead letter at once
``BadMediaError``     the user's file or text is unusable: a terminal *rejection*, no dead letter
``UnavailableError``  something we need is away: retry with growing delay, then dead letter
``BugError``          anything else: one more try, then dead letter
==============  =====================================================================

``code`` is stable, machine-readable and travels in dead-letter headers, in ``media.status`` and in HTTP
problem documents; the message is for people.
"""

from __future__ import annotations

from typing import ClassVar


class AppError(Exception):
    """Base of every error this system raises on purpose.

    Attributes:
        code: Stable identifier, lower-case words joined by hyphens.
        retryable: Whether the same input may succeed later.
        http_status: Status of the HTTP answer when the error reaches the edge.
    """

    code: str = "internal"
    retryable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class BadEventError(AppError):
    """An event that no retry can make usable."""

    code = "bad-event"
    http_status = 400


class BadMediaError(AppError):
    """User content that cannot be accepted; the message is shown to the user.

    Raised with one of the codes of ``REJECTION_CODES`` so that clients can translate it.
    """

    code = "media-unreadable"
    http_status = 422


class UnavailableError(AppError):
    """A broker, store or service that does not answer at the moment."""

    code = "unavailable"
    retryable = True
    http_status = 503


class BugError(AppError):
    """A failure that nobody foresaw, wrapped so that it carries a code."""

    code = "bug"


REJECTION_CODES: dict[str, str] = {
    "media-empty": "The file is empty.",
    "media-unreadable": "The file cannot be read as the kind of media it was uploaded as.",
    "media-type": "This type of file is not accepted here.",
    "media-truncated": "The file ends too early: a large part of it is missing.",
    "media-too-large": "The picture or video has too many pixels.",
    "media-too-long": "The recording is longer than is accepted.",
    "media-too-short": "The recording is too short.",
    "media-too-many-frames": "The file has more frames than are accepted.",
    "media-too-many-streams": "The file has more streams than are accepted.",
    "media-bad-audio": "The sound has an unusual rate, channel count or broken samples.",
    "media-hostile": "The file tries to make its reader do something that a recording never needs.",
    "media-limit": "Reading the file needs more time or memory than is accepted.",
    "media-silent": "The recording is silent.",
    "image-nsfw": "A picture shows nudity.",
    "text-blocked": "The text breaks the rules of the community.",
    "withdrawn": "The owner has withdrawn the item.",
    "avatar-no-face": "No face can be found in the picture.",
    "avatar-several-people": "The picture shows more than one person.",
    "avatar-mirror": "The picture shows the same face more than once, as in a mirror or a collage.",
    "avatar-public-figure": "The picture shows a public figure.",
    "avatar-minor": "The person in the picture seems to be too young.",
    "avatar-blurred": "The face is not sharp enough.",
    "avatar-dark": "The face is too dark or too bright to be recognised.",
    "avatar-face-small": "The face is too small in the picture.",
    "avatar-occluded": "Something covers a large part of the face.",
    "avatar-turned": "The face is turned away too far.",
    "avatar-drawing": "The picture is a drawing, not a photo of a person.",
    "avatar-statue": "The picture seems to show a statue or a doll, not a person.",
    "avatar-screenshot": "The picture is a screenshot.",
    "avatar-code": "The picture contains a machine-readable code.",
    "avatar-screen": "The picture seems to be a photo of a screen or of a print.",
    "avatar-aspect": "The picture is far longer than it is wide, or the other way round.",
    "public-figure": "A public figure appears in the upload.",
    "fraud-ring": "Several accounts show the same face.",
    "review-rejected": "A moderator has decided that this breaks the rules of the community.",
}
"""Reason codes a user may see, with the sentence shown to them."""
