"""The merge: any order and any repetition of the facts of an upload end in the same state."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.item_publication import Fact, catalogue_change, merge
from tests.fakes.runtime import at, codec
from tests.unit.processors.upload_facts import (
    BLOCKED,
    FILE,
    THUMBNAIL,
    VECTORS,
    analysed,
    blank,
    classified,
    dead,
    embedded,
    merged,
    moderated,
    outcome,
    rejected,
    reviewed,
    upload,
    withdrawn,
)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """The facts of one upload as the pipeline can produce them, each capability ending once, at any times."""
    seconds = iter(draw(st.permutations([float(s) for s in range(10)])))
    facts: list[Fact] = [upload(next(seconds))]
    first = draw(st.sampled_from(["none", "analysed", "rejected", "dead"]))
    if first == "analysed":
        facts.append(analysed(next(seconds)))
        judged = draw(st.sampled_from(["none", "approve", "reject", "review", "rejected", "dead"]))
        if judged in ("approve", "reject", "review"):
            facts.append(moderated(judged, next(seconds), () if judged == "approve" else (BLOCKED,)))
            if judged == "review" and draw(st.booleans()):
                verdict = draw(st.sampled_from(["approve", "reject"]))
                facts.append(reviewed(verdict, next(seconds), () if verdict == "approve" else (BLOCKED,)))
        elif judged == "rejected":
            facts.append(rejected("content_moderation", next(seconds), "media-limit"))
        elif judged == "dead":
            facts.append(dead("content_moderation", next(seconds)))
        joined = draw(st.sampled_from(["none", "embedded", "embedded", "rejected", "dead"]))
        if joined == "embedded":
            facts.append(embedded(next(seconds)))
            labelled = draw(st.sampled_from(["none", "classified", "dead"]))
            if labelled == "classified":
                facts.append(classified(next(seconds)))
            elif labelled == "dead":
                facts.append(dead("content_classification", next(seconds)))
        elif joined == "rejected":
            facts.append(rejected("content_embedding", next(seconds), "media-silent"))
        elif joined == "dead":
            facts.append(dead("content_embedding", next(seconds)))
    elif first == "rejected":
        facts.append(rejected("media_analysis", next(seconds)))
    elif first == "dead":
        facts.append(dead("media_analysis", next(seconds)))
    if draw(st.booleans()):
        facts.append(withdrawn(next(seconds), erase=draw(st.booleans())))
    return facts


@settings(max_examples=300, deadline=None)
@given(facts=histories(), data=st.data())
def test_any_order_and_any_repetition_end_in_the_same(facts: list[Fact], data: st.DataObject) -> None:
    repeated = facts + data.draw(st.lists(st.sampled_from(facts), max_size=6))
    order = data.draw(st.permutations(repeated))
    assert outcome(merged(order)) == outcome(merged(facts))


@settings(max_examples=200, deadline=None)
@given(facts=histories(), seconds=st.permutations([20.0, 21.0, 22.0]), data=st.data())
def test_an_erasure_wins_over_every_other_fact_in_any_order(
    facts: list[Fact], seconds: list[float], data: st.DataObject
) -> None:
    """Also over a withdrawal that keeps the bytes, whichever of them is newer."""
    facts = [*facts, withdrawn(seconds[0]), withdrawn(seconds[1], erase=True), withdrawn(seconds[2])]
    status = merged(data.draw(st.permutations(facts)))
    assert outcome(status) == outcome(merged(facts))
    assert (status.state, status.erased) == ("deleted", True)
    known = codec()
    told = known.encode(status)
    for trace in (b"alice", b"Dawn", FILE.key.encode(), VECTORS.key.encode(), THUMBNAIL.key.encode(), b"jazz", b"s1"):
        assert trace not in told
    change = catalogue_change(status)
    assert change is None or b"alice" not in known.encode(change)


@settings(max_examples=200, deadline=None)
@given(facts=histories(), data=st.data())
def test_nothing_leaves_a_terminal_state_but_to_be_deleted(facts: list[Fact], data: st.DataObject) -> None:
    status, states = blank(), []
    for fact in data.draw(st.permutations(facts)):
        status = merge(status, fact, at(1000))
        states.append(status.state)
    for before, after in itertools.pairwise(states):
        if before in ("published", "rejected"):
            assert after in (before, "deleted")
        if before == "deleted":
            assert after == "deleted"


@settings(max_examples=200, deadline=None)
@given(facts=histories(), data=st.data())
def test_the_sequence_grows_by_one_with_each_new_fact_and_only_then(facts: list[Fact], data: st.DataObject) -> None:
    status = blank()
    for number, fact in enumerate(data.draw(st.permutations(facts)), start=1):
        new = merge(status, fact, at(1000 + number))
        assert new.seq == number
        assert merge(new, fact, at(2000)) is new
        assert [e.at for e in new.timeline] == sorted(e.at for e in new.timeline)
        status = new


@settings(max_examples=100, deadline=None)
@given(facts=histories(), data=st.data())
def test_what_the_catalogue_hears_is_in_order_and_true(facts: list[Fact], data: st.DataObject) -> None:
    """An item is withdrawn only after it was published, and the last word is the state."""
    status, heard = blank(), []
    for fact in data.draw(st.permutations(facts)):
        status = merge(status, fact, at(1000))
        change = catalogue_change(status)
        if change is not None:
            heard.append(change)
    assert [c.change for c in heard] == sorted((c.change for c in heard), key=["published", "withdrawn"].index)
    if heard:
        assert heard[0].change == "published"
    assert (bool(heard) and heard[-1].change == "published") == (status.state == "published")
