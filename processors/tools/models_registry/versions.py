"""Registered versions of the recommender, opened and compared."""

from __future__ import annotations

from pathlib import Path

from features.model_store import ModelStore, Registry, RegistryError, RegistryEvent, VersionCache, now
from models.recommender_bundle import Bundle, open_bundle
from models.recommender_files import FILES
from models.recommender_manifest import MANIFEST, NAME, Manifest, read_manifest


class Versions:
    """Adds versions and opens them.

    Attributes:
        store: Where they are.
    """

    def __init__(self, store: ModelStore, cache: VersionCache) -> None:
        self.store = store
        self._cache = cache

    async def register(self, folder: Path, by: str, reason: str = "") -> Manifest:
        """Bring a bundle into the object store and the registry; done before, nothing changes.

        Raises:
            BundleError: it is not usable.
            RegistryError: the version is there with other files.
            UnavailableError: the object store does not answer.
        """
        manifest = open_bundle(folder).manifest
        files = {name: (folder / name).read_bytes() for name in (*FILES, MANIFEST)}
        await self.store.put_version(NAME, manifest.version, files)
        while manifest.version not in (seen := await self.store.registry(NAME)).versions:
            event = RegistryEvent(kind="registered", version=manifest.version, at=now(), by=by, reason=reason)
            await append_unless_moved(self.store, seen, event)
        return manifest

    async def manifest(self, version: str) -> Manifest:
        """What a version says of itself.

        Raises:
            VersionMissingError: there is no such version.
            BundleError: its manifest is damaged.
        """
        return read_manifest(await self.store.get_file(NAME, version, MANIFEST), f"{version}/{MANIFEST}")

    async def open(self, version: str) -> Bundle:
        """A version's bundle, as the object store has it.

        Raises:
            VersionMissingError: there is no such version.
            BundleError: it is not usable.
        """
        await self._cache.forget(NAME, version)
        return open_bundle(await self._cache.fetch(NAME, version, FILES))


async def append_unless_moved(store: ModelStore, seen: Registry, event: RegistryEvent) -> None:
    """Append an event; where somebody was quicker nothing happens, and the caller looks again.

    Raises:
        UnavailableError: the object store does not answer.
    """
    try:
        await store.append(seen, event)
    except RegistryError as error:
        if error.code != "registry-moved":
            raise
