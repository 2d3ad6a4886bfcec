"""A version 2 of item_indexing: another field of the items, another scalar and other vectors of the collections.

These are the lines that a release with a new version has. Run as a program it is a worker of it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from features.views import COLLECTION_VERSIONS, COLLECTIONS, ITEM_CONTENT, SCALARS, VIEWS
from processors.catalogue import VERSIONS
from processors.item_indexing import LAYOUTS, Layout, content_of, indexing, scalars_of
from processors.runtime import logs, worker
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from schemas.item import ItemChanged

VIEW = dataclasses.replace(ITEM_CONTENT, name="item_content_v2", fields={**ITEM_CONTENT.fields, "song": "string"})
COLLECTIONS_2 = tuple(
    dataclasses.replace(each, name=f"{each.alias}_v2", scalars={**SCALARS, "song": "varchar"})
    for each in COLLECTIONS.values()
)


def content_2(item: ItemChanged) -> dict[str, Any]:
    return content_of(item) | {"song": item.song_id or "none", "title": item.title.upper()}


def scalars_2(item: ItemChanged) -> dict[str, Any]:
    return scalars_of(item) | {"song": item.song_id or "none"}


LAYOUT = Layout(2, VIEW, COLLECTIONS_2, content_2, scalars_2)


def declare() -> None:
    VIEWS[VIEW.name] = VIEW
    COLLECTION_VERSIONS.update({each.name: each for each in COLLECTIONS_2})
    LAYOUTS[2] = LAYOUT
    VERSIONS["item_indexing"][2] = indexing(LAYOUT)


def retract() -> None:
    del VIEWS[VIEW.name], LAYOUTS[2], VERSIONS["item_indexing"][2]
    for each in COLLECTIONS_2:
        del COLLECTION_VERSIONS[each.name]


if __name__ == "__main__":
    declare()
    settings = Settings()
    logs.configure(settings.worker)
    wiring = Wiring(settings)
    try:
        asyncio.run(worker.run([wiring.runner(VERSIONS["item_indexing"][2])], settings))
    finally:
        wiring.close()
