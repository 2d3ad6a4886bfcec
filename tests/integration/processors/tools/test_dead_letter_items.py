"""What a replay does to an item, on a real broker, registry and Redis.

Workers here are their runners in this process, fed with the records of one key: no Faust, and what other tests left
in the topics does not matter.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from processors.content_moderation import content_moderation
from processors.item_publication import item_publication
from processors.runtime import topics_admin
from processors.runtime.kafka import client_config, reader_config
from processors.runtime.processor import Capability, Emit
from processors.runtime.runner import Runner
from processors.runtime.settings import Kafka, Settings
from processors.runtime.wiring import Wiring
from processors.tools.dlq import audit, purge, reading, replay
from processors.tools.dlq.letters import DeadLetter
from processors.tools.dlq.selection import Selection
from schemas import topics
from schemas.common import ObjectRef
from schemas.content import ContentEmbedded, ContentModerated
from schemas.errors import UnavailableError
from schemas.ids import stable_id
from schemas.item import Change, ItemChanged
from schemas.media import MediaAnalysed, MediaStatus, MediaWithdrawn
from schemas.upload import UploadCreated
from tests.fakes.runtime import KafkaRecord

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
ItemMaker = Callable[..., "Item"]
ACCEPTED = datetime.now(UTC) - timedelta(minutes=1)
VECTORS = ObjectRef(key="derived/x", sha256="bb", size_bytes=1, content_type="application/vnd.safetensors")
PUBLICATION_READS = (
    topics.POST_CREATED,
    topics.MEDIA_ANALYSED,
    topics.CONTENT_EMBEDDED,
    topics.CONTENT_MODERATED,
    topics.MEDIA_WITHDRAWN,
    topics.DEAD_LETTERED,
)


async def broken(_event: Any) -> list[Emit]:
    """A capability on a bad day."""
    raise RuntimeError("told to raise")


async def approve(event: MediaAnalysed) -> list[Emit]:
    """Moderation after the mending."""
    verdict = ContentModerated(
        event_id=stable_id("verdict", event.media_id),
        source_event_id=event.event_id,
        occurred_at=event.occurred_at,
        produced_at=datetime.now(UTC),
        media_id=event.media_id,
        decision="approve",
        model_version="1",
    )
    return [Emit(topics.CONTENT_MODERATED, event.media_id, verdict)]


class Dies:
    """A publisher whose process dies before it can note what it has sent."""

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher

    async def send(self, topic: str, *rest: Any) -> Any:
        if topic == topics.LETTER_HANDLED.name:
            raise UnavailableError("died")
        return await self._publisher.send(topic, *rest)


class Feed:
    """Records of one key, whatever topic they lie in, from its making on."""

    def __init__(self, kafka: Kafka, key: str, names: Iterable[str]) -> None:
        self._admin = AdminClient(client_config(kafka))
        self._reader = Consumer(reader_config(kafka, f"test-{uuid.uuid4()}"))
        self._key = key.encode()
        self._found: list[KafkaRecord] = []
        known = self._admin.list_topics(timeout=20).topics
        self._places = [TopicPartition(name, number) for name in set(names) for number in known[name].partitions]
        self._next = self._ends()
        self._reader.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])

    def read(self, name: str) -> list[KafkaRecord]:
        """Those of a topic so far, in order of arrival."""
        ends = self._ends()
        deadline = time.monotonic() + 60
        while any(self._next[place] < end for place, end in ends.items()):
            assert time.monotonic() < deadline
            for m in self._reader.consume(500, timeout=0.1):
                topic, number, offset = m.topic(), m.partition(), m.offset()
                self._next[topic, number] = offset + 1
                if m.key() == self._key:
                    self._found.append(KafkaRecord(topic, m.value(), m.key(), number, offset, m.headers() or ()))
        return [record for record in self._found if record.topic == name]

    def close(self) -> None:
        self._reader.close()

    @stamina.retry(on=KafkaException, timeout=30)
    def _ends(self) -> dict[tuple[str, int], int]:
        """Patient with topics that were just made."""
        asked = self._admin.list_offsets({place: OffsetSpec.latest() for place in self._places})
        return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}


class Item:
    """One key, and the capabilities that may work on it; the first is the one that fails."""

    def __init__(self, wiring: Wiring, *capabilities: Capability) -> None:
        self.wiring = wiring
        self.kafka = wiring.settings.kafka
        self.media_id = str(uuid.uuid4())
        self.capabilities = capabilities
        self._runners: dict[str, Runner] = {}
        self._seen: set[tuple[str, str, int, int]] = set()
        topics_admin.apply(self.kafka, wiring.registry, capabilities)
        retries = [name for c in capabilities for name, _ in c.retry_topics]
        read = [t.name for t in (*PUBLICATION_READS, topics.MEDIA_STATUS, topics.ITEM_CHANGED)]
        self._feed = Feed(self.kafka, self.media_id, [*read, *retries])

    def records(self, topic: str) -> list[KafkaRecord]:
        return self._feed.read(topic)

    def close(self) -> None:
        self._feed.close()

    async def work(self, capability: Capability, names: Sequence[str]) -> None:
        """Let a capability work on what is new for it in some topics; retries are due at once."""
        runner = self._runners.setdefault(capability.name, self.wiring.runner(capability))
        runner.capability = capability
        for record in [record for name in names for record in self.records(name)]:
            place = (capability.name, record.topic, record.partition, record.offset)
            if place not in self._seen:
                self._seen.add(place)
                await runner.handle(record)

    async def moderate(self, handler: Any) -> None:
        retry = content_moderation.retry_topics[0][0]
        moderation = dataclasses.replace(content_moderation, handler=handler)
        await self.work(moderation, [topics.MEDIA_ANALYSED.name])
        await self.work(moderation, [retry])

    async def join(self) -> MediaStatus:
        """Let item_publication work; the status after that."""
        await self.work(item_publication, [topic.name for topic in PUBLICATION_READS])
        newest = max(self.records(topics.MEDIA_STATUS.name), key=lambda r: r.offset)
        return self.wiring.codec.decode(newest.value, MediaStatus)

    async def publish(self, topic: topics.Topic, record: Any) -> None:
        await self.wiring.publisher.publish([Emit(topic, self.media_id, record)])

    async def arrive(self) -> None:
        """Everything but the verdict."""
        common: dict[str, Any] = {"occurred_at": ACCEPTED, "media_id": self.media_id, "kind": "post"}
        made = common | {"source_event_id": "u", "produced_at": ACCEPTED + timedelta(seconds=1)}
        await self.publish(topics.POST_CREATED, UploadCreated(event_id="u", uploader="ada", title="t", **common))
        analysed = MediaAnalysed(event_id="a", uploader="ada", analyser_version="1", **made)
        await self.publish(topics.MEDIA_ANALYSED, analysed)
        embedded = ContentEmbedded(
            event_id="e",
            has_audio=False,
            has_image=False,
            has_text=True,
            vector=(1.0, 0.0),
            vector_version="1",
            encoder_versions={},
            vectors=VECTORS,
            model_version="1",
            **made,
        )
        await self.publish(topics.CONTENT_EMBEDDED, embedded)

    def letters(self) -> list[DeadLetter]:
        selection = Selection(capability=self.capabilities[0].name, key=self.media_id)
        return reading.scan(self.kafka, selection, self.capabilities)

    def plan(self, *, again: bool = False) -> replay.Plan:
        selection = Selection(capability=self.capabilities[0].name, key=self.media_id)
        return replay.plan(self.kafka, self.wiring.registry, self.capabilities, selection, again=again)

    async def replay(self, plan: replay.Plan, sender: Any = None) -> int:
        sender = sender or self.wiring.publisher
        replayer = replay.Replayer(self.kafka, sender, self.wiring.codec, self.wiring.attempts)
        return await replayer.run(plan, by="ada", reason="", rate=1000)


@pytest.fixture
async def wiring(streams_settings: Settings) -> AsyncIterator[Wiring]:
    with closing(Wiring(streams_settings)) as made:
        yield made
        await made.redis.aclose()


@pytest.fixture
def item_of(wiring: Wiring) -> Iterator[ItemMaker]:
    made: list[Item] = []

    def make(*capabilities: Capability) -> Item:
        made.append(Item(wiring, *capabilities))
        return made[-1]

    yield make
    for item in made:
        item.close()


@pytest.mark.expects_errors
async def test_from_failed_over_a_replay_to_published_and_deleted(wiring: Wiring, item_of: ItemMaker) -> None:
    item = item_of(content_moderation, item_publication)
    await item.arrive()
    await item.moderate(broken)
    status = await item.join()
    assert (status.state, [r.code for r in status.reasons]) == ("failed", ["bug"])
    (letter,) = item.letters()

    # death between the sending and the noting: the next run sends it again, and that harms nobody
    with pytest.raises(UnavailableError, match="died"):
        await item.replay(item.plan(), Dies(wiring.publisher))
    assert await item.replay(item.plan()) == 1
    replayed = [r for r in item.records(content_moderation.retry_topics[0][0]) if dict(r.headers)["x-attempt"] == b"0"]
    assert len(replayed) == 2
    await item.moderate(approve)
    verdicts = [wiring.codec.decode(r.value, ContentModerated) for r in item.records(topics.CONTENT_MODERATED.name)]
    assert {v.event_id for v in verdicts} == {stable_id("verdict", item.media_id)}
    status = await item.join()
    assert (status.state, status.reasons) == ("published", ())
    assert item.letters() == [letter], "it stays where it is"

    refused = item.plan()
    assert (refused.planned, [r.code for r in refused.refused]) == ((), ["replayed"])
    assert await item.replay(item.plan(again=True)) == 1
    await item.moderate(approve)
    assert (await item.join()).state == "published"
    log = audit.read(item.kafka, wiring.registry).of(letter)
    assert [(h.action, h.times, h.by, h.run_letters) for h in log] == [
        ("replayed", 1, "ada", 1),
        ("replayed", 2, "ada", 1),
    ]
    assert log[0].run_id != log[1].run_id

    taken = MediaWithdrawn(event_id="w", occurred_at=datetime.now(UTC), media_id=item.media_id, requested_by="ada")
    await item.publish(topics.MEDIA_WITHDRAWN, taken)
    assert (await item.join()).state == "deleted"
    refused = item.plan(again=True)
    assert refused.planned == ()
    assert [(r.code, r.reason) for r in refused.refused] == [("deleted", f"{item.media_id} is deleted")]


@pytest.mark.expects_errors
async def test_a_withdrawal_given_up_is_sent_although_the_item_is_deleted(item_of: ItemMaker) -> None:
    """Refusing it would keep the item in the stores for ever."""
    indexing = dataclasses.replace(
        content_moderation, name="dlq_indexing", handler=broken, consumes=(topics.ITEM_CHANGED,)
    )
    item = item_of(indexing)
    status = MediaStatus(media_id=item.media_id, kind="post", state="deleted", seq=9, changed_at=ACCEPTED)
    await item.publish(topics.MEDIA_STATUS, status)
    changes: tuple[Change, ...] = ("published", "withdrawn")
    for seq, change in enumerate(changes):
        event = ItemChanged(
            event_id=change,
            occurred_at=ACCEPTED,
            changed_at=ACCEPTED,
            item_id=item.media_id,
            kind="post",
            change=change,
            seq=seq,
        )
        await item.publish(topics.ITEM_CHANGED, event)
    await item.work(indexing, [topics.ITEM_CHANGED.name])
    await item.work(indexing, [indexing.retry_topics[0][0]])
    published, withdrawn = item.letters()
    plan = item.plan()
    assert [(r.letter, r.code) for r in plan.refused] == [(published, "deleted")]
    assert [p.letter for p in plan.planned] == [withdrawn]


async def test_a_purge_that_was_killed_is_made_whole_by_the_next(wiring: Wiring, item_of: ItemMaker) -> None:
    """Noted, not cut: a later run cuts it, whatever that one is about."""
    purging = dataclasses.replace(content_moderation, name="dlq_purging")
    item = item_of(purging)
    await wiring.publisher.send(purging.dead_letter_topic, item.media_id.encode(), b"x")
    (letter,) = item.letters()
    noted = audit.Run("r", "ada", "", 1).handled(letter, "purged", 1, datetime.now(UTC))
    await wiring.publisher.send(topics.LETTER_HANDLED.name, noted.place.encode(), wiring.codec.encode(noted))
    assert purge.plan(item.kafka, wiring.registry, (purging,), Selection(capability="dlq_purging")) == []
    done = await purge.run(item.kafka, wiring.registry, wiring.publisher, wiring.codec, [], by="ada", reason="")
    assert (done.hidden, done.gone >= 1) == (0, True)
    assert item.letters() == []
