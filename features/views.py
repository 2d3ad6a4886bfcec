"""Every feature view and vector collection, on one page, free of Feast and Milvus.

``feast_store`` and ``milvus_index`` turn these into their store's definitions; the read side uses the same
declarations, so the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

FieldType = Literal["int64", "float64", "string", "bytes", "float_vector", "string_list"]
ScalarType = Literal["varchar", "int64"]
SCALARS: Mapping[str, ScalarType] = {
    "kind": "varchar",
    "language": "varchar",
    "uploader": "varchar",
    "published_at_ms": "int64",
    "seq": "int64",
    "vector_version": "varchar",
}
"""Filterable fields that every collection has beside ``id`` and ``vector``; readers of an alias may count on these."""


@dataclass(frozen=True)
class View:
    """One Feast feature view.

    Attributes:
        name: ``<entity>_<what>_v<N>``.
        entity: ``user`` or ``item``; the join key is ``<entity>_id``.
        fields: Field name -> type; a vector is one packed column.
        ttl: Age from which a row counts as missing (enforced by our reader).
        source: Topic the values come from.
        doc: One sentence.
    """

    name: str
    entity: Literal["user", "item"]
    fields: dict[str, FieldType]
    ttl: timedelta
    source: str
    doc: str

    @property
    def alias(self) -> str:
        """The name without its version: what readers ask for who want the version in use."""
        return self.name.rsplit("_v", 1)[0]

    @property
    def version(self) -> int:
        """The number at the end of the name."""
        return int(self.name.rsplit("_v", 1)[1])


@dataclass(frozen=True)
class Collection:
    """One Milvus collection behind an alias.

    Attributes:
        alias: Name that readers use.
        name: Versioned name of the real collection; writers use it, so that a moved alias moves no writer.
        dim: Length of its vectors.
        source: Topic its rows come from.
        doc: One sentence.
        scalars: Filterable fields beside ``id`` and ``vector``: those of `SCALARS` and perhaps more.
    """

    alias: str
    name: str
    dim: int
    source: str
    doc: str
    scalars: Mapping[str, ScalarType] = field(default_factory=lambda: SCALARS)


USER_TASTE = View(
    "user_taste_v1",
    "user",
    {
        "vector": "float_vector",
        "vector_version": "string",
        "plays": "int64",
        "completion_rate": "float64",
        "played_ms": "int64",
        "recent_items": "string_list",
        "recent_completions": "float_vector",
        "last_plays": "bytes",
    },
    timedelta(days=180),
    "play.song.played.v1",
    "What a user plays: counts, a recency-decayed mean of content vectors, and the last plays (`features.last_plays`; "
    "recent_items and recent_completions are of rows from before that, read and not written any more).",
)
ITEM_PLAYS = View(
    "item_plays_v1",
    "item",
    {
        "plays": "int64",
        "completion_rate": "float64",
        "played_ms": "int64",
        "decayed_plays": "float64",
    },
    timedelta(days=180),
    "play.song.counted.v1",
    "How much an item is played.",
)
ITEM_CONTENT = View(
    "item_content_v1",
    "item",
    {
        "vector": "float_vector",
        "vector_version": "string",
        "kind": "string",
        "uploader": "string",
        "title": "string",
        "labels": "string_list",
        "language": "string",
    },
    timedelta(days=3650),
    "item.catalogue.changed.v1",
    "What a published item is, from its content alone.",
)
ITEM_VECTOR = View(
    "item_vector_v1",
    "item",
    {"vector": "float_vector", "model_version": "string", "source": "string"},
    timedelta(days=3650),
    "item.vector.mapped.v1",
    "Where an item lies in the recommender's space.",
)
USER_PROFILE = View(
    "user_profile_v1",
    "user",
    {"birth_year": "int64", "gender": "string", "occupation": "string", "language": "string"},
    timedelta(days=3650),
    "user.profile.changed.v1",
    "What a user has told of himself.",
)
USER_AVATAR = View(
    "user_avatar_v1",
    "user",
    {
        "event_id": "string",
        "decision": "string",
        "decided_by": "string",
        "reasons": "string_list",
        "faces": "int64",
        "sharpness": "float64",
        "age_years": "float64",
        "female": "float64",
        "model_version": "string",
    },
    timedelta(days=3650),
    "user.avatar.settled.v1",
    "What became of a user's avatar; age_years and female only where they are allowed.",
)
VIEWS: dict[str, View] = {
    view.name: view for view in (USER_TASTE, USER_PROFILE, USER_AVATAR, ITEM_PLAYS, ITEM_CONTENT, ITEM_VECTOR)
}

CONTENT_JOINT = Collection(
    "content_joint", "content_joint_v1", 192, "item.catalogue.changed.v1", "Joint content vector of an item."
)
CONTENT_AUDIO = Collection(
    "content_audio", "content_audio_v1", 200, "item.catalogue.changed.v1", "musicnn vector of an item."
)
CONTENT_IMAGE = Collection(
    "content_image", "content_image_v1", 1280, "item.catalogue.changed.v1", "EfficientNet vector of an item."
)
CONTENT_TEXT = Collection(
    "content_text", "content_text_v1", 384, "item.catalogue.changed.v1", "e5 text vector of an item."
)
COLLECTIONS: dict[str, Collection] = {c.alias: c for c in (CONTENT_JOINT, CONTENT_AUDIO, CONTENT_IMAGE, CONTENT_TEXT)}
"""By alias: the version that a new installation starts with."""
COLLECTION_VERSIONS: dict[str, Collection] = {c.name: c for c in COLLECTIONS.values()}
"""By name: every version there is. A new version of a view stands in `VIEWS` beside the old one."""

RECOMMENDER_ITEMS = "recommender_items"
"""Alias of the collection that belongs to the recommender in use."""
RECOMMENDER_DIM = 64


def recommender_items(version: str) -> Collection:
    """The collection that belongs to one version of the recommender; made and filled when it is published."""
    return Collection(
        RECOMMENDER_ITEMS,
        f"{RECOMMENDER_ITEMS}_{version.replace('-', '_')}",
        RECOMMENDER_DIM,
        "item.vector.mapped.v1",
        f"Items in the space of recommender {version}.",
    )
