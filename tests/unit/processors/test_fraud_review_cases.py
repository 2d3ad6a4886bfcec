"""What people are asked about rings, through to their desk: whoever is asked about cannot end the question."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from schemas import topics
from schemas.review import ReviewActed, ReviewCase, ReviewRequested
from schemas.user import FaceEmbedded
from tests.unit.processors.test_fraud_clustering import TRIO, Bench, face
from tests.unit.processors.test_review_settlement import Desk


async def cases_after(*batches: Sequence[FaceEmbedded]) -> list[ReviewCase]:
    """The cases once each batch was worked on."""
    bench, desk = Bench(), Desk()
    for batch in batches:
        emits = await bench.emits(batch)
        bench.publish(emits)
        bench.state.apply(emits, topics.FACE_KEPT)
        facts = [each.record for each in emits if isinstance(each.record, ReviewRequested | ReviewActed)]
        if facts:
            await desk.work(*facts)
    return [case for _, case in desk.state.items() if isinstance(case, ReviewCase)]


@pytest.mark.parametrize(
    "later",
    [
        pytest.param([face("a", 1, 5)], id="the earliest account takes another picture of the same person"),
        pytest.param([face("d", 4, -1)], id="an older avatar joins, so the ring has another id"),
        pytest.param([face("c", 90, 5)], id="an account shows somebody else"),
        pytest.param([face("c", 90, 5), face("c", 5, 6)], id="an account shows somebody else for a moment"),
    ],
)
async def test_a_case_stays_until_it_is_decided(later: list[FaceEmbedded]) -> None:
    [case, *others] = await cases_after(TRIO, *([event] for event in later))
    assert case.state == "waiting"
    assert case.request is not None
    assert case.request.members == ("a", "b", "c")
    assert {other.state for other in others} <= {"waiting"}
