"""The debug bundle of the recommender, and others made of it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from models.recommender_manifest import MANIFEST, FileFacts, Manifest, read_manifest

DEBUG = Path(__file__).parent / "data" / "recommender-debug"


def resealed(folder: Path, name: str, data: bytes) -> None:
    """Put other bytes into a file and make manifest and version agree with them."""
    (folder / name).write_bytes(data)
    manifest = read_manifest((folder / MANIFEST).read_bytes(), MANIFEST)
    facts = FileFacts(hashlib.sha256(data).hexdigest(), len(data))
    (folder / MANIFEST).write_bytes(replace(manifest, files=manifest.files | {name: facts}).versioned().to_json())


def variant(folder: Path, days: int, **changes: Any) -> Manifest:
    """Another version in ``folder``: the debug bundle made some days later, with other words in its manifest."""
    shutil.copytree(DEBUG, folder)
    manifest = read_manifest((folder / MANIFEST).read_bytes(), MANIFEST)
    made_at = manifest.made_at + timedelta(days=days)
    other = replace(manifest, made_at=made_at, **changes).versioned()
    (folder / MANIFEST).write_bytes(other.to_json())
    return other
