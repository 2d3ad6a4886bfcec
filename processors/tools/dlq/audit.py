"""What was done with dead letters: the log ``pipeline.letter.handled.v1``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from confluent_kafka import Message

from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import read_topic
from processors.tools.dlq.letters import DeadLetter, Place
from schemas.codec import Codec, UnknownSchemaError
from schemas.ids import stable_id
from schemas.pipeline import LetterAction, LetterHandled
from schemas.topics import LETTER_HANDLED

State = Literal["open", "replayed", "purged"]


@dataclass
class Audit:
    """The log by letter.

    Attributes:
        by_place: Place of a letter as text -> what was done with it, oldest first.
    """

    by_place: dict[str, list[LetterHandled]] = field(default_factory=dict)
    _replays: dict[tuple[str, str], list[LetterHandled]] = field(default_factory=dict)

    def add(self, handled: LetterHandled) -> None:
        """Take the next record."""
        self.by_place.setdefault(handled.place, []).append(handled)
        if handled.action == "replayed":
            for event in {handled.origin, handled.sent_to} - {""}:
                self._replays.setdefault((handled.capability, event), []).append(handled)

    def of(self, letter: DeadLetter) -> Sequence[LetterHandled]:
        """What was done with a letter, oldest first."""
        return self.by_place.get(str(letter.place), ())

    def state(self, letter: DeadLetter) -> State:
        """What became of a letter; purged is final."""
        if self.is_purged(letter.place):
            return "purged"
        return "replayed" if self.times(letter, "replayed") else "open"

    def is_purged(self, place: Place) -> bool:
        """Whether the letter at a place was put away."""
        return any(handled.action == "purged" for handled in self.by_place.get(str(place), ()))

    def times(self, letter: DeadLetter, action: LetterAction) -> int:
        """How often something was done with it."""
        return sum(handled.action == action for handled in self.of(letter))

    def replay_of(self, letter: DeadLetter) -> LetterHandled | None:
        """The replay after which the event was given up again and became this letter; None if there was none.

        The event is known by where it came from: a replay keeps its origin, or has given it a new one.
        """
        earlier = [
            handled
            for handled in self._replays.get((letter.capability, letter.origin_text), ())
            if handled.occurred_at <= letter.given_up and handled.place != str(letter.place)
        ]
        return earlier[-1] if earlier else None


def read(kafka: Kafka, registry: SchemaRegistry) -> Audit:
    """The whole log.

    Raises:
        UnavailableError: broker or registry does not answer, or the topic was not made yet.
        BadEventError: a record of it does not decode.
    """
    audit, codec = Audit(), Codec()

    def take(message: Message) -> None:
        try:
            handled = codec.decode(message.value(), LetterHandled)
        except UnknownSchemaError as unknown:
            codec.learn(unknown.schema_id, registry.fetch(unknown.schema_id))
            handled = codec.decode(message.value(), LetterHandled)
        audit.add(handled)

    read_topic(kafka, LETTER_HANDLED.name, take)
    return audit


@dataclass(frozen=True)
class Run:
    """One run of a command that handles letters.

    Attributes:
        run_id: UUID of the run.
        by: Who ran it.
        reason: Why; may be empty.
        letters: Letters chosen.
    """

    run_id: str
    by: str
    reason: str
    letters: int

    def handled(
        self, letter: DeadLetter, action: LetterAction, times: int, at: datetime, sent_to: Place | None = None
    ) -> LetterHandled:
        """The record of what was done with a letter."""
        return LetterHandled(
            event_id=stable_id("letter-handled", str(letter.place), action, str(times)),
            occurred_at=at,
            place=str(letter.place),
            capability=letter.capability,
            code=letter.code,
            origin=letter.origin_text,
            action=action,
            times=times,
            sent_to="" if sent_to is None else str(sent_to),
            run_id=self.run_id,
            run_letters=self.letters,
            by=self.by,
            reason=self.reason,
        )
