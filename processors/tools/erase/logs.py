"""Which logs still hold a trace, and until when: topics by their records, files of this machine by their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from processors.runtime.kafka import client_config
from processors.runtime.settings import Kafka, Settings
from processors.runtime.topic_scan import read_to_end
from processors.tools.dataset.build import holding
from processors.tools.erase.needles import Needle, found_in
from schemas.topics import AVATAR_SETTLED, FACE_KEPT, PLAY_AGGREGATED, PROFILE_CHANGED, PROFILE_KEPT, USER_ERASED

TIMEOUT_S = 20.0
CHUNK = 1 << 20
FENCES = frozenset(
    topic.name for topic in (USER_ERASED, PLAY_AGGREGATED, PROFILE_CHANGED, PROFILE_KEPT, AVATAR_SETTLED, FACE_KEPT)
)
"""Topics that keep the user's id for ever, and nothing else, so that late events are known as such."""


@dataclass(frozen=True)
class TopicTrace:
    """A topic with records that hold something looked for.

    Attributes:
        topic: Its name.
        texts: What was found.
        records: How many records hold it.
        newest: Time of the newest of them, UTC.
        rule: How the broker removes them.
        until: When they are gone at the latest, UTC; None: nothing in the topic's configuration says so.
        kept: Keys whose newest record holds it, so that compaction keeps it; empty where it does not apply.
        fence: Whether the topic keeps the user's id for ever, and may.
    """

    topic: str
    texts: frozenset[str]
    records: int
    newest: datetime
    rule: str
    until: datetime | None
    kept: tuple[str, ...]
    fence: bool


@dataclass(frozen=True)
class FileTrace:
    """A file that holds something looked for.

    Attributes:
        path: The file.
        texts: What was found.
        changed_at: When it was last written, UTC.
        until: What makes it go.
    """

    path: Path
    texts: frozenset[str]
    changed_at: datetime
    until: str


class _Count:
    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.records = 0
        self.newest_ms = 0
        self.newest_of: dict[bytes, tuple[int, int, bool]] = {}


def topic_traces(kafka: Kafka, needles: Sequence[Needle], fenced: str) -> list[TopicTrace]:
    """Topics whose records hold a needle in key, value or headers; retry and dead-letter topics too.

    Args:
        kafka: The brokers.
        needles: What to look for.
        fenced: User id that may stay in the topics of ``FENCES``.

    Raises:
        UnavailableError: the broker does not answer.
    """
    admin = AdminClient(client_config(kafka))
    names = sorted(n for n in admin.list_topics(timeout=TIMEOUT_S).topics if not n.startswith("__"))
    found = {name: _count(read_to_end(kafka, (name,)), needles, fenced if name in FENCES else "") for name in names}
    hit = {name: count for name, count in found.items() if count.records}
    configs = _configs(admin, hit)
    return [_trace(name, count, configs[name]) for name, count in hit.items()]


def _count(messages: Iterable[Message], needles: Sequence[Needle], fenced: str) -> _Count:
    count = _Count()
    for message in messages:
        key, value = message.key() or b"", message.value() or b""
        told = cast(list[tuple[str, bytes | None]], message.headers() or [])
        headers = b"\n".join(content or b"" for _, content in told)
        texts = found_in(needles, b"\n".join((key, value, headers)))
        texts |= {n.text for n in needles if key in (n.text.encode(), f"user:{n.text}".encode())}
        keeps = bool(texts - {fenced})
        if texts:
            count.texts |= texts
            count.records += 1
            count.newest_ms = max(count.newest_ms, message.timestamp()[1])
        place = message.partition() or 0, message.offset() or 0
        if keeps or key in count.newest_of:
            count.newest_of[key] = (*place, keeps)
    return count


def _configs(admin: AdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    wanted = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not wanted:
        return {}
    answers = admin.describe_configs(wanted, request_timeout=TIMEOUT_S)
    return {r.name: {k: str(e.value) for k, e in future.result().items()} for r, future in answers.items()}


def _trace(name: str, count: _Count, config: dict[str, str]) -> TopicTrace:
    newest = datetime.fromtimestamp(count.newest_ms / 1000, UTC)
    roll = _duration(config["segment.ms"])
    if "compact" in config["cleanup.policy"]:
        limit = _duration(config["max.compaction.lag.ms"])
        rule = "compacted" if limit is None else f"compacted within {_days(limit)} of being superseded"
        kept = tuple(sorted(key.decode(errors="replace") for key, (_, _, keeps) in count.newest_of.items() if keeps))
        until = None if limit is None else datetime.now(UTC) + limit
    else:
        retention = _duration(config["retention.ms"])
        rule = "kept for ever" if retention is None else f"kept {_days(retention)}, removed by whole segments"
        kept = ()
        until = None if retention is None or roll is None else newest + retention + roll
    return TopicTrace(name, frozenset(count.texts), count.records, newest, rule, until, kept, name in FENCES)


def _duration(milliseconds: str) -> timedelta | None:
    """None for what Kafka means as without limit."""
    value = int(milliseconds)
    return timedelta(milliseconds=value) if 0 <= value < timedelta(days=365_000) / timedelta(milliseconds=1) else None


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):.3g} d"


def file_traces(settings: Settings, needles: Sequence[Needle]) -> list[FileTrace]:
    """Files below the data folder of this machine that hold a needle: the stores' own logs and the programs'."""
    data = settings.data_dir.resolve()
    places = (
        (data / "logs", "the file is removed; `make up` and `make run` keep those of the last two starts"),
        (data / "redis", "Redis rewrites its append-only file: when it has doubled, or at once by BGREWRITEAOF"),
        (data / "milvus", "Milvus compacts its segments"),
    )
    found = []
    for folder, until in places:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (texts := _texts_in(path, needles)):
                at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                found.append(FileTrace(path, frozenset(texts), at, until))
    return found


def dataset_traces(settings: Settings, user: str) -> list[FileTrace]:
    """Data sets on this machine, built before, that hold what the user played under a pseudonym.

    Raises:
        PseudonymKeyError: the key of the pseudonyms is unusable.
    """
    return [
        FileTrace(place, frozenset({user}), datetime.fromtimestamp(place.stat().st_mtime, UTC), "the folder is removed")
        for place in holding(settings, user)
    ]


def _texts_in(path: Path, needles: Sequence[Needle]) -> set[str]:
    overlap = max(len(form) for needle in needles for form in needle.forms)
    texts: set[str] = set()
    for window in _windows(path, overlap):
        texts |= found_in(needles, window)
    return texts


def _windows(path: Path, overlap: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(CHUNK):
            yield tail + chunk
            tail = (tail + chunk)[-overlap:]
