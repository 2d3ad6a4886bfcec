"""What a capability says about itself; no Faust here.

A capability is a plain ``async`` function and a declaration::

    @capability(consumes=(MEDIA_ANALYSED,), produces=(CONTENT_MODERATED,), weight="thread")
    async def content_moderation(event: MediaAnalysed, *, nsfw: NsfwScorer) -> list[Emit]:
        ...

The keyword parameters name what it needs; ``wiring.py`` gives them. It returns the events to publish; the
worker publishes them, waits for the broker's acks and only then lets the event go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from features.views import Collection, View
from schemas.record import Record
from schemas.topics import Topic, dead_letter_name, retry_name

R_co = TypeVar("R_co", bound=Record, covariant=True)
T = TypeVar("T")

Weight = Literal["inline", "thread", "process"]


@dataclass(frozen=True)
class Milestone:
    """A point in an upload's way that its uploader waits for; the worker measures how long it took.

    Attributes:
        name: For example ``published``.
        since: When the upload was accepted, UTC.
    """

    name: str
    since: datetime


@dataclass(frozen=True)
class Emit:
    """An event to publish.

    Attributes:
        topic: Where it goes.
        key: Key, UTF-8 encoded on the wire.
        record: The value; None is a tombstone of a compacted topic.
        partition: Set only where the catalogue says the key does not choose it.
        headers: Extra headers.
        stage: Events of a later stage are sent when those of earlier ones are acknowledged.
        milestone: What is reached once this event is acknowledged.
    """

    topic: Topic
    key: str
    record: Record | None
    partition: int | None = None
    headers: dict[str, bytes] = field(default_factory=dict)
    stage: int = 0
    milestone: Milestone | None = field(default=None, compare=False)


class Received(NamedTuple, Generic[R_co]):
    """A decoded event with its place in Kafka.

    Attributes:
        record: The event.
        topic: Topic it came from (the origin, when it came by way of a retry topic).
        partition: Partition there.
        offset: Offset there.
    """

    record: R_co
    topic: str
    partition: int
    offset: int


class Publisher(Protocol):
    """Publishes to the broker."""

    async def publish(self, events: Iterable[Emit]) -> None:
        """Send and wait until the broker has acknowledged every one.

        Raises:
            UnavailableError: the broker did not acknowledge in time; some may have been written.
        """
        ...


class Offload(Protocol):
    """Runs blocking work off the event loop, as heavy as the declaration says."""

    async def __call__(self, function: Callable[..., T], /, *args: Any) -> T: ...


class State(Protocol):
    """What a stateful capability remembers, by key, right after any crash.

    The truth is the capability's compacted state topic: an event emitted to that topic becomes the new
    value once the broker has it.
    """

    def get(self, key: str) -> Record | None:
        """Newest value of ``key`` in the partition being worked on; None if there is none."""
        ...

    def items(self) -> Iterable[tuple[str, Record]]:
        """Every key of the partition being worked on with its newest value; reads all of them."""
        ...


@dataclass(frozen=True)
class RetryPolicy:
    """Delays between tries of an event that met an ``UnavailableError``.

    Attributes:
        delays: Wait before the 2nd, 3rd ... try; each has a retry topic of its own.
    """

    delays: tuple[timedelta, ...] = (
        timedelta(seconds=2),
        timedelta(seconds=15),
        timedelta(minutes=2),
        timedelta(minutes=10),
        timedelta(minutes=30),
    )


Handler = Callable[..., Awaitable[Iterable[Emit]]]


@dataclass(frozen=True)
class Capability:
    """Declaration of one capability: one Faust app, one consumer group.

    Attributes:
        name: File stem, for example ``content_moderation``.
        handler: The function.
        consumes: Topics read.
        produces: Topics written, the state topic included.
        retry: Delays between tries.
        weight: Where ``offload`` runs: on the loop, in a thread, in a child process.
        batch: Whether the handler takes ``Sequence[Received]`` instead of one record.
        gather: Topics among those consumed whose records may wait a moment and be worked on together: replaceable
            values, of which a newer one does for an older, or events that are only counted.
        state: Compacted topic that holds the capability's state, if it has one.
        concurrency: Events in work at a time; 1 where order matters.
        version: Version of what it writes. Two versions run side by side, each as a group of its own.
        stores: Views and collections that it fills from its topics alone; a new version has its own.
        follows: Topics that each of its workers reads as a whole beside its own, outside the group.
    """

    name: str
    handler: Handler
    consumes: tuple[Topic, ...]
    produces: tuple[Topic, ...]
    retry: RetryPolicy
    weight: Weight
    batch: bool
    state: Topic | None
    concurrency: int
    version: int = 1
    gather: tuple[Topic, ...] = ()
    stores: tuple[View | Collection, ...] = ()
    follows: tuple[Topic, ...] = ()

    @property
    def group(self) -> str:
        """Consumer group, Faust app id, metric label and deployment name."""
        return self.name.replace("_", "-") + (f"-v{self.version}" if self.version > 1 else "")

    @property
    def dead_letter_topic(self) -> str:
        return dead_letter_name(self.group)

    @property
    def retry_topics(self) -> tuple[tuple[str, timedelta], ...]:
        """Name and delay of each retry topic, shortest first."""
        return tuple((retry_name(self.group, delay), delay) for delay in self.retry.delays)

    @property
    def doc(self) -> str:
        """First line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().splitlines()[0]


def capability(
    *,
    consumes: Sequence[Topic],
    produces: Sequence[Topic],
    retry: RetryPolicy | None = None,
    weight: Weight = "inline",
    batch: bool = False,
    gather: Sequence[Topic] = (),
    state: Topic | None = None,
    concurrency: int = 1,
    version: int = 1,
    stores: Sequence[View | Collection] = (),
    follows: Sequence[Topic] = (),
) -> Callable[[Handler], Capability]:
    """Declare the decorated function a capability named after its module.

    Raises:
        ValueError: the declaration contradicts itself.
    """
    if (batch or state) and concurrency != 1:
        raise ValueError("batched or stateful capabilities keep order: concurrency must be 1")
    if gather and not (batch and set(gather) <= set(consumes)):
        raise ValueError("only topics that are consumed in batches can be gathered")
    if state and state not in produces:
        raise ValueError(f"the state topic {state.name} is not among the topics produced")

    def declare(handler: Handler) -> Capability:
        return Capability(
            name=handler.__module__.rsplit(".", 1)[-1],
            handler=handler,
            consumes=tuple(consumes),
            produces=tuple(produces),
            retry=retry or RetryPolicy(),
            weight=weight,
            batch=batch,
            gather=tuple(gather),
            state=state,
            concurrency=concurrency,
            version=version,
            stores=tuple(stores),
            follows=tuple(follows),
        )

    return declare
