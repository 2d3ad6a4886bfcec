"""Versions of the gallery: made of folders of pictures, by leaving persons out, put in use, dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from features import face_gallery
from features.face_gallery import PICTURE_TYPE, PICTURES, GalleryError, GalleryFacts
from features.milvus_index import MilvusConfig
from features.ownership import UNFINISHED
from features.ports import ObjectStore
from processors.runtime.gallery_settings import Gallery
from processors.tools.gallery.faces import FaceReader, ReadFace
from processors.tools.gallery.folder import Folder, Skipped, pictures
from processors.tools.gallery.selection import Person, select
from processors.tools.gallery.version import Composed, Origin, Rows, compose, picture_of, rows_of

Tell = Callable[[int, int], None]
"""Takes how many pictures are read, and of how many."""
NOTHING = Rows((), np.zeros((0, 0), np.float32))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done.

    Attributes:
        version: Version in use now; empty if none was made.
        in_use: Whether any version is in use if none was made.
        new: Whether it was not there before.
        persons: Persons in it.
        rows: Rows in it.
        threshold: Its threshold.
        threshold_by: Where that is from.
        files: Files looked at.
        used: Pictures that a person's mean is made of.
        skipped: What was left out, and why.
        same_face: Pairs of names that seem to be one person, and their likeness.
        dropped: Older versions that were dropped.
    """

    version: str = ""
    in_use: bool = True
    new: bool = False
    persons: int = 0
    rows: int = 0
    threshold: float = 0.0
    threshold_by: Origin = "own"
    files: int = 0
    used: int = 0
    skipped: tuple[Skipped, ...] = ()
    same_face: tuple[tuple[str, str, float], ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """What a folder gives.

    Attributes:
        persons: By name.
        files: Files looked at.
        used: Pictures that the centroids are made of.
        skipped: What was left out.
    """

    persons: tuple[Person, ...] = ()
    files: int = 0
    used: int = 0
    skipped: tuple[Skipped, ...] = ()
    crops: Mapping[str, bytes] = field(default_factory=dict)


def choose(folder: Folder, reader: FaceReader, rules: Gallery, tell: Tell) -> Chosen:
    """Read every picture of a folder and choose among them.

    Threads are enough: pictures are decoded in children, and networks let other threads run.

    Raises:
        BugError, UnavailableError: the sandbox fails.
    """
    wanted = list(pictures(folder))
    faces: dict[str, list[ReadFace]] = {name: [] for name in folder.persons}
    skipped = list(folder.skipped)
    with ThreadPoolExecutor(rules.workers, thread_name_prefix="gallery") as pool:
        for number, read in enumerate(pool.map(lambda each: reader.read(*each), wanted), 1):
            if isinstance(read, Skipped):
                skipped.append(read)
            else:
                faces[read.person].append(read)
            tell(number, len(wanted))
    persons: list[Person] = []
    readable = sum(len(own) for own in faces.values())
    left_out = 0
    for name, own in sorted(faces.items()):
        person, unwanted = select(name, own, rules)
        skipped += unwanted
        left_out += len(unwanted)
        if person is None:
            skipped.append(Skipped(name, "no-picture", "nothing usable is left of this person"))
        else:
            persons.append(person)
    crops = {picture_of(face).key: face.crop for person in persons for face in person.exemplars}
    return Chosen(tuple(persons), len(wanted), readable - left_out, tuple(sorted(skipped)), crops)


class GalleryWork:
    """Makes versions and puts them in use.

    Args:
        config: Milvus.
        objects: Where the small pictures lie.
        rules: Settings.
    """

    def __init__(self, config: MilvusConfig, objects: ObjectStore, rules: Gallery) -> None:
        self._config, self._objects, self._rules = config, objects, rules

    async def build(self, chosen: Chosen, embedder: str) -> Outcome:
        """A gallery of what a folder gives, and of nobody else; nothing is made of nothing.

        Raises:
            GalleryError: another version came into use meanwhile, or there is no threshold for so few persons.
            UnavailableError: a store does not answer.
        """
        before = await asyncio.to_thread(face_gallery.in_use, self._config)
        return await self._made(chosen, NOTHING, embedder, before)

    async def add(self, chosen: Chosen, embedder: str) -> Outcome:
        """The gallery in use with what a folder gives, which takes the place of persons of the same name.

        Raises:
            GalleryError: see `build`; or the gallery in use is of another embedder.
            UnavailableError: a store does not answer.
        """
        before = await asyncio.to_thread(face_gallery.in_use, self._config)
        held = NOTHING
        if before:
            gallery = await asyncio.to_thread(face_gallery.read, self._config, before)
            if gallery.facts.embedder != embedder:
                raise GalleryError(f"gallery {before} is of {gallery.facts.embedder}, not of {embedder}: build it anew")
            held = Rows(gallery.rows, gallery.vectors).without([person.name for person in chosen.persons])
        return await self._made(chosen, held, embedder, before)

    async def remove(self, names: Sequence[str], *, erase: bool) -> Outcome:
        """The gallery in use without some persons.

        Args:
            names: Persons.
            erase: Also drop every older version that holds one of them, and their pictures. If nobody is left, no
                gallery is in use afterwards.

        Raises:
            GalleryError: no gallery is in use, one of them is not in it, or, without ``erase``, nobody is left.
            UnavailableError: a store does not answer.
        """
        before = await asyncio.to_thread(face_gallery.in_use, self._config)
        if not before:
            raise GalleryError("no gallery is in use")
        gallery = await asyncio.to_thread(face_gallery.read, self._config, before)
        held = {row.person for row in gallery.rows}
        if unknown := [name for name in names if name not in held]:
            raise GalleryError(f"gallery {before} holds nobody named {', '.join(map(repr, unknown))}")
        erased = frozenset(names) if erase else frozenset()
        rows = Rows(gallery.rows, gallery.vectors).without(names)
        if erase and not rows.rows:
            await asyncio.to_thread(face_gallery.use_none, self._config, before)
            return Outcome(in_use=False, dropped=await self._prune(erased))
        composed = await self._composed(rows, gallery.facts.embedder, gallery.facts)
        return await self._put_in_use(composed, Chosen(), before, erased)

    async def use(self, version: str) -> None:
        """Let readers have a version that is there.

        Raises:
            GalleryError: it is not there or unfinished.
            UnavailableError: Milvus does not answer.
        """
        before = await asyncio.to_thread(face_gallery.in_use, self._config)
        await asyncio.to_thread(face_gallery.use, self._config, version, before)

    async def _made(self, chosen: Chosen, held: Rows, embedder: str, before: str) -> Outcome:
        if not chosen.persons:
            return Outcome(files=chosen.files, skipped=chosen.skipped)
        composed = await self._composed(held.joined(rows_of(chosen.persons)), embedder)
        return await self._put_in_use(composed, chosen, before)

    async def _composed(self, rows: Rows, embedder: str, larger: GalleryFacts | None = None) -> Composed:
        rules = self._rules
        return await asyncio.to_thread(compose, rows, embedder, rules.false_accepts, rules.same_person, larger)

    async def _put_in_use(
        self, composed: Composed, chosen: Chosen, before: str, erased: frozenset[str] = frozenset()
    ) -> Outcome:
        gallery = composed.gallery
        # pictures first: no row ever names one that is not there
        for key, data in chosen.crops.items():
            await self._objects.put(key, data, PICTURE_TYPE)
        new = await asyncio.to_thread(face_gallery.write, self._config, gallery)
        await asyncio.to_thread(face_gallery.use, self._config, gallery.version, before)
        return Outcome(
            version=gallery.version,
            new=new,
            persons=gallery.facts.persons,
            rows=gallery.facts.rows,
            threshold=gallery.facts.threshold,
            threshold_by=composed.threshold_by,
            files=chosen.files,
            used=chosen.used,
            skipped=chosen.skipped,
            same_face=composed.found.same_face,
            dropped=await self._prune(erased),
        )

    async def _prune(self, erased: frozenset[str]) -> tuple[str, ...]:
        """Drop all but the newest versions, and those that hold somebody who is to be forgotten."""
        stored = await asyncio.to_thread(face_gallery.versions, self._config)
        older = [each for each in stored if not each.in_use]
        spare = len(older) - (self._rules.kept_versions - 1)
        # of an unfinished version nobody knows whom it holds
        unfinished = {each.version for each in older if not each.complete} if erased else set()
        holds = {each.version: await self._held(each.version) for each in stored if each.complete}
        dropped = tuple(
            each.version
            for number, each in enumerate(older)
            if number < spare
            or each.version in unfinished
            or erased & {person for person, _ in holds.get(each.version, ())}
        )
        await asyncio.to_thread(face_gallery.remove, self._config, dropped)
        kept = {key for version, held in holds.items() if version not in dropped for _, key in held}
        # also what a run that broke off has left; a run at work has put its pictures just now, and names them later
        before = datetime.now(UTC) - (timedelta() if erased else UNFINISHED)
        left = [e.key async for e in self._objects.walk(PICTURES) if e.key not in kept and e.changed_at <= before]
        gone = {key for version in dropped for _, key in holds.get(version, ())} - kept
        for key in sorted(gone.union(left)):
            await self._objects.delete(key)
        return dropped

    async def _held(self, version: str) -> set[tuple[str, str]]:
        rows = await asyncio.to_thread(face_gallery.rows, self._config, version)
        return {(row.person, row.picture.key) for row in rows}
