"""Which version is wanted, whether it is the one in use, and what is refused; without a broker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from features.model_store import ModelStore, VersionCache
from features.objects import LocalObjects
from models.recommender_bundle import Bundle
from models.recommender_manifest import NAME
from processors.runtime import active_model
from processors.runtime.active_model import ActiveModel, ModelMetrics
from processors.runtime.recommender_in_use import RecommenderInUse
from processors.runtime.settings import Kafka, Models
from schemas.codec import Codec
from schemas.common import ObjectRef
from schemas.errors import UnavailableError
from schemas.model import ModelPublished
from tests.bundles import DEBUG, variant
from tests.fakes.runtime import NOW


class Message:
    def __init__(self, value: bytes | None) -> None:
        self._value = value

    def key(self) -> bytes:
        return NAME.encode()

    def value(self) -> bytes | None:
        return self._value

    def offset(self) -> int:
        return 0


class Desk:
    """Two versions in the object store, and a follower that is handed its messages."""

    def __init__(self, folder: Path) -> None:
        self.versions = [variant(folder / str(days), days).version for days in (1, 2)]
        self._folder = folder
        self.store = ModelStore(LocalObjects(folder / "objects"))
        self.codec = Codec()
        self.codec.assign(ModelPublished.CONTRACT, 1)
        self.refused: set[str] = set()
        self.shown = CollectorRegistry()
        cache = VersionCache(self.store, folder / "cache")
        self.model: ActiveModel[Any] = ActiveModel(
            Kafka(), self.codec, lambda _: "", cache, Models(), self._build, ModelMetrics(self.shown)
        )

    async def put(self, version: str, files_of: str) -> None:
        folder = self._folder / str(self.versions.index(files_of) + 1)
        await self.store.put_version(NAME, version, {each.name: each.read_bytes() for each in folder.iterdir()})

    def publish(self, version: str, after_s: int) -> None:
        """Tell of a version that takes the place of the one in use."""
        record = ModelPublished(
            event_id=f"{version}-{after_s}",
            occurred_at=NOW + timedelta(seconds=after_s),
            name=NAME,
            version=version,
            previous=self.in_use,
            reason="promoted",
            manifest=ObjectRef(key="m", sha256="0" * 64, size_bytes=1, content_type="application/json"),
        )
        self.model._take(Message(self.codec.encode(record)))  # type: ignore[arg-type]

    @property
    def in_use(self) -> str | None:
        return None if self.model.current is None else self.model.current.bundle.version

    def _build(self, bundle: Bundle) -> str:
        if bundle.version in self.refused:
            raise UnavailableError("its collection is not filled", code="collection-missing")
        return bundle.version


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    assert DEBUG.is_dir()
    made = Desk(tmp_path)
    for version in made.versions:
        await made.put(version, version)
    return made


@pytest.mark.expects_errors
def test_who_writes_waits_for_the_version_published_last_and_who_answers_does_not(desk: Desk) -> None:
    first, second = desk.versions
    in_use = RecommenderInUse(desk.model)
    with pytest.raises(UnavailableError, match="not started"):
        _ = in_use.recommender
    desk.publish(first, 1)
    desk.model._load_wanted()
    assert (in_use.recommender, in_use.now, in_use.previous) == (first, first, None)

    desk.publish(second, 2)
    with pytest.raises(UnavailableError, match=f"{second} is not loaded yet"):
        _ = in_use.recommender
    assert in_use.now == first
    desk.refused = {second}
    desk.model._load_wanted()
    with pytest.raises(UnavailableError, match="not filled"):
        _ = in_use.recommender
    assert in_use.now == first
    labels = {"model": NAME, "code": "collection-missing"}
    assert desk.shown.get_sample_value("overture_model_load_failures_total", labels) == 1

    desk.publish(first, 3)
    assert in_use.recommender == first

    desk.refused = set()
    desk.publish(second, 4)
    desk.model._load_wanted()
    assert (in_use.recommender, in_use.previous) == (second, first)


def test_an_event_older_than_the_one_known_is_left_aside(desk: Desk) -> None:
    first, second = desk.versions
    desk.publish(second, 2)
    desk.publish(first, 1)
    desk.model._load_wanted()
    assert desk.in_use == second


@pytest.mark.expects_errors
async def test_files_of_another_version_are_refused_and_not_kept(desk: Desk, tmp_path: Path) -> None:
    await desk.put("20260101-000000-00000000", desk.versions[0])
    desk.publish("20260101-000000-00000000", 1)
    # it has an event loop of its own
    await asyncio.to_thread(desk.model._load_wanted)
    assert desk.in_use is None
    assert f"those of {desk.versions[0]}" in desk.model.pending
    assert not (tmp_path / "cache" / NAME / "20260101-000000-00000000").exists()


def test_waits_between_attempts_start_anew_once_the_topic_was_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two failures, a topic read to its end before the connection breaks, and another failure."""

    class End:
        def error(self) -> Any:
            return self

        def code(self) -> int:
            return KafkaError._PARTITION_EOF

        def partition(self) -> int:
            return 0

    class Reader:
        def __init__(self) -> None:
            self.answers = [[End()]]

        def assign(self, _: object) -> None: ...

        def close(self) -> None: ...

        def consume(self, *_: object) -> list[End]:
            if self.answers:
                return self.answers.pop()
            raise UnavailableError("the broker has gone")

    rounds, waited = iter([False, False, True, False]), []

    def partitions(*_: object) -> list[int]:
        if next(rounds):
            return [0]
        raise UnavailableError("no broker")

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            desk.model._stop.set()

    monkeypatch.setattr(active_model, "new_reader", lambda *_: Reader())
    monkeypatch.setattr(active_model, "partitions_of", partitions)
    monkeypatch.setattr(desk.model._stop, "wait", wait)
    desk.model._run()
    assert waited == [0.5, 1.0, 0.5, 1.0]
