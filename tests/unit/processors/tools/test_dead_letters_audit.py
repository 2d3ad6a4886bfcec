"""What was done with dead letters."""

from __future__ import annotations

from processors.tools.dlq.audit import Audit, Run
from processors.tools.dlq.letters import Place
from schemas import topics
from tests.fakes.runtime import NOW, at
from tests.unit.processors.tools.letters import MODERATION, PLAYS, letter


def run() -> Run:
    return Run("run", "ada", "why", 1)


def test_states_of_a_letter() -> None:
    audit, found = Audit(), letter()
    assert audit.state(found) == "open"
    audit.add(run().handled(found, "replayed", 1, NOW, Place("t", 0, 1)))
    assert audit.state(found) == "replayed"
    audit.add(run().handled(found, "purged", 1, NOW))
    audit.add(run().handled(found, "replayed", 2, NOW, Place("t", 0, 2)))
    assert audit.state(found) == "purged"
    assert audit.times(found, "replayed") == 2
    assert audit.state(letter(offset=1)) == "open"


def test_an_event_given_up_again_is_linked_to_its_replay() -> None:
    audit, first = Audit(), letter(offset=0)
    audit.add(run().handled(first, "replayed", 1, at(10), Place("content-moderation.retry-2000ms.v1", 5, 0)))
    again = audit.replay_of(letter(offset=3, seconds=11))
    assert again is not None
    assert again.place == str(first.place)
    assert audit.replay_of(first) is None
    assert audit.replay_of(letter(offset=1, seconds=9)) is None, "written before the replay"
    assert audit.replay_of(letter(offset=3, seconds=11, origin=Place(MODERATION.consumes[0].name, 5, 78))) is None
    assert audit.replay_of(letter(offset=3, seconds=11, origin=None)) is None


def test_an_event_with_a_new_origin_is_linked_too() -> None:
    audit, new = Audit(), Place(topics.SONG_PLAYED.name, 5, 500)
    audit.add(run().handled(letter(PLAYS), "replayed", 1, at(10), new))
    again = audit.replay_of(letter(PLAYS, offset=3, seconds=11, origin=new))
    assert again is not None
    assert again.place == str(letter(PLAYS).place)


def test_the_newest_replay_is_the_one() -> None:
    audit = Audit()
    for number, seconds in ((0, 10), (3, 20)):
        audit.add(run().handled(letter(offset=number), "replayed", 1, at(seconds), Place("retry", 0, number)))
    again = audit.replay_of(letter(offset=9, seconds=30))
    assert again is not None
    assert again.place == str(letter(offset=3).place)
