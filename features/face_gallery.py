"""The gallery of public figures in Milvus: one collection a version, never changed, behind an alias.

Every row carries the facts of its version, because Milvus Lite keeps no descriptions. A version is there only when it
has as many rows as its facts say: what a broken run left behind is made anew by the next. All of it blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import orjson
from pymilvus import MilvusClient

from features.checks import SCALAR_BYTES
from features.milvus_index import MilvusConfig, ensure_collection
from features.milvus_versions import TIMEOUT_S, client_of, drop, move_aliases, named
from features.ports import Vector
from features.views import Collection
from schemas.common import ObjectRef
from schemas.errors import AppError, UnavailableError

ALIAS = "face_gallery"
PICTURES = "gallery"
"""Folder of the small pictures in the object store; keys are ``gallery/<sha256>.webp``."""
PICTURE_TYPE = "image/webp"
Kind = Literal["centroid", "exemplar"]
_PREFIX = f"{ALIAS}_"
_BATCH = 2000
_PAGE = 8000
"""Rows read at once; a cluster takes 16,384."""
_FIELDS = ("id", "person", "kind", "source", "picture", "picture_bytes")


class GalleryError(AppError):
    """What was asked for does not fit the galleries that there are."""

    code = "gallery"
    http_status = 409


@dataclass(frozen=True, slots=True)
class GalleryFacts:
    """What is true of a version as a whole.

    Attributes:
        embedder: Version of the embedder of its vectors.
        dim: Length of its vectors.
        threshold: Likeness from which a face is taken for a person's, 0..1.
        false_accepts: Share of searches with a stranger's face that the threshold was chosen for.
        persons: Number of persons.
        rows: Number of rows.
        made_at_ms: When it was made, milliseconds since 1970, UTC.
    """

    embedder: str
    dim: int
    threshold: float
    false_accepts: float
    persons: int
    rows: int
    made_at_ms: int


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """One row.

    Attributes:
        id: Hexadecimal, unique within a version.
        person: Name of the person.
        kind: ``centroid``: the mean of the person's pictures; ``exemplar``: one of them.
        source: SHA-256 of the picture it was made of; of a centroid that of the nearest exemplar.
        picture: Where a small picture of the face lies.
    """

    id: str
    person: str
    kind: Kind
    source: str
    picture: ObjectRef


@dataclass(frozen=True, eq=False, slots=True)
class Gallery:
    """A whole version.

    Attributes:
        version: Twelve hexadecimal digits, from what is in it.
        facts: What is true of it as a whole.
        rows: Rows.
        vectors: float32 [R, D], of unit length, in the order of ``rows``.
    """

    version: str
    facts: GalleryFacts
    rows: tuple[GalleryRow, ...]
    vectors: Vector


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version as a list shows it.

    Attributes:
        version: Its name.
        facts: None if no row was written yet.
        complete: Whether all of it is there.
        in_use: Whether readers get it.
    """

    version: str
    facts: GalleryFacts | None
    complete: bool
    in_use: bool


def collection(version: str, dim: int = 0) -> Collection:
    """The collection of a version; ``dim`` is needed to make it."""
    scalars: dict[str, Literal["varchar", "int64"]] = {
        **dict.fromkeys(("person", "kind", "source", "picture", "facts"), "varchar"),
        "picture_bytes": "int64",
    }
    return Collection(ALIAS, f"{_PREFIX}{version}", dim, "", "Faces of public figures, one version.", scalars)


def versions(config: MilvusConfig) -> list[StoredVersion]:
    """Every version, the newest last; unfinished ones first.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    current = in_use(config)
    with client_of(config) as client:
        names = [name for name in client.list_collections(timeout=TIMEOUT_S) if name.startswith(_PREFIX)]
        found = [_stored(client, name.removeprefix(_PREFIX), current) for name in names]
    return sorted(found, key=lambda each: (0 if each.facts is None else each.facts.made_at_ms, each.version))


def in_use(config: MilvusConfig) -> str:
    """Version that readers get; empty for none.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    return named(config, [ALIAS])[ALIAS].removeprefix(_PREFIX)


def read(config: MilvusConfig, version: str) -> Gallery:
    """All rows of a version.

    Raises:
        GalleryError: there is no such version, or it is unfinished.
        UnavailableError: Milvus does not answer.
    """
    facts, found = _all(config, version, ["vector"])
    vectors = np.asarray([row["vector"] for row in found], np.float32)
    return Gallery(version, facts, tuple(_row(each) for each in found), vectors)


def rows(config: MilvusConfig, version: str) -> tuple[GalleryRow, ...]:
    """The same without the vectors, which are most of it.

    Raises:
        GalleryError, UnavailableError: see `read`.
    """
    return tuple(_row(each) for each in _all(config, version, [])[1])


def rows_there(config: MilvusConfig, version: str) -> tuple[GalleryRow, ...]:
    """The rows that are there of any version, an unfinished one too; none of one that was dropped meanwhile.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    name = collection(version).name
    with client_of(config) as client:
        if not client.has_collection(name, timeout=TIMEOUT_S):
            return ()
        # Lite forgets at a restart which collections were loaded
        client.load_collection(name, timeout=TIMEOUT_S)
        return tuple(_row(each) for each in _pages(client, name, []))


def write(config: MilvusConfig, gallery: Gallery) -> bool:
    """Store a version; the alias stays where it is. Whether it was not there yet.

    Raises:
        ValueError: a name of a person or an embedder that is too long.
        UnavailableError: Milvus does not answer.
    """
    facts = orjson.dumps(asdict(gallery.facts)).decode()
    for text in (facts, *(row.person for row in gallery.rows)):
        if len(text.encode()) > SCALAR_BYTES:
            raise ValueError(f"{text[:60]!r} is longer than {SCALAR_BYTES} bytes")
    declared = collection(gallery.version, gallery.facts.dim)
    data = [_data(row, vector, facts) for row, vector in zip(gallery.rows, gallery.vectors, strict=True)]
    with client_of(config) as client:
        if client.has_collection(declared.name, timeout=TIMEOUT_S):
            if _stored(client, gallery.version, "").complete:
                return False
            client.drop_collection(declared.name, timeout=TIMEOUT_S)
        ensure_collection(client, declared)
        for start in range(0, len(data), _BATCH):
            client.insert(declared.name, data[start : start + _BATCH], timeout=TIMEOUT_S)
        client.flush(declared.name, timeout=TIMEOUT_S)
        if not _stored(client, gallery.version, "").complete:
            raise UnavailableError(f"Milvus did not take all rows of {declared.name}", code="milvus-unavailable")
    return True


def use(config: MilvusConfig, version: str, before: str) -> None:
    """Let readers have a version.

    Args:
        config: The server.
        version: A finished version.
        before: Version in use when the change was begun; empty for none.

    Raises:
        GalleryError: another version came into use meanwhile, or this one is not there or unfinished.
        UnavailableError: Milvus does not answer.
    """
    if not any(each.version == version and each.complete for each in versions(config)):
        raise GalleryError(f"there is no finished gallery {version!r}; `overture gallery versions` lists them")
    _require_still(config, before)
    move_aliases(config, [collection(version)])


def use_none(config: MilvusConfig, before: str) -> None:
    """Take the version in use from readers; nobody is found from then on. It is still there.

    Args:
        config: The server.
        before: Version in use when the change was begun.

    Raises:
        GalleryError: another version came into use meanwhile.
        UnavailableError: Milvus does not answer.
    """
    _require_still(config, before)
    with client_of(config) as client:
        client.drop_alias(ALIAS, timeout=TIMEOUT_S)


def remove(config: MilvusConfig, unwanted: Sequence[str]) -> None:
    """Drop versions; none of them may be in use.

    Raises:
        UnavailableError: Milvus does not answer, or one is in use.
    """
    drop(config, [collection(version) for version in unwanted])


def _all(config: MilvusConfig, version: str, more: Sequence[str]) -> tuple[GalleryFacts, list[dict[str, Any]]]:
    name = collection(version).name
    with client_of(config) as client:
        stored = _stored(client, version, "") if client.has_collection(name, timeout=TIMEOUT_S) else None
        if stored is None or stored.facts is None or not stored.complete:
            raise GalleryError(f"there is no finished gallery {version!r}; `overture gallery versions` lists them")
        return stored.facts, _pages(client, name, more)


def _pages(client: MilvusClient, name: str, more: Sequence[str]) -> list[dict[str, Any]]:
    pages = client.query_iterator(
        name, batch_size=_PAGE, output_fields=[*_FIELDS, *more], timeout=TIMEOUT_S, consistency_level="Strong"
    )
    found: list[dict[str, Any]] = []
    while page := pages.next():
        found += page
    pages.close()
    return found


def _require_still(config: MilvusConfig, before: str) -> None:
    if (now := in_use(config)) != before:
        raise GalleryError(f"gallery {now} came into use meanwhile: give the command again")


def _stored(client: MilvusClient, version: str, current: str) -> StoredVersion:
    name = collection(version).name
    # Lite forgets at a restart which collections were loaded
    client.load_collection(name, timeout=TIMEOUT_S)

    def ask(*fields: str, **more: int) -> list[dict[str, Any]]:
        answer = client.query(
            name, output_fields=list(fields), timeout=TIMEOUT_S, consistency_level="Strong", filter="", **more
        )
        return [dict(each) for each in answer]

    [counted] = ask("count(*)")
    some = ask("facts", limit=1)
    facts = GalleryFacts(**orjson.loads(some[0]["facts"])) if some else None
    complete = facts is not None and int(counted["count(*)"]) == facts.rows
    return StoredVersion(version, facts, complete, version == current)


def _data(row: GalleryRow, vector: Vector, facts: str) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("id", "person", "kind", "source")},
        "vector": vector.tolist(),
        "picture": row.picture.key,
        "picture_bytes": row.picture.size_bytes,
        "facts": facts,
    }


def _row(stored: dict[str, Any]) -> GalleryRow:
    key = stored["picture"]
    digest = key.rpartition("/")[2].partition(".")[0]
    picture = ObjectRef(key=key, sha256=digest, size_bytes=stored["picture_bytes"], content_type=PICTURE_TYPE)
    return GalleryRow(stored["id"], stored["person"], stored["kind"], stored["source"], picture)
