"""Plain JSON values from a random generator, odd ones among them."""

from __future__ import annotations

from random import Random
from typing import Any

LEAVES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**25,
    0.5,
    -0.0,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "u-1",
    "audio",
    "liked",
    "\0",
    "\n",
    "\ud800",
    "é\U0001f3b9",
    "x" * 129,
    "a/b",
    "2026-11-21T08:00:00Z",
    "2026-11-21T08:00:00+23:59",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:60Z",
    "0B9F3F0E-3a55-5c1e-9d53-5f1f0d3e1f77",
)
NAMES = ("", "a", "user_id", "exposure", "surface", "position", "\ud800", "é", "/~")


def any_json(rng: Random, depth: int = 4) -> Any:
    """A value of at most ``depth`` levels."""
    kind = rng.randrange(8) if depth else 7
    if kind == 0:
        return [any_json(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 1:
        return {rng.choice(NAMES): any_json(rng, depth - 1) for _ in range(rng.randrange(4))}
    if kind == 2:
        return rng.getrandbits(70) - 2**69
    if kind == 3:
        return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x2FFF)))) for _ in range(rng.randrange(8)))
    return rng.choice(LEAVES)
