"""The merge: any order and any repetition of the facts of a user's avatars end in the same state and the same row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.avatar_publication import Fact, avatar_row, blank, merge
from schemas.user import AvatarSettled
from tests.fakes.runtime import NOW, codec
from tests.unit.processors.avatar_facts import changed, dead, decided, erased, judged


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Facts of up to three avatars of a user, each judged and decided on up to twice, at any times.

    Two may have been chosen at the same time.
    """
    seconds = iter(draw(st.permutations([float(s) for s in range(24)])))
    facts: list[Fact] = []
    for avatar in draw(st.sampled_from(["a", "ab", "abc"])):
        chosen = float(draw(st.integers(0, 12)))
        facts.append(changed(avatar, chosen))
        for decision in draw(st.lists(st.sampled_from(["approve", "reject", "review"]), max_size=2)):
            facts.append(judged(avatar, chosen, next(seconds), decision))
        for decision in draw(st.lists(st.sampled_from(["approve", "reject"]), max_size=2)):
            facts.append(decided(avatar, chosen, next(seconds), decision))
    facts += [dead(next(seconds)) for _ in range(draw(st.integers(0, 2)))]
    facts += [erased(next(seconds)) for _ in range(draw(st.integers(0, 2)))]
    return facts


def merged(facts: Sequence[Fact]) -> AvatarSettled:
    state = blank("ada", facts[0])
    for fact in facts:
        state = merge(state, fact)
    return state


def outcome(state: AvatarSettled) -> AvatarSettled:
    """All but the place in the log: how often it changed depends on the order."""
    return replace(state, seq=0, changed_at=NOW)


@settings(max_examples=400, deadline=None)
@given(facts=histories(), data=st.data())
def test_any_order_and_any_repetition_end_in_the_same(facts: list[Fact], data: st.DataObject) -> None:
    repeated = facts + data.draw(st.lists(st.sampled_from(facts), max_size=6))
    order = data.draw(st.permutations(repeated))
    assert outcome(merged(order)) == outcome(merged(facts))


@settings(max_examples=200, deadline=None)
@given(facts=histories())
def test_each_change_is_later_than_the_one_before(facts: list[Fact]) -> None:
    state = blank("ada", facts[0])
    for fact in facts:
        new = merge(state, fact)
        if new is not state:
            assert new.seq == state.seq + 1
            assert state.seq == 0 or new.changed_at > state.changed_at
        state = new


@settings(max_examples=200, deadline=None)
@given(facts=histories())
def test_the_state_survives_its_topic_and_gives_the_same_row(facts: list[Fact]) -> None:
    """What a rebuild reads is what the capability wrote the row from."""
    state = merged(facts)
    both = codec()
    assert avatar_row(both.decode(both.encode(state), AvatarSettled)) == avatar_row(state)
