"""A process that dies right after any one side effect leaves, after the restart, what a run without a crash leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.faults.figures import Row
from tests.faults.pipeline import NAMES, Fuse, Pipeline
from tests.faults.skills import BREAKS_THE_RULES, RAISES

pytestmark = pytest.mark.expects_errors
# half of all places are in one capability, as many as in all others: too long for the short form
LONG = "item_publication"
CASES = [pytest.param(n, marks=pytest.mark.faults if n == LONG else pytest.mark.faults_short) for n in NAMES]
IDS = [f"0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f7{n}" for n in range(6)]


async def played(fuse: Fuse) -> Pipeline:
    """Uploads with every end: published twice, rejected, failed, withdrawn and erased with their owner."""
    pipeline = Pipeline(fuse)
    await pipeline.upload(IDS[0], "score", b"picture one")
    await pipeline.upload(IDS[1], text="only words")
    await pipeline.upload(IDS[2], text=BREAKS_THE_RULES)
    await pipeline.upload(IDS[3], text=RAISES)
    await pipeline.upload(IDS[4], "screenshot", b"picture two")
    await pipeline.upload(IDS[5], "score", b"picture three", uploader="bob")
    await pipeline.avatar("bob")
    await pipeline.run()
    await pipeline.withdraw(IDS[4])
    await pipeline.erase("bob")
    await pipeline.run()
    return pipeline


@pytest.mark.parametrize("capability", CASES)
async def test_a_crash_after_each_side_effect_changes_nothing(capability: str, record: Callable[[Row], None]) -> None:
    # thousands of errors on purpose, each with its traceback
    with capture_logs():
        effects = await compare(capability)
    record(Row(f"right after each of its {effects} side effects; each time the same end as without a crash"))


async def compare(capability: str) -> int:
    """Crash at each side effect of a capability; how many there are."""
    calm = await played(Fuse())
    wanted, effects = calm.outcome(), calm.fuse.counts[capability]
    ends = [s.state for s in wanted["statuses"].values()]
    assert sorted(ends) == ["deleted", "deleted", "failed", "published", "published", "rejected"]
    assert [key for key in wanted["objects"] if IDS[5] in key or "avatars" in key] == [f"erased/{IDS[5]}"]
    assert effects >= 4
    for after in range(1, effects + 1):
        crashed = await played(Fuse(capability, after))
        assert crashed.deaths == 1, f"side effect {after} did not come"
        found = crashed.outcome()
        for part, value in wanted.items():
            assert found[part] == value, f"{part} after a crash at side effect {after} of {effects}"
    return effects
