"""Rings on a real broker: the same in whatever order faces come, through kills and a replay; erased people are gone."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from confluent_kafka import Producer

from models.fraud_clustering.rings import FaceRings, Rules
from processors.fraud_clustering.saying import suspected
from processors.runtime.kafka import producer_config
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from schemas.codec import Codec
from schemas.fraud import FaceKept, RingSuspected
from schemas.record import Record
from schemas.review import ReviewRequested
from schemas.topics import ALL, FACE_EMBEDDED, FACE_KEPT, REVIEW_REQUESTED, RING_SUSPECTED, Topic
from schemas.user import FaceEmbedded
from tests.fakes.faces import Space, embedded
from tests.integration.processors.counting_workers import Workers, rewind, wait, worker_settings

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
NAME = "fraud_clustering"
SPACE = "test-rings"
R = TypeVar("R", bound=Record)
SIZES = (3, 5, 12, 30)
STRANGERS = 150
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def settings(streams_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return worker_settings(streams_settings, monkeypatch, NAME)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(tmp_path, NAME)) as found:
        yield found


def population() -> list[FaceEmbedded]:
    """Faces of four rings and of strangers, in the order of their times; the first account of each ring came first."""
    space = Space(np.random.default_rng(11))
    who = np.concatenate([np.repeat(np.arange(len(SIZES)), SIZES), np.arange(len(SIZES), len(SIZES) + STRANGERS)])
    vectors = space.faces(space.people(len(SIZES) + STRANGERS)[who], 400.0)
    return [
        embedded(f"p{person}-{number}", NOW + timedelta(seconds=number), vectors[number], vector_version=SPACE)
        for number, person in enumerate(who.tolist())
    ]


def wanted(faces: Iterable[FaceEmbedded]) -> dict[str, RingSuspected]:
    rings = FaceRings(Rules())
    rings.update({face.user_id: face for face in faces})
    return {ring.ring_id: suspected(ring, NOW) for ring in rings.standing.values()}


class Topics:
    """What the topics say."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._producer = Producer(producer_config(settings.kafka))

    def send(self, faces: Iterable[FaceEmbedded]) -> None:
        for face in faces:
            self._producer.produce(FACE_EMBEDDED.name, key=face.user_id, value=self._codec.encode(face))
        assert self._producer.flush(30) == 0

    def newest(self, topic: Topic, record: type[R]) -> dict[str, R]:
        """Newest record by key; a tombstone removes it."""
        found: dict[str, R] = {}
        for message in read_to_end(self._settings.kafka, (topic.name,)):
            key, value = (message.key() or b"").decode(), message.value()
            if value is None:
                found.pop(key, None)
            else:
                found[key] = self._codec.decode(value, record)
        return found

    def standing(self) -> dict[str, RingSuspected]:
        """Rings among this test's faces; others of the session may have sent theirs."""
        every = self.newest(RING_SUSPECTED, RingSuspected).values()
        return {r.ring_id: r for r in every if r.state == "suspected" and r.model_version.startswith(f"{SPACE}+")}

    def says(self, rings: dict[str, RingSuspected]) -> bool:
        """Whether exactly these rings stand, at whatever time they were said."""
        now = self.standing()
        return now.keys() == rings.keys() and all(
            (now[k].members, now[k].score, now[k].likeness, now[k].shared) == (r.members, r.score, r.likeness, r.shared)
            for k, r in rings.items()
        )


def test_rings_are_the_same_through_kills_and_a_replay(settings: Settings, workers: Workers) -> None:
    faces = population()
    newest = {face.user_id: face for face in faces}
    with closing(SchemaRegistry(settings.registry.url)) as registry:
        topics = Topics(settings, registry.codec(ALL))
        shuffled = random.Random(4).sample(faces, len(faces))
        workers.start()
        topics.send(shuffled[:60])
        wait("the first faces", lambda: len(topics.newest(FACE_KEPT, FaceKept)) >= 60)
        topics.send(shuffled[60:150])
        workers.kill()
        workers.start()
        topics.send(shuffled[150:])
        wait("the rings", lambda: topics.says(wanted(faces)))
        assert sorted(len(ring.members) for ring in topics.standing().values()) == sorted(SIZES)
        assert len(topics.newest(REVIEW_REQUESTED, ReviewRequested)) >= len(SIZES)

        # the earliest of the largest ring is erased, another of it shows somebody else, a stranger is forgotten
        first, second = "p3-20", "p3-21"
        other = embedded(second, NOW + timedelta(minutes=20), newest["p5-51"].vector, vector_version=SPACE)
        erased = embedded(first, NOW + timedelta(minutes=20), (), erased=True)
        del newest[first]
        newest[second] = other
        topics.send([erased, other])
        wait("the changes", lambda: topics.says(wanted(newest.values())))
        assert all(first not in ring.members for ring in topics.standing().values())
        kept = topics.newest(FACE_KEPT, FaceKept)
        assert kept[first] == FaceKept(user_id=first, erased_at=erased.occurred_at)
        assert workers.stop() == [0]

        rewind(settings, NAME)
        before = topics.newest(FACE_KEPT, FaceKept)
        workers.start()
        # it lies behind the replay; with the window past all else, only it is left
        marker = embedded("marker", NOW + timedelta(minutes=30), newest["p9-55"].vector, vector_version=SPACE)
        topics.send([marker])
        wait("the face after the replay", lambda: "marker" in topics.newest(FACE_KEPT, FaceKept))
        newest["marker"] = marker
        wait("the rings after the replay", lambda: topics.says(wanted(newest.values())))
        assert {k: v for k, v in topics.newest(FACE_KEPT, FaceKept).items() if k != "marker"} == before
        assert workers.stop() == [0]
