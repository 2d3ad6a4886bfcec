"""What may follow what, where compaction has removed records, and what is allowed but named."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from processors.tools.verify.accepted import Accepted
from processors.tools.verify.checks import Evidence, run
from processors.tools.verify.scan import History, Scan
from schemas.media import MediaStatus, TimelineEntry

ONE = "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f71"
AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ORDER = "nothing follows an end but deletion"


def evidence(*states: str, timeline: tuple[tuple[str, str], ...] = ()) -> Evidence:
    history = History()
    for seq, state in enumerate(states, 1):
        history.add(state, seq, b"value")
    entries = tuple(TimelineEntry(stage=stage, state=state, at=AT) for stage, state in timeline)
    status = MediaStatus(
        media_id=ONE,
        kind="post",
        state=states[-1],
        seq=len(states),
        changed_at=AT,
        timeline=entries,  # type: ignore[arg-type]
    )
    log = {ONE: Accepted(media_id=UUID(ONE), accepted_at=AT)}
    return Evidence(log, Scan(histories={ONE: history}), {ONE: status}, {}, {})


def found(e: Evidence, name: str = ORDER) -> tuple[list[str], list[str]]:
    """Offences and notes of a check."""
    [check] = [c for c in run(e) if c.name == name]
    return [what for _, what in check.offences], [what for _, what in check.notes]


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (("received", "processing", "published", "published", "deleted"), []),
        (("received", "review", "published"), []),
        (("received", "review", "rejected", "deleted"), []),
        (("received", "failed", "processing", "published"), []),
        (("received", "published", "failed"), ["published, then failed"]),
        (("received", "published", "processing", "published"), ["published, then processing"]),
        (("received", "rejected", "published"), ["rejected, then published"]),
        (("deleted", "processing"), ["deleted, then processing"]),
    ],
)
def test_what_may_follow_an_end(states: tuple[str, ...], told: list[str]) -> None:
    assert found(evidence(*states))[0] == told


def test_the_timeline_tells_what_compaction_removed() -> None:
    published = ("item_publication", "published")
    assert found(evidence("failed", timeline=(published,)))[0] == ["published (timeline), then failed"]
    assert found(evidence("deleted", timeline=(published,)))[0] == []


def test_a_healed_failure_is_allowed_and_named() -> None:
    healed = evidence("failed", "rejected", timeline=(("media_analysis", "failed"), ("media_analysis", "rejected")))
    assert found(healed) == ([], ["media_analysis failed first, then came to rejected"])
    failed = evidence("failed", timeline=(("media_analysis", "failed"),))
    assert found(failed) == ([], [])
    assert found(failed, "dead letters are the failed ones")[0] == ["is failed, but no dead letter tells of it"]


def test_an_erased_upload_is_deleted() -> None:
    erased = evidence("published")
    erased.scan.histories[ONE].add("deleted", 0, None)
    assert found(erased) == ([], [])
    assert found(erased, "no status goes back")[0] == []
    assert erased.state(ONE) == "deleted"
