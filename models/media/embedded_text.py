"""Text found inside a file, cut and cleaned: it is the uploader's, so it is moderated like a post."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from models.media.facts import EmbeddedText
from models.media.limits import Limits

# written by programs, not by people
_TECHNICAL = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "creation_time",
        "encoder",
        "duration",
        "language",
        "handler_name",
        "vendor_id",
    }
)
_NAME = re.compile(r"[^a-z0-9_ -]")
_ASS_OVERRIDE = re.compile(r"\{[^}]*\}|<[^>]{0,100}>")


def clean(text: str, longest: int) -> str:
    """Without control, format (bidirectional overrides, zero width), private and lone surrogate
    characters; white space runs become one blank; at most ``longest`` characters."""
    # a bound before the work, generous because cleaning shortens
    text = unicodedata.normalize("NFC", text[: 4 * longest])
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(kept.split())[:longest]


def embedded_text(tag_sets: Iterable[Mapping[str, str]], subtitles: Iterable[str], limits: Limits) -> EmbeddedText:
    """Tags of a file (the first of a name wins) and its subtitles.

    Args:
        tag_sets: Metadata of the container, then of its streams.
        subtitles: Events of text subtitle streams in order.
        limits: How much is kept.
    """
    tags: dict[str, str] = {}
    for tag_set in tag_sets:
        for raw_name, raw_value in tag_set.items():
            name = _NAME.sub("", raw_name.lower())[:40].strip()
            value = clean(raw_value, limits.tag_max_chars)
            if name and value and name not in _TECHNICAL and len(tags) < limits.max_tags:
                tags.setdefault(name, value)
    lines: list[str] = []
    room = limits.subtitle_max_chars
    for event in subtitles:
        words = _ASS_OVERRIDE.sub("", event).replace("\\N", " ").replace("\\n", " ")
        line = clean(words, limits.tag_max_chars)
        if not line or (lines and lines[-1] == line):
            continue
        if len(line) + 1 > room:
            break
        lines.append(line)
        room -= len(line) + 1
    return EmbeddedText(tags=tags, subtitles="\n".join(lines))
