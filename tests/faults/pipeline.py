"""The upload path in memory: the real capabilities and runners on fakes that can die after any side effect.

A crash ends one capability's process: its memory is gone, what it had written stays, and its event is read again, as
the transport does. Side effects are objects, vectors, features, records sent and starts counted.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson

from features.ownership import avatar_key, avatar_receipts, claim, file_key
from features.views import ITEM_CONTENT
from models.content_moderation import Rules
from models.media.analysis import Analysis
from models.media.facts import EmbeddedText, Facts, complete
from processors.catalogue import BY_NAME
from processors.runtime.offload import Inline
from processors.runtime.processor import Capability
from processors.runtime.publisher import Outgoing
from processors.runtime.runner import Runner
from processors.runtime.state import PartitionState
from schemas import topics
from schemas.common import ObjectRef
from schemas.item import ItemChanged, ItemIndexed
from schemas.media import MediaStatus, MediaWithdrawn
from schemas.record import Record
from schemas.upload import UploadCreated
from schemas.user import UserErased
from tests.fakes.features import MemoryAttempts, MemoryFeatures, MemoryObjects, MemoryVectors
from tests.fakes.runtime import KafkaRecord, codec
from tests.faults import skills

AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NAMES = (
    "media_analysis",
    "content_moderation",
    "content_embedding",
    "content_classification",
    "item_publication",
    "item_indexing",
    "media_erasure",
    "user_erasure",
)
MOST_STEPS = 1000


class Crash(BaseException):
    """The process is dead: nothing of ours may catch this."""


class Fuse:
    """Counts side effects of one capability and kills its process right after the chosen one."""

    def __init__(self, capability: str = "", after: int = 0) -> None:
        self.capability, self.after = capability, after
        self.counts: dict[str, int] = defaultdict(int)
        self.dead = ""

    def before(self, capability: str) -> None:
        """A dead process does nothing more."""
        if self.dead == capability:
            raise Crash

    def done(self, capability: str) -> None:
        """One more side effect has happened."""
        self.counts[capability] += 1
        if capability == self.capability and self.counts[capability] == self.after:
            self.dead = capability
            raise Crash


class Watched:
    """A port whose methods count as side effects."""

    def __init__(self, port: Any, methods: set[str], fuse: Fuse, capability: str) -> None:
        self._port, self._methods, self._fuse, self._capability = port, methods, fuse, capability

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._methods:
            return method

        async def watched(*args: Any, **kwargs: Any) -> Any:
            self._fuse.before(self._capability)
            answer = await method(*args, **kwargs)
            self._fuse.done(self._capability)
            return answer

        return watched


class WatchedSender(Watched):
    """Each record of many is a side effect of its own."""

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            await self.send(*record)


class Analyser:
    """Says of every file that it is a picture of one grey frame."""

    def analyse(self, fd: int, kind: str, *, size: int) -> Analysis:
        arrays = complete({"frames": np.full((1, 8, 8, 3), size % 256, np.uint8)})
        return Analysis(Facts(kind="picture", container="jpeg", has_video=True), arrays, EmbeddedText())


class LoggedState:
    """State that is read from its topic's log, as a new process finds it."""

    def __init__(self, log: list[KafkaRecord], decode: Any) -> None:
        self._state: PartitionState[Any] = PartitionState(decode)
        for record in log:
            self._state.put((record.key or b"").decode(), record.value)

    async def partition(self, number: int) -> PartitionState[Any]:
        return self._state

    def forget(self, keep: Any = ()) -> None:
        raise AssertionError("there is one worker only")


class Pipeline:
    """All capabilities of the upload path, one event at a time in a fixed order."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.codec = codec()
        self.objects, self.vectors, self.features = MemoryObjects(), MemoryVectors(), MemoryFeatures()
        self.attempts = MemoryAttempts()
        self.logs: dict[str, list[KafkaRecord]] = defaultdict(list)
        self.deaths = 0
        self._inbox: dict[str, list[KafkaRecord]] = defaultdict(list)
        self._runners = {name: self._runner(BY_NAME[name]) for name in NAMES}

    async def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Any = (), partition: int | None = None
    ) -> tuple[int, int]:
        """The broker: keeps a record and gives it to all that read its topic."""
        log = self.logs[topic]
        record = KafkaRecord(topic, value, key, 0, len(log), list(headers))
        log.append(record)
        for name in NAMES:
            capability = BY_NAME[name]
            if topic in {t.name for t in capability.consumes} | {n for n, _ in capability.retry_topics}:
                self._inbox[name].append(record)
        return 0, record.offset

    async def upload(
        self, media_id: str, kind: str = "post", data: bytes = b"", text: str = "words", uploader: str = "ada"
    ) -> None:
        """Accept an upload."""
        await claim(self.objects, uploader, media_id, AT)
        await self.objects.put_new(f"receipts/{media_id}.json", orjson.dumps({"uploader": uploader}))
        ref: ObjectRef | None = None
        if data:
            ref = await self.objects.put(file_key(media_id, "hash"), data, "image/jpeg")
        event = UploadCreated(
            event_id=f"u-{media_id}",
            occurred_at=AT,
            media_id=media_id,
            kind=kind,
            uploader=uploader,
            object=ref,
            title="Harbour",
            text=text,
        )
        topic = topics.UPLOAD_BY_KIND[kind]
        await self.send(topic.name, media_id.encode(), self.codec.encode(event))

    async def withdraw(self, media_id: str) -> None:
        """Take an upload away."""
        event = MediaWithdrawn(event_id=f"w-{media_id}", occurred_at=AT, media_id=media_id, requested_by="ada")
        await self.send(topics.MEDIA_WITHDRAWN.name, media_id.encode(), self.codec.encode(event))

    async def avatar(self, user: str) -> None:
        """Store an avatar, as the service does when it accepts one."""
        await self.objects.put(avatar_key(user, "a1", "hash"), b"face", "image/jpeg")
        receipt = orjson.dumps({"event_id": "a1", "occurred_at": AT})
        await self.objects.put_new(f"{avatar_receipts(user)}/a1.json", receipt)

    async def erase(self, user: str) -> None:
        """Forget a user."""
        event = UserErased(event_id=f"e-{user}", occurred_at=AT, user_id=user, requested_by="operator")
        await self.send(topics.USER_ERASED.name, user.encode(), self.codec.encode(event))

    async def media_of(self, user: str, until: datetime) -> set[str]:
        """What the topics know of a user's uploads."""
        uploads = [self.codec.decode(r.value, t.record) for t in topics.UPLOADS for r in self.logs[t.name]]
        return {u.media_id for u in uploads if u.uploader == user and u.occurred_at <= until}

    async def run(self) -> None:
        """Until nobody has anything to do."""
        for _ in range(MOST_STEPS):
            name = next((n for n in NAMES if self._inbox[n]), None)
            if name is None:
                return
            await self._step(name)
        raise AssertionError("it never comes to rest")

    async def _step(self, name: str) -> None:
        inbox, runner = self._inbox[name], self._runners[name]
        try:
            if BY_NAME[name].batch:
                taken = list(inbox)
                await runner.handle_batch(taken)
            else:
                taken = inbox[:1]
                await runner.handle(taken[0])
        except Crash:
            self.deaths += 1
            self.fuse.dead = ""
            self._runners[name] = self._runner(BY_NAME[name])
            return
        del inbox[: len(taken)]

    def _runner(self, capability: Capability) -> Runner:
        def watched(port: Any, *methods: str) -> Any:
            return Watched(port, set(methods), self.fuse, capability.name)

        needs = {
            "objects": watched(self.objects, "put", "put_new", "put_stream", "delete"),
            "vector_index": watched(self.vectors, "upsert", "delete"),
            "feature_writer": watched(self.features, "push", "delete"),
            "analyser": Analyser(),
            "judges": skills.judges(),
            "gallery": skills.Gallery(),
            "moderation_rules": Rules(),
            "encoders": skills.encoders(),
            "classifier": skills.Classes(),
            "offload": Inline(),
            "upload_log": self,
            "erasure_settle": timedelta(0),
        }
        state: Any = None
        if capability.state is not None:
            record = capability.state.record
            state = LoggedState(self.logs[capability.state.name], lambda value: self.codec.decode(value, record))
        return Runner(
            capability,
            sender=WatchedSender(self, {"send"}, self.fuse, capability.name),
            codec=self.codec,
            fetch_schema=lambda _id: "",
            attempts=watched(self.attempts, "begin", "finish"),
            needs=needs,
            state=state,
        )

    def outcome(self) -> dict[str, Any]:
        """What is left at the end, without clocks and without how often something was said."""
        statuses, changes = self._newest(topics.MEDIA_STATUS), self._newest(topics.ITEM_CHANGED)
        indexed = self._newest(topics.ITEM_INDEXED)
        self._require_agreement(statuses, changes, indexed)
        return {
            "statuses": {i: _status(s) for i, s in statuses.items()},
            "changes": {i: dataclasses.replace(c, seq=0, changed_at=AT, event_id="") for i, c in changes.items()},
            "indexed": {i: (x.change, x.collections) for i, x in indexed.items()},
            "objects": self.objects.data,
            "vectors": {c: {i: r.vector.tolist() for i, r in rows.items()} for c, rows in self.vectors.rows.items()},
            "features": {i: str(r.values) for (_, i), r in self.features.rows.items()},
            "letters": {(n, r.key) for n in NAMES for r in self.logs[BY_NAME[n].dead_letter_topic]},
            "open starts": dict(self.attempts.starts),
        }

    def _newest(self, topic: topics.Topic) -> dict[str, Any]:
        found: dict[str, Record] = {}
        for each in self.logs[topic.name]:
            found[(each.key or b"").decode()] = self.codec.decode(each.value, topic.record)
        return found

    def _require_agreement(
        self, statuses: dict[str, MediaStatus], changes: dict[str, ItemChanged], indexed: dict[str, ItemIndexed]
    ) -> None:
        for item, change in changes.items():
            assert change.seq == statuses[item].seq == indexed[item].seq
            if change.change == "published":
                assert self.features.rows[ITEM_CONTENT.name, item].at == change.changed_at
                seqs = {r[item].scalars["seq"] for r in self.vectors.rows.values() if item in r}
                assert seqs == {change.seq}


def _status(status: MediaStatus) -> MediaStatus:
    timeline = tuple(sorted((dataclasses.replace(t, at=AT) for t in status.timeline), key=lambda t: (t.stage, t.state)))
    return dataclasses.replace(status, seq=0, changed_at=AT, timeline=timeline)
