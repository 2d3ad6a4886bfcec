"""Declarations that contradict themselves are refused at import."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from processors.runtime.processor import RetryPolicy, capability
from schemas.topics import MEDIA_ANALYSED, MEDIA_STATUS, MEDIA_WITHDRAWN


async def handler(event: Any) -> list[Any]:
    """Does a thing.

    And more.
    """
    return []


def declare(**more: Any) -> Any:
    return capability(**{"consumes": [MEDIA_WITHDRAWN], "produces": [MEDIA_STATUS], **more})(handler)


def test_a_capability_is_named_after_its_module() -> None:
    made = declare()
    assert made.name == "test_processor"
    assert made.group == "test-processor"
    assert made.dead_letter_topic == "test-processor.dead-letter.v1"
    assert made.doc == "Does a thing."
    assert (made.weight, made.batch, made.state, made.concurrency) == ("inline", False, None, 1)


def test_each_delay_has_a_topic_of_its_own() -> None:
    made = declare(retry=RetryPolicy((timedelta(seconds=2), timedelta(minutes=1))))
    assert made.retry_topics == (
        ("test-processor.retry-2000ms.v1", timedelta(seconds=2)),
        ("test-processor.retry-60000ms.v1", timedelta(minutes=1)),
    )


@pytest.mark.parametrize("kept", [{"batch": True}, {"state": MEDIA_STATUS}])
def test_what_keeps_order_works_on_one_event_at_a_time(kept: dict[str, Any]) -> None:
    declare(**kept)
    with pytest.raises(ValueError, match="concurrency"):
        declare(**kept, concurrency=2)


def test_a_state_topic_is_produced() -> None:
    with pytest.raises(ValueError, match="state topic"):
        declare(state=MEDIA_ANALYSED)
