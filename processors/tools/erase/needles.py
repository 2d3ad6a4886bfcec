"""What a scan looks for, as the stores write it."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 4
"""Characters from which a user id is looked for in binary data too: a shorter one is found in any noise."""


@dataclass(frozen=True)
class Needle:
    """A text to look for.

    Attributes:
        text: As given.
        forms: The same as bytes, in every way the stores write it.
    """

    text: str
    forms: tuple[bytes, ...]

    def lies_in(self, data: bytes) -> bool:
        return any(form in data for form in self.forms)


def text_needle(text: str) -> Needle:
    """A text anywhere: UTF-8, escaped as in JSON, or UTF-16 as some picture metadata has it.

    Raises:
        ValueError: the text is empty.
    """
    if not text:
        raise ValueError("an empty text is found everywhere")
    escaped = {json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False)}
    forms = {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")} | escaped
    return Needle(text, tuple(sorted(forms)))


def user_needle(user: str) -> Needle:
    """A user id as a whole value, not as part of a longer word.

    JSON puts it between quotes, Avro and Protobuf write its length before it, and so does Feast in its keys.
    """
    data = user.encode()
    forms = {json.dumps(user, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)}
    if len(user) >= SHORTEST:
        forms |= {_varint(len(data)) + data, struct.pack("<I", len(data)) + data}
        forms |= {_varint(2 * len(each)) + each for each in (data, b"user:" + data)}
    return Needle(user, tuple(sorted(forms)))


def found_in(needles: Sequence[Needle], data: bytes) -> set[str]:
    """Texts of those that lie in ``data``."""
    return {needle.text for needle in needles if needle.lies_in(data)}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
