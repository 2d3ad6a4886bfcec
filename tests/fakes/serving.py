"""A whole HTTP service on parts in memory, and records to fill it with."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np

from features.last_plays import LastPlays
from features.ports import FeatureRow, Hit, StoredObject, VectorRow
from processors.runtime.processor import Emit
from processors.runtime.settings import Settings, UploadLimits
from processors.serving.app import create_app
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from processors.serving.gate import Gate
from processors.serving.metrics import ServiceMetrics
from processors.serving.parts import ServiceParts
from processors.serving.review.parts import ReviewParts, weights_of
from processors.serving.review.view import CaseView
from processors.serving.status_view import FollowedStatus
from schemas.codec import Codec
from schemas.common import ObjectRef
from schemas.errors import BadMediaError, UnavailableError
from schemas.interaction import ExposuresCounted
from schemas.item import ItemChanged
from schemas.media import MediaStatus
from schemas.play import SongCounted
from schemas.recommendation import ListServed
from schemas.record import Record
from schemas.review import ReviewCase
from schemas.topics import ALL, EXPOSURES_COUNTED, ITEM_CHANGED, MEDIA_STATUS, REVIEW_CASE, SONG_COUNTED
from tests.fakes.leases import MemoryLeases

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
DIM = 4
VERSION = "joint-1"


class MemoryPublisher:
    """Keeps what was published; ``away`` refuses everything."""

    def __init__(self) -> None:
        self.events: list[Emit] = []
        self.away = False

    async def publish(self, events: Iterable[Emit]) -> None:
        if self.away:
            raise UnavailableError("broker 10.1.2.3:9092 did not take a record", code="broker-unavailable")
        self.events.extend(events)


class MemoryObjects:
    """Objects in a dict, keys as the port says."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.largest_chunk = 0
        self.away = False

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        self.data[key] = data
        return ObjectRef(
            key=key, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), content_type=content_type
        )

    async def put_new(self, key: str, data: bytes) -> bool:
        if self.away:
            raise UnavailableError("disk /secret/place is gone", code="objects-unavailable")
        if key in self.data:
            return False
        self.data[key] = data
        return True

    async def put_stream(
        self, chunks: AsyncIterator[bytes], *, prefix: str, max_bytes: int, content_type: str
    ) -> ObjectRef:
        if self.away:
            raise UnavailableError("disk /secret/place is gone", code="objects-unavailable")
        data = bytearray()
        async for chunk in chunks:
            self.largest_chunk = max(self.largest_chunk, len(chunk))
            data += chunk
            if len(data) > max_bytes:
                raise BadMediaError(f"The file has more than {max_bytes} bytes.", code="upload-too-large")
        if not data:
            raise BadMediaError("The file is empty.", code="media-empty")
        digest = hashlib.sha256(data).hexdigest()
        return await self.put(f"{prefix}/{digest[:2]}/{digest}", bytes(data), content_type)

    async def get(self, key: str) -> bytes:
        return self.data[key]

    async def open_file(self, ref: ObjectRef) -> object:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        self.data.pop(key, None)

    async def move(self, key: str, target: str) -> None:
        self.data[target] = self.data.pop(key)

    async def walk(self, folder: str = "") -> AsyncIterator[StoredObject]:
        for key, data in sorted(self.data.items()):
            if key.startswith(f"{folder}/" if folder else ""):
                yield StoredObject(key, len(data), NOW)


class MemoryFeatures:
    """Feature rows by view and entity."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], FeatureRow] = {}
        self.away = False

    async def read(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]:
        if self.away:
            raise UnavailableError("redis 10.1.2.4 is away", code="redis-unavailable")
        return [self.rows.get((view, entity)) for entity in entity_ids]

    def taste(self, user: str, vector: Sequence[float], recent: Sequence[str] = (), version: str = VERSION) -> None:
        values = {
            "vector": np.asarray(vector, np.float32),
            "vector_version": version,
            "plays": 3,
            "last_plays": LastPlays.of(list(reversed(recent)), [1.0] * len(recent), [0] * len(recent)).packed(),
        }
        self.rows["user_taste_v1", user] = FeatureRow(user, NOW, values)


class MemoryVectors:
    """Vector rows by collection and id."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, VectorRow]] = {}

    async def upsert(self, collection: str, rows: Sequence[VectorRow]) -> None:
        self.rows.setdefault(collection, {}).update({row.id: row for row in rows})

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        for key in ids:
            self.rows.get(collection, {}).pop(key, None)

    async def fetch(self, collection: str, ids: Sequence[str]) -> dict[str, VectorRow]:
        rows = self.rows.get(collection, {})
        return {key: rows[key] for key in ids if key in rows}

    async def search(self, collection: str, vector: object, limit: int, where: str = "") -> list[Hit]:
        raise NotImplementedError


def numbered_codec() -> Codec:
    """A codec that knows every contract, ids 1, 2, 3 ..."""
    codec = Codec()
    contracts = dict.fromkeys(topic.record.CONTRACT for topic in ALL)
    for number, contract in enumerate(contracts, 1):
        codec.assign(contract, number)
    return codec


def no_registry(schema_id: int) -> str:
    raise UnavailableError(f"no registry to ask for {schema_id}")


@dataclass
class Service:
    """The parts, the application over them, and short ways to feed it."""

    settings: Settings = field(default_factory=Settings)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    features: MemoryFeatures = field(default_factory=MemoryFeatures)
    vectors: MemoryVectors = field(default_factory=MemoryVectors)
    metrics: ServiceMetrics = field(default_factory=ServiceMetrics)
    probes: dict = field(default_factory=dict)
    background: tuple = ()
    gate: Gate = field(default_factory=lambda: Gate(None))
    served: list[ListServed] = field(default_factory=list)
    dim: int = DIM

    def __post_init__(self) -> None:
        self.codec = numbered_codec()
        decoder = Decoder(self.codec, no_registry)
        self.status = FollowedStatus(decoder)
        refused = self.metrics.fallbacks.labels("vector-unusable").inc
        self.catalogue = CatalogueSnapshot(decoder, cold_plays=10, half_life_h=72.0, dim=self.dim, refused=refused)
        self.now = NOW
        self.cases = CaseView(decoder, weights_of(self.settings.review), lambda: self.now)
        self.leases = MemoryLeases(lambda: self.now)
        self.parts = ServiceParts(
            settings=self.settings,
            gate=self.gate,
            publisher=self.publisher,
            objects=self.objects,
            features=self.features,
            vectors=self.vectors,
            status=self.status,
            catalogue=self.catalogue,
            metrics=self.metrics,
            review=ReviewParts(self.cases, self.leases),
            served=self.served.append,
            probes=self.probes,
            background=self.background,
            now=lambda: self.now,
        )
        self.app = create_app(self.parts)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service")

    def tell(self, record: Record) -> None:
        """Apply a record as a follower would."""
        value = self.codec.encode(record)
        match record:
            case ItemChanged():
                self.catalogue.apply(ITEM_CHANGED.name, record.item_id, value)
            case ExposuresCounted():
                self.catalogue.apply(EXPOSURES_COUNTED.name, record.item_id, value)
            case SongCounted():
                self.catalogue.apply(SONG_COUNTED.name, record.song_id, value)
            case ReviewCase():
                self.cases.apply(REVIEW_CASE.name, record.review_id, value)
            case MediaStatus():
                self.status.apply(MEDIA_STATUS.name, record.media_id, value)
            case _:
                raise TypeError(type(record))


def small_limits(**changes: int) -> Settings:
    return Settings(limits=UploadLimits(**changes))


def item(item_id: str, vector: Sequence[float] = (1, 0, 0, 0), **changes) -> ItemChanged:
    """A published item; ``vector`` is brought to unit length."""
    array = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(array)) or 1.0
    at = changes.pop("at", NOW - timedelta(hours=1))
    known = {
        "event_id": f"e-{item_id}",
        "occurred_at": at,
        "changed_at": at,
        "item_id": item_id,
        "kind": "video",
        "change": "published",
        "seq": 1,
        "uploader": "uploader",
        "vector": tuple(float(v) for v in array / length),
        "vector_version": VERSION,
    }
    return ItemChanged(**(known | changes))


def counted(song_id: str, plays: int, partition: int = 0, offset: int = 1, **changes) -> SongCounted:
    known = {
        "song_id": song_id,
        "source_partition": partition,
        "plays": plays,
        "completions": plays // 2,
        "played_ms": plays * 1000,
        "decayed_plays": float(plays),
        "last_played_at": NOW,
        "applied_offset": offset,
    }
    return SongCounted(**(known | changes))


def shown(item_id: str, exposures: int, partition: int = 0, offset: int = 1) -> ExposuresCounted:
    return ExposuresCounted(item_id=item_id, source_partition=partition, exposures=exposures, applied_offset=offset)


def media_status(media_id: str, state: str = "processing", seq: int = 1, **changes) -> MediaStatus:
    known = {
        "media_id": media_id,
        "kind": "video",
        "uploader": "u-1",
        "state": state,
        "seq": seq,
        "accepted_at": NOW,
        "changed_at": NOW,
    }
    return MediaStatus(**(known | changes))
