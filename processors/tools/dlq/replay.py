"""Sends dead letters back to the capability that gave them up.

Only that capability may see an event again. So the untouched bytes go to its first retry topic, into the partition of
their origin (state lies by partition), with the origin in the headers and no attempt counted yet.

A batched capability with a state goes by offsets: it has moved past the one of the letter and would take the event
for one it has counted. Its letters go to the end of their origin's partition, where they are new, and are known by
their event id. Never so on a compacted topic: an old value put at its end would undo the newest.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from features.ports import AttemptLog
from processors.runtime.letters import CARRIED
from processors.runtime.processor import Capability
from processors.runtime.publisher import Sender
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Kafka
from processors.tools.dlq import audit as audit_log
from processors.tools.dlq import fences, reading
from processors.tools.dlq.audit import Audit, Run
from processors.tools.dlq.fences import Subject
from processors.tools.dlq.letters import DeadLetter, Place
from processors.tools.dlq.reading import Stored
from processors.tools.dlq.selection import Selection
from processors.tools.dlq.values import Decoder
from schemas.codec import Codec
from schemas.topics import BY_NAME, LETTER_HANDLED

CHUNK = 100
"""Most letters on their way at a time; the most that a killed run sends without having noted it."""
REPLAY_HEADER = "x-replay-of"
STORY = ("x-origin-topic", "x-origin-partition", "x-origin-offset", "x-first-seen-ms")


@dataclass(frozen=True)
class Planned:
    """A letter and where it will go.

    Attributes:
        letter: The letter.
        capability: Who gets it.
        topic: Topic it is sent to; the partition is that of its origin.
        times: How often it will have been replayed.
    """

    letter: DeadLetter
    capability: Capability
    topic: str
    times: int

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Headers of the record sent: on a retry topic the worker reads its story there."""
        carried = [(name, value) for name, value in self.letter.headers if name in CARRIED]
        carried.append((REPLAY_HEADER, str(self.letter.place).encode()))
        if self.topic == self.letter.origin_topic:
            return carried
        story = [(name, value) for name, value in self.letter.headers if name in STORY]
        return [*story, ("x-attempt", b"0"), *carried]


@dataclass(frozen=True)
class Refused:
    """A letter that is not replayed.

    Attributes:
        letter: The letter.
        code: Stable identifier of the reason.
        reason: A sentence.
    """

    letter: DeadLetter
    code: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a replay will do.

    Attributes:
        planned: Letters to send, oldest first.
        refused: Letters of the selection that are not sent.
        missing: Places at which no letter lies any more.
    """

    planned: tuple[Planned, ...]
    refused: tuple[Refused, ...]
    missing: tuple[Place, ...]


def plan(
    kafka: Kafka,
    registry: SchemaRegistry,
    capabilities: Sequence[Capability],
    selection: Selection,
    *,
    again: bool = False,
) -> Plan:
    """Choose the letters of a selection that may be replayed. Its limit counts those.

    Args:
        kafka: The broker.
        registry: The schema registry.
        capabilities: Those of the catalogue.
        selection: Filters.
        again: Whether letters that were replayed before are sent too.

    Raises:
        SelectionInvalidError: the selection names what is not there.
        UnavailableError: broker or registry does not answer.
    """
    audit, decoder = audit_log.read(kafka, registry), Decoder(registry)
    about: dict[Place, Subject] = {}

    def take(stored: Stored) -> None:
        about[stored.letter.place] = fences.subject_of(stored, decoder)

    letters = reading.scan(kafka, selection, capabilities, take=take)
    fenced = fences.read(kafka, decoder, about.values())
    planned: list[Planned] = []
    refused: list[Refused] = []
    for letter in letters:
        if selection.limit is not None and len(planned) >= selection.limit:
            break
        if refusal := fenced.refusal(about[letter.place]):
            refused.append(Refused(letter, *refusal))
            continue
        step = _handled(letter, audit, again=again) or destination(letter, capabilities)
        if isinstance(step, Refused):
            refused.append(step)
        else:
            capability, topic = step
            planned.append(Planned(letter, capability, topic, audit.times(letter, "replayed") + 1))
    missing = sorted(set(selection.places) - {letter.place for letter in letters})
    return Plan(tuple(planned), tuple(refused), tuple(missing))


def destination(letter: DeadLetter, capabilities: Sequence[Capability]) -> Refused | tuple[Capability, str]:
    """The capability that gave a letter up, and the topic by which only it gets the event again."""
    capability = next((c for c in capabilities if c.dead_letter_topic == letter.place.topic), None)
    if capability is None:
        name = letter.capability or letter.place.topic
        return Refused(letter, "capability-unknown", f"no capability {name} in the catalogue")
    if letter.origin is None:
        return Refused(letter, "origin-unknown", "its headers do not say where it came from")
    origin = letter.origin.topic
    if origin not in BY_NAME:
        return Refused(letter, "topic-unknown", f"no topic {origin} in the catalogue")
    if origin not in {topic.name for topic in capability.consumes}:
        return Refused(letter, "topic-unread", f"{capability.name} does not read {origin} any more")
    if not _goes_by_offset(capability, origin):
        if not capability.retry_topics:
            return Refused(letter, "no-retry-topic", f"{capability.name} has no retry topic")
        return capability, capability.retry_topics[0][0]
    others = [c.name for c in capabilities if c != capability and origin in {t.name for t in c.consumes}]
    if others:
        return Refused(letter, "topic-shared", f"{origin} is read by {', '.join(others)} too")
    return capability, origin


def _goes_by_offset(capability: Capability, origin: str) -> bool:
    return capability.batch and capability.state is not None and not BY_NAME[origin].compacted


def _handled(letter: DeadLetter, audit: Audit, *, again: bool) -> Refused | None:
    state = audit.state(letter)
    if state == "purged":
        return Refused(letter, "purged", "it was purged")
    if state == "replayed" and not again:
        last = audit.of(letter)[-1]
        text = f"{last.by} replayed it at {last.occurred_at:%Y-%m-%d %H:%M:%S} UTC; --again repeats that"
        return Refused(letter, "replayed", text)
    return None


class Replayer:
    """Carries a plan out."""

    def __init__(self, kafka: Kafka, sender: Sender, codec: Codec, attempts: AttemptLog) -> None:
        """
        Args:
            kafka: The broker, to read the letters' values.
            sender: Publishes bytes and waits for the ack.
            codec: Encodes the audit records.
            attempts: The workers' counts of starts, which begin anew.
        """
        self._kafka = kafka
        self._sender = sender
        self._codec = codec
        self._attempts = attempts

    async def run(
        self,
        chosen: Plan,
        *,
        by: str,
        reason: str,
        rate: float,
        sent: Callable[[Planned, Place], None] = lambda *_: None,
    ) -> int:
        """Send every letter planned and note it once the broker has it; how many were sent.

        Killed between the two, a letter is noted as never replayed: the next run sends it again, and
        workers take an event twice without harm.

        Args:
            chosen: The plan.
            by: Who does this, for the audit record.
            reason: Why; may be empty.
            rate: Most letters a second.
            sent: Called with each letter when it is sent and noted.

        Raises:
            UnavailableError: the broker or Redis did not answer; what was sent until then is noted.
        """
        run = Run(str(uuid.uuid4()), by, reason, len(chosen.planned))
        started, total = time.monotonic(), 0
        size = max(1, min(CHUNK, int(rate)))
        for first in range(0, len(chosen.planned), size):
            await asyncio.sleep(max(0.0, started + first / rate - time.monotonic()))
            chunk = chosen.planned[first : first + size]
            stored = await asyncio.to_thread(reading.fetch, self._kafka, [each.letter.place for each in chunk])
            there = [(each, found) for each in chunk if (found := stored.get(each.letter.place))]
            outcomes = await asyncio.gather(
                *[self._one(each, found.value, run) for each, found in there], return_exceptions=True
            )
            for (each, _), outcome in zip(there, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                sent(each, outcome)
                total += 1
        return total

    async def _one(self, each: Planned, value: bytes | None, run: Run) -> Place:
        at, origin = datetime.now(UTC), each.letter.origin_text
        for event in (origin, f"{origin}/batch"):
            await self._attempts.finish(each.capability.group, event)
        partition = each.letter.origin.partition if each.letter.origin else None
        number, offset = await self._sender.send(each.topic, each.letter.key, value, each.headers, partition)
        place = Place(each.topic, number, offset)
        handled = run.handled(each.letter, "replayed", each.times, at, place)
        await self._sender.send(LETTER_HANDLED.name, handled.place.encode(), self._codec.encode(handled))
        return place
