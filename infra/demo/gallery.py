"""The demo's gallery of public figures: two presidents, from pictures that a package ships for its tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from infra.demo.avatars import FIGURES
from infra.demo.program import overture


async def ensure(root: Path, tell: Callable[[str], None]) -> None:
    """Build a gallery unless one is in use; add to that one who is missing in it.

    Args:
        root: See `infra.demo.avatars.gallery_folder`.
        tell: Told what was done.

    Raises:
        DemoError: a command fails; the message is its own.
    """
    stored = [orjson.loads(line) for line in (await overture("gallery", "versions", "--json")).splitlines()]
    if not any(each["in_use"] for each in stored):
        await overture("gallery", "build", str(root))
        tell(f"a gallery of {len(FIGURES)} public figures built and put in use")
        return
    known = {orjson.loads(line)["person"] for line in (await overture("gallery", "list", "--json")).splitlines()}
    missing = [str(root / person) for person in FIGURES if person not in known]
    if missing:
        await overture("gallery", "add", *missing)
    tell(f"a gallery is in use; {len(missing)} public figures added")
