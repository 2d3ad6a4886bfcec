"""Bytes that are nearly right: a good input, changed as a short program of bytes says.

The program is what the fuzzer chooses; three bytes are one change: what, where, with what.
"""

from __future__ import annotations

INTERESTING = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"\r\n",
    b"\n",
    b'"',
    b"\\",
    b";",
    b"--",
    b",",
    b"[",
    b"}",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    "\ufeff".encode(),
    "é\u202e\U0001f3b9".encode(),
    b"\xed\xa0\x80",
    b"\\ud800",
    b"1e999",
)
CHANGE_BYTES = 3
MOST_CHANGES = 6


def mutate(good: bytes, program: bytes) -> bytes:
    """``good`` after the changes of ``program``; an empty one changes nothing."""
    data = bytearray(good)
    for start in range(0, min(len(program) - 2, MOST_CHANGES * CHANGE_BYTES), CHANGE_BYTES):
        what, where, value = program[start : start + CHANGE_BYTES]
        at = where * (len(data) + 1) >> 8
        end = min(len(data), at + 1 + value % 24)
        match what % 6:
            case 0:
                data[at : at + 1] = bytes([value])
            case 1:
                data[at:at] = INTERESTING[value % len(INTERESTING)]
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * (1 + value % 5)
            case 4:
                del data[at:]
            case 5 if at < len(data):
                data[at] ^= 1 << value % 8
    return bytes(data)


def pieces(data: bytes, cuts: bytes) -> list[bytes]:
    """``data`` in pieces, as a network may deliver it; each of ``cuts`` is a place in 1/256 of the whole."""
    places = sorted(cut * (len(data) + 1) >> 8 for cut in cuts)
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
