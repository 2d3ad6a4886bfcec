"""The demo's recommender: a version that the generated world has taught, put in use where none is yet.

It was made by `overture world load generated --content`, `overture dataset build` and `overture train all`; its
items are of that world, so all that the demo uploads is placed by its content.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from infra.demo.program import overture

BUNDLE = Path(__file__).parent / "bundle"


async def ensure(tell: Callable[[str], None]) -> None:
    """Register and promote the demo's version unless some version is in use.

    Raises:
        DemoError: a command fails; the message is its own.
    """
    known = [orjson.loads(line) for line in (await overture("models", "list", "--json")).splitlines()]
    used = [each["version"] for each in known if each["state"] == "in use"]
    if used:
        tell(f"recommender {used[0]} is in use")
        return
    version = orjson.loads((BUNDLE / "manifest.json").read_bytes())["version"]
    await overture("models", "register", str(BUNDLE), "--by", "demo")
    await overture("models", "promote", version, "--by", "demo")
    tell(f"recommender {version} put in use")
