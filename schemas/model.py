"""Records of the domain ``model``.

Generated from ``schemas/avro/model/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import ObjectRef
from schemas.record import Record

PublishReason = Literal["unknown", "promoted", "rolled_back"]
"""Why it is the one to use."""


@dataclass(frozen=True, kw_only=True)
class ModelPublished(Record):
    """A version of a model is the one to use from now on; compacted, key = model name.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When it was published, UTC.
        name: Model, for example recommender.
        version: Version to use.
        previous: Version used before; null for the first.
        reason: Why.
        collection: Vector collection that belongs to this version; empty when it has none.
        manifest: Manifest: files with their hashes, data, measures.
        published_by: Operator or program.
    """

    CONTRACT: ClassVar[str] = "overture.model.ModelPublished"

    event_id: str
    occurred_at: datetime
    name: str
    version: str
    previous: str | None = None
    reason: PublishReason
    collection: str = ""
    manifest: ObjectRef
    published_by: str = ""
