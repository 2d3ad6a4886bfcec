"""Many moderators, erasures and crashes at any write: the log holds, nothing erased stays, nothing is decided twice."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from models.review_audit import verify
from schemas.record import Record
from schemas.review import ActionKind, ReviewActed, ReviewCase, ReviewRequested
from tests.unit.processors.test_review_settlement import Desk, acted, erasure, request

ACTIONS: tuple[ActionKind, ...] = ("approve", "reject", "escalate")
USERS = ("u0", "u1", "u2")


def facts(rng: random.Random) -> tuple[list[ReviewRequested], list[ReviewActed]]:
    """What the two topics hold."""
    asked = [
        request(f"r{n}", n, USERS[n % 3], proposed=rng.choice(["approve", "reject", "none"]), excerpt="secret")
        for n in range(5)
    ]
    asked.append(request("ring", 50, "ring", subject="ring", owner="", members=USERS))
    done = [
        acted(
            rng.choice(ACTIONS),
            rng.choice(asked).review_id,
            f"key:{rng.randrange(4)}",
            100 + n,
            event_id=f"a{n}",
            note="secret",
            senior=rng.random() < 0.4,
        )
        for n in range(14)
    ]
    for user in rng.sample(USERS, rng.randrange(3)):
        done.insert(rng.randrange(len(done)), erasure(user, 100))
    return asked, done


def mixed(rng: random.Random, asked: list[ReviewRequested], done: list[ReviewActed]) -> list[Record]:
    """A batch of both topics, each in its own order."""
    batch: list[Record] = []
    topics: list[list[Record]] = [list(asked), list(done)]
    while any(topics):
        batch.append(rng.choice([each for each in topics if each]).pop(0))
    return batch


@pytest.mark.parametrize("seed", range(60))
async def test_whatever_crashes_the_log_holds_and_what_is_erased_is_gone(seed: int) -> None:
    rng = random.Random(seed)
    asked, done = facts(rng)
    desk, decisions = Desk(), defaultdict(set)
    read_asked = read_done = 0
    while read_asked < len(asked) or read_done < len(done):
        many_asked, many_done = rng.randrange(3), rng.randrange(4)
        batch = mixed(rng, asked[read_asked : read_asked + many_asked], done[read_done : read_done + many_done])
        crash_after = rng.randrange(20) if batch and rng.random() < 0.4 else None
        emits = await desk.work(*batch, crash_after=crash_after)
        if crash_after is None or (crash_after >= len(emits) and rng.random() < 0.5):
            read_asked, read_done = read_asked + many_asked, read_done + many_done
    assert verify(desk.log).broken == ""
    for each in desk.decided:
        decisions[each.review_id].add(each.decision)
    cases = [case for _, case in desk.state.items() if isinstance(case, ReviewCase)]
    assert {case.review_id: {case.decision} for case in cases if case.decision != "none"} == decisions
    for case in cases:
        named = set() if case.request is None else {case.request.owner, *case.request.members}
        assert not named & {each.owner for each in done if each.action == "erase"}
        assert case.request is not None or "secret" not in str(case)
