"""Avatars' states on a real broker: facts in any order, some twice, and a kill in their midst."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer

from features.apply import apply_views
from features.checks import checked_row
from features.ports import FeatureRow
from features.views import USER_AVATAR
from processors.avatar_publication import Fact, avatar_row, blank, merge, review_id, user_of
from processors.runtime.kafka import producer_config
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from processors.serving.decoding import Decoder
from processors.tools.rebuild.newest import NewestRecords
from schemas import topics
from schemas.common import Decision
from schemas.pipeline import DeadLettered
from schemas.review import ReviewActed, ReviewDecided
from schemas.user import AvatarChanged, AvatarModerated, AvatarSettled, UserErased
from tests.fakes.runtime import NOW
from tests.integration.processors.counting_workers import Workers, worker_settings
from tests.unit.processors.avatar_facts import changed, dead, decided, erased, judged

pytestmark = [pytest.mark.real, pytest.mark.timeout(480)]
NAME = "avatar_publication"
USERS = 24
VERDICTS: dict[str, Decision] = {"approved": "approve", "rejected": "reject", "asked": "review", "person": "review"}
TOPIC_OF = {
    AvatarChanged: topics.AVATAR_CHANGED,
    AvatarModerated: topics.AVATAR_MODERATED,
    ReviewDecided: topics.REVIEW_DECIDED,
    UserErased: topics.USER_ERASED,
    DeadLettered: topics.DEAD_LETTERED,
}


@pytest.fixture
def settings(streams_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = worker_settings(streams_settings, monkeypatch, NAME)
    apply_views(Wiring(found).feast_config)
    return found


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(tmp_path, NAME)) as found:
        yield found


def history(user: str, dice: random.Random) -> list[Fact]:
    """One user's facts; the second avatar always replaces one that waits for people."""
    facts: list[Fact] = [
        changed(f"{user}-a", 0, user),
        judged(f"{user}-a", 0, 2, "review", user),
        changed(f"{user}-b", 10, user),
    ]
    end = dice.choice([*VERDICTS, "dead"])
    if end == "dead":
        facts.append(dead(40, user))
    else:
        facts.append(judged(f"{user}-b", 10, 12, VERDICTS[end], user))
    if end == "person":
        facts.append(decided(f"{user}-b", 10, 60, "reject", user))
    if dice.random() < 0.3:
        facts.append(erased(dice.choice([5, 30]), user))
    return facts


def outcome(state: AvatarSettled) -> AvatarSettled:
    """All but its place in the log."""
    return replace(state, seq=0, changed_at=NOW)


def merged(user: str, facts: list[Fact]) -> AvatarSettled:
    state = blank(user, facts[0])
    for fact in facts:
        state = merge(state, fact)
    return outcome(state)


class Looking:
    """What topics and stores hold of some users."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wiring = Wiring(settings)
        decoder = Decoder(self._wiring.codec, self._wiring.registry.fetch)
        self._states = NewestRecords(settings.kafka, topics.AVATAR_SETTLED, AvatarSettled, decoder)
        self._decoder = decoder

    def close(self) -> None:
        self._states.close()
        self._wiring.close()

    def states(self, users: list[str]) -> dict[str, AvatarSettled]:
        self._states.advance()
        return {user: state for user in users if (state := self._states.get(user)) is not None}

    def rows(self, users: list[str]) -> dict[str, FeatureRow | None]:
        async def read() -> list[FeatureRow | None]:
            wiring = Wiring(self._settings)
            try:
                async with wiring.redis:
                    return await wiring.feature_reader.read(USER_AVATAR.name, users)
            finally:
                wiring.close()

        return dict(zip(users, asyncio.run(read()), strict=True))

    def withdrawn(self) -> set[str]:
        found = read_to_end(self._settings.kafka, (topics.REVIEW_ACTED.name,))
        return {self._decoder.decode(message.value() or b"", ReviewActed).review_id for message in found}


def test_every_avatar_ends_as_its_facts_say_though_the_worker_is_killed(settings: Settings, workers: Workers) -> None:
    run, dice = uuid.uuid4().hex[:6], random.Random(3)
    users = [f"{run}-u{number}" for number in range(USERS)]
    facts = {user: history(user, dice) for user in users}
    wanted = {user: merged(user, facts[user]) for user in users}
    shuffled = [fact for some in facts.values() for fact in some]
    shuffled += dice.sample(shuffled, len(shuffled) // 4)
    dice.shuffle(shuffled)
    producer = Producer(producer_config(settings.kafka))
    with closing(Wiring(settings)) as wiring:
        codec = wiring.codec
    workers.start()
    with closing(Looking(settings)) as looking:
        for number, fact in enumerate(shuffled):
            topic = TOPIC_OF[type(fact)]
            producer.produce(topic.name, key=(user_of(fact) or "").encode(), value=codec.encode(fact))
            if number == len(shuffled) // 2:
                assert producer.flush(30) == 0
                wait(lambda: bool(looking.states(users)), "the worker does not begin")
                workers.kill()
                workers.start()
        assert producer.flush(30) == 0

        def settled() -> bool:
            return {user: outcome(state) for user, state in looking.states(users).items()} == wanted

        wait(settled, "not every avatar is as its facts say")
        first = looking.states(users)
        rows = {user: avatar_row(state) for user, state in first.items()}
        stored = {user: None if row is None else checked_row(USER_AVATAR, row) for user, row in rows.items()}
        assert looking.rows(users) == stored
        assert any(row is None for row in stored.values())
        assert {review_id(f"{user}-a") for user in users} <= looking.withdrawn()


def wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
