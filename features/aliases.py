"""Which version of a feature view readers get who ask for it without a version.

Milvus has aliases of its own; Feast has none. So there is one small object for each alias in the object store: as
durable as the uploads, so that losing Redis does not move readers back. Without one the version is that of `FIRST`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import orjson

from features.ports import ObjectStore
from features.views import VIEWS, View
from schemas.errors import BugError


def first_versions(views: Iterable[View]) -> dict[str, View]:
    """By alias: its lowest version, which readers get until somebody switches."""
    return {view.alias: view for view in sorted(views, key=lambda view: view.version, reverse=True)}


FIRST = first_versions(VIEWS.values())
FRESH_S = 1.0
"""Seconds for which an answer is kept: so long after a switch readers may still get the old version."""


class ViewAliases:
    """Looks aliases up and moves them."""

    def __init__(self, objects: ObjectStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._objects = objects
        self._clock = clock
        self._known: dict[str, tuple[float, View]] = {}

    async def view(self, name: str) -> View:
        """The view that an alias names; a view's own name stands for itself.

        Raises:
            ValueError: neither an alias nor a view.
            BugError: the alias names a view that this release does not declare.
            UnavailableError: the object store does not answer.
        """
        if name in VIEWS:
            return VIEWS[name]
        if name not in FIRST:
            raise ValueError(f"{name!r} is no feature view; there are {', '.join((*FIRST, *VIEWS))}")
        known = self._known.get(name)
        if known is not None and self._clock() - known[0] < FRESH_S:
            return known[1]
        view = await self._read(name)
        self._known[name] = (self._clock(), view)
        return view

    async def move(self, alias: str, view: View) -> None:
        """Let an alias name another version; done when this returns, seen within `FRESH_S`.

        Raises:
            ValueError: the view is no version of it.
            UnavailableError: the object store does not answer.
        """
        if view.alias != alias or VIEWS.get(view.name) != view:
            raise ValueError(f"{view.name} is no declared version of {alias}")
        await self._objects.put(_key(alias), orjson.dumps({"view": view.name}), "application/json")
        self._known.pop(alias, None)

    async def _read(self, alias: str) -> View:
        try:
            told = orjson.loads(await self._objects.get(_key(alias)))
        except KeyError:
            return FIRST[alias]
        try:
            return VIEWS[told["view"]]
        except (KeyError, TypeError) as error:
            raise BugError(f"the alias {alias} names {told!r}, which this release does not declare") from error


def _key(alias: str) -> str:
    return f"feature-aliases/{alias}.json"
