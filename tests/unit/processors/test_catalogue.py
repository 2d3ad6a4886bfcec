"""The capabilities together: everything consumed is produced, everything needed can be given."""

from __future__ import annotations

import inspect
from functools import cached_property

import pytest

from processors.catalogue import BY_NAME, CAPABILITIES
from processors.runtime.processor import Capability
from processors.runtime.wiring import GIVEN_BY_THE_WORKER, Wiring
from schemas import topics

INGEST = {
    *topics.UPLOADS,
    topics.SONG_PLAYED,
    topics.ITEM_INTERACTED,
    topics.AVATAR_CHANGED,
    topics.MEDIA_WITHDRAWN,
    topics.USER_ERASED,
}
"""Topics that the HTTP ingest produces."""
RUNTIME = {topics.MEDIA_REJECTED, topics.DEAD_LETTERED}
"""Topics that the runner produces for every capability."""
every_capability = pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: c.name)


def test_names_are_module_stems_and_distinct() -> None:
    assert len(BY_NAME) == len(CAPABILITIES)
    for name, capability in BY_NAME.items():
        assert capability.handler.__module__ == f"processors.{name}"
        assert capability.handler.__name__ == name


@every_capability
def test_what_it_needs_can_be_given(capability: Capability) -> None:
    first, *needs = inspect.signature(capability.handler).parameters.values()
    assert first.kind is not inspect.Parameter.KEYWORD_ONLY
    for need in needs:
        assert need.kind is inspect.Parameter.KEYWORD_ONLY
        given = need.name in GIVEN_BY_THE_WORKER or isinstance(getattr(Wiring, need.name, None), cached_property)
        assert given, need.name


@every_capability
def test_state_and_its_parameter_go_together(capability: Capability) -> None:
    assert ("state" in inspect.signature(capability.handler).parameters) == (capability.state is not None)


@every_capability
def test_its_topics_are_in_the_catalogue(capability: Capability) -> None:
    for topic in (*capability.consumes, *capability.produces):
        assert topics.BY_NAME[topic.name] is topic


@every_capability
def test_what_it_consumes_is_produced_by_somebody(capability: Capability) -> None:
    made = INGEST | RUNTIME | {topic for c in CAPABILITIES for topic in c.produces}
    assert set(capability.consumes) <= made


@every_capability
def test_topics_that_meet_in_one_state_have_equal_partitions(capability: Capability) -> None:
    """The state of an event lies in the partition of the same number."""
    if capability.state is not None:
        assert {t.partitions for t in (*capability.consumes, capability.state)} == {capability.state.partitions}


@every_capability
def test_the_first_line_says_what_it_does(capability: Capability) -> None:
    assert capability.doc.endswith(".")
    assert len(capability.doc) < 100


@every_capability
def test_the_worker_is_given_partitions_of_equal_numbers(capability: Capability) -> None:
    """Retry topics have as many partitions as the topic with most; a retried event keeps its number."""
    assert len({t.partitions for t in capability.consumes}) == 1


def test_no_topic_is_written_by_two_capabilities_but_requests_to_others() -> None:
    """Whoever finds something may ask for a review, act on one, or have a face forgotten: the reader settles it."""
    requests = {topics.REVIEW_REQUESTED.name, topics.REVIEW_ACTED.name, topics.FACE_EMBEDDED.name}
    made = [topic.name for c in CAPABILITIES for topic in c.produces if topic.name not in requests]
    assert sorted(made) == sorted(set(made))


def test_a_state_topic_is_compacted_and_read_by_no_other_group_as_events() -> None:
    for capability in CAPABILITIES:
        if capability.state is not None:
            assert capability.state.compacted
            assert capability.state not in capability.consumes


def test_capabilities_do_not_import_one_another() -> None:
    names = set(BY_NAME)
    for capability in CAPABILITIES:
        module = inspect.getmodule(capability.handler)
        assert module is not None
        imported = {
            value.__module__.removeprefix("processors.")
            for value in vars(module).values()
            if hasattr(value, "__module__") and str(value.__module__).startswith("processors.")
        }
        assert imported & names <= {capability.name}


def test_no_group_shares_a_dead_letter_or_retry_topic() -> None:
    own = [n for c in CAPABILITIES for n in (c.dead_letter_topic, *(name for name, _ in c.retry_topics))]
    assert len(own) == len(set(own))
    assert not set(own) & set(topics.BY_NAME)


async def test_wiring_refuses_what_it_does_not_make() -> None:
    import dataclasses

    from processors.runtime.settings import Settings

    async def handler(event: object, *, crystal_ball: object) -> list[object]:
        return []

    odd = dataclasses.replace(CAPABILITIES[0], handler=handler)
    with pytest.raises(TypeError, match="crystal_ball"):
        Wiring(Settings()).runner(odd)
