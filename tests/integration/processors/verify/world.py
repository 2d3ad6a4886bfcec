"""A system at rest, made by hand: what the workers would have left behind, written straight to topics and stores."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from confluent_kafka import Consumer, TopicPartition

from features.ports import FeatureRow, VectorRow
from features.views import COLLECTIONS, CONTENT_JOINT, ITEM_CONTENT
from processors.item_indexing import STORED_NAMES
from processors.item_publication import catalogue_change
from processors.runtime.kafka import reader_config
from processors.runtime.processor import Emit
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.tools.verify.rest import concerned
from schemas.common import ObjectRef, Reason
from schemas.item import ItemChanged, ItemIndexed
from schemas.media import MediaStatus, TimelineEntry
from schemas.pipeline import DeadLettered
from schemas.topics import DEAD_LETTERED, ITEM_CHANGED, ITEM_INDEXED, MEDIA_STATUS, POST_CREATED, dead_letter_name

AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ALIASES = ("content_joint", "content_text")
DEAD = dead_letter_name("media_analysis")


def media_id() -> str:
    return str(uuid.uuid4())


@dataclass
class World:
    """Writes uploads with their end, and the log of a client.

    Attributes:
        wiring: Real parts.
        log: Lines of the client's log.
        offset: Offset that the newest dead letter claims to come from; no two tests share any.
    """

    wiring: Wiring
    log: list[dict[str, Any]] = field(default_factory=list)
    offset: int = field(default_factory=lambda: random.randrange(10**12))

    @property
    def settings(self) -> Settings:
        return self.wiring.settings

    def write_log(self, path: Path) -> Path:
        path.write_text("".join(json.dumps(line) + "\n" for line in self.log))
        return path

    async def send(self, emits: Iterable[Emit]) -> None:
        await self.wiring.publisher.publish(emits)

    async def published(self, count: int = 1, *, states: Sequence[str] = ("received", "processing")) -> list[str]:
        """Uploads that are published, with everything that belongs to it."""
        ids = [media_id() for _ in range(count)]
        made = await asyncio.gather(*[self._status(each) for each in ids])
        await self.send(
            Emit(MEDIA_STATUS, s.media_id, dataclasses.replace(s, state=state, seq=n + 1, vector=(), vectors=None))
            for s in made
            for n, state in enumerate(states)
        )
        await self.send(Emit(MEDIA_STATUS, s.media_id, s) for s in made)
        changes = [c for s in made if (c := catalogue_change(s))]
        await self.send(Emit(ITEM_CHANGED, c.item_id, c) for c in changes)
        await self.index(changes)
        self.log += [{"media_id": each, "accepted_at": AT.isoformat(), "expected": "published"} for each in ids]
        return ids

    async def index(self, changes: Sequence[ItemChanged]) -> None:
        await self.send(Emit(ITEM_INDEXED, c.item_id, indexed(c)) for c in changes)
        rows = [FeatureRow(c.item_id, c.changed_at, {"vector": np.asarray(c.vector, np.float32)}) for c in changes]
        await self.wiring.feature_writer.push(ITEM_CONTENT.name, rows)
        for alias in ALIASES:
            await self.wiring.vector_index.upsert(alias, [vector_row(alias, c.item_id, c.seq) for c in changes])

    async def ended(self, state: str, *, states: Sequence[str] = ("received",), expected: str | None = None) -> str:
        """An upload with another end; a failed one has its dead letter."""
        each = media_id()
        failure = TimelineEntry(
            stage="media_analysis", state="failed", at=AT, reasons=(Reason(code="bug", text="Something went wrong."),)
        )
        timeline = (failure,) if state == "failed" else ()
        last = dataclasses.replace(await self._status(each), state=state, timeline=timeline)
        before = [dataclasses.replace(last, state=s, seq=n + 1) for n, s in enumerate(states)]
        await self.send(Emit(MEDIA_STATUS, each, s) for s in [*before, last])
        if state == "failed":
            await self.dead_letter(each)
        self.log.append({"media_id": each, "accepted_at": AT.isoformat(), "expected": expected or state})
        return each

    async def dead_letter(self, each: str, *, letter: bool = True) -> None:
        self.offset += 1
        if letter:
            headers = {
                "x-origin-topic": POST_CREATED.name,
                "x-origin-partition": "0",
                "x-origin-offset": f"{self.offset}",
            }
            told = [(name, value.encode()) for name, value in headers.items()]
            await self.wiring.publisher.send(DEAD, each.encode(), b"value", told)
        notice = DeadLettered(
            event_id=media_id(),
            occurred_at=AT,
            capability="media_analysis",
            key=each,
            origin_topic=POST_CREATED.name,
            origin_partition=0,
            origin_offset=self.offset,
            dead_letter_topic=DEAD,
            attempts=2,
            code="bug",
            text="bug",
        )
        await self.send([Emit(DEAD_LETTERED, each, notice)])

    def rest(self) -> None:
        """Commit every group to the ends, as workers that have done all."""
        for capability in concerned():
            reader = Consumer(reader_config(self.settings.kafka, capability.group))
            names = [t.name for t in capability.consumes] + [name for name, _ in capability.retry_topics]
            places = []
            for name in names:
                for partition in reader.list_topics(name, timeout=10).topics[name].partitions:
                    _, high = reader.get_watermark_offsets(TopicPartition(name, partition), timeout=10)
                    places.append(TopicPartition(name, partition, high))
            reader.commit(offsets=places, asynchronous=False)
            reader.close()

    async def _status(self, each: str) -> MediaStatus:
        objects = self.wiring.objects
        upload = await objects.put(f"uploads/{each}", each.encode(), "text/plain")
        return status(each, upload, await self._vectors(each))

    async def _vectors(self, each: str) -> ObjectRef:
        arrays = {STORED_NAMES[a]: np.ones(COLLECTIONS[a].dim, np.float32) for a in ALIASES}
        # the id makes the bytes differ
        arrays["id"] = np.frombuffer(each.encode(), np.uint8)
        data = safetensors.numpy.save(arrays)
        return await self.wiring.objects.put(f"derived/items/{each}/e.safetensors", data, "x")


def status(each: str, upload: ObjectRef, vectors: ObjectRef) -> MediaStatus:
    """A published one."""
    steps = (("upload", "received"), ("media_analysis", "analysed"), ("content_moderation", "approve"))
    timeline = [TimelineEntry(stage=s, state=r, at=AT + timedelta(seconds=n)) for n, (s, r) in enumerate(steps)]
    timeline.append(TimelineEntry(stage="item_publication", state="published", at=AT + timedelta(seconds=3)))
    return MediaStatus(
        media_id=each,
        kind="post",
        uploader="u",
        state="published",
        seq=5,
        accepted_at=AT,
        changed_at=AT + timedelta(seconds=3),
        timeline=tuple(timeline),
        title="A title",
        object=upload,
        decision="approve",
        vectors=vectors,
        vector=tuple(unit(CONTENT_JOINT.dim).tolist()),
        vector_version="joint-v1",
    )


def indexed(change: ItemChanged) -> ItemIndexed:
    return ItemIndexed(
        event_id=media_id(),
        occurred_at=AT,
        produced_at=AT,
        item_id=change.item_id,
        change=change.change,
        seq=change.seq,
        collections=ALIASES if change.change == "published" else (),
    )


def vector_row(alias: str, each: str, seq: int) -> VectorRow:
    scalars = {"kind": "post", "language": "", "uploader": "u", "published_at_ms": 1, "seq": seq, "vector_version": "v"}
    return VectorRow(each, unit(COLLECTIONS[alias].dim), scalars)


def unit(dim: int) -> np.ndarray:
    return np.full(dim, 1 / np.sqrt(dim), np.float32)
