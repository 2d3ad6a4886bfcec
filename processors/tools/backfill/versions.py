"""What versions of a capability there are, and which of them readers get."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from features import milvus_versions
from features.views import Collection, View
from processors.catalogue import VERSIONS
from processors.runtime.processor import Capability
from processors.runtime.wiring import Wiring
from processors.tools.rebuild import groups
from schemas.errors import AppError


class BackfillError(AppError):
    """A backfill that cannot be done as asked."""

    code = "backfill-refused"


@dataclass(frozen=True)
class Standing:
    """One version as it stands.

    Attributes:
        version: From 1.
        in_use: Whether readers get it.
        group: Its consumer group.
        rows: Rows by view and collection; None where it was not made.
    """

    version: int
    in_use: bool
    group: groups.Group
    rows: dict[str, int | None]


def versions_of(name: str) -> dict[int, Capability]:
    """Versions of a capability that has stores of its own.

    Raises:
        BackfillError: there is no such capability, or it cannot be filled from its topics alone.
    """
    versions = VERSIONS.get(name)
    if versions is None:
        raise BackfillError(f"there is no capability {name}; there are {', '.join(VERSIONS)}")
    if not any(each.stores for each in versions.values()):
        raise BackfillError(f"{name} has no stores that its topics alone can fill")
    return versions


def version_of(name: str, version: int) -> Capability:
    """One version.

    Raises:
        BackfillError: it is not declared.
    """
    versions = versions_of(name)
    if version not in versions:
        raise BackfillError(f"{name} has no version {version}; declared are {', '.join(map(str, versions))}")
    return versions[version]


def views(capability: Capability) -> tuple[View, ...]:
    """Feature views of a version."""
    return tuple(store for store in capability.stores if isinstance(store, View))


def collections(capability: Capability) -> tuple[Collection, ...]:
    """Vector collections of a version."""
    return tuple(store for store in capability.stores if isinstance(store, Collection))


async def is_used(wiring: Wiring, capability: Capability) -> bool:
    """Whether readers get anything of this version, by view or by vector.

    Raises:
        UnavailableError: a store does not answer.
    """
    if any([await wiring.view_aliases.view(view.alias) == view for view in views(capability)]):
        return True
    declared = {each.alias: each.name for each in collections(capability)}
    named = await asyncio.to_thread(milvus_versions.named, wiring.milvus_config, declared)
    return any(named[alias] == name for alias, name in declared.items())


async def standing(wiring: Wiring, name: str) -> list[Standing]:
    """Every declared version.

    Raises:
        BackfillError: see `versions_of`.
        UnavailableError: broker or a store does not answer.
    """
    kafka, found = wiring.settings.kafka, []
    for version, capability in sorted(versions_of(name).items()):
        until = await asyncio.to_thread(groups.ends, kafka, [topic.name for topic in capability.consumes])
        group = await asyncio.to_thread(groups.look, kafka, capability.group, until)
        rows: dict[str, int | None] = {}
        for view in views(capability):
            rows[view.name] = sum([1 async for _ in wiring.feature_reader.scan_ids(view.name)])
        rows |= await asyncio.to_thread(milvus_versions.rows, wiring.milvus_config, collections(capability))
        found.append(Standing(version, await is_used(wiring, capability), group, rows))
    return found
