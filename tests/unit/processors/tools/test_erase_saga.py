"""What an erasure waits for: that no state's newest record tells of the user from before it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from features import ownership
from features.ports import FeatureRow
from features.views import USER_AVATAR
from processors.tools.erase import saga
from processors.tools.erase.saga import is_blank, remains
from schemas.fraud import FaceKept, RingSuspected
from schemas.record import Record
from schemas.review import ReviewCase, ReviewRequested
from schemas.user import AvatarSettled, FaceEmbedded, UserErased
from tests.fakes.features import MemoryFeatures, MemoryObjects
from tests.fakes.runtime import at

UNTIL = at(10)
FACE = FaceEmbedded(event_id="f", source_event_id="a", occurred_at=at(5), user_id="ada", vector=(1.0,))


def case(second: float, **about: Any) -> ReviewCase:
    request = ReviewRequested(
        event_id="q",
        review_id="c",
        subject="avatar",
        subject_id="x",
        source_event_id="a",
        occurred_at=at(second),
        produced_at=at(second),
        capability="avatar_moderation",
        model_version="1",
        **about,
    )
    return ReviewCase(review_id="c", seq=1, state="waiting", changed_at=at(second), request=request)


def ring(second: float, *members: str) -> RingSuspected:
    return RingSuspected(
        event_id="r", occurred_at=at(second), ring_id="r", state="suspected", members=members, model_version="1"
    )


@pytest.mark.parametrize(
    ("record", "blank"),
    [
        (AvatarSettled(user_id="ada", seq=3, changed_at=at(5), state="approved"), False),
        (AvatarSettled(user_id="ada", seq=3, changed_at=at(9), state="erased", erased_at=at(9)), False),
        (AvatarSettled(user_id="ada", seq=4, changed_at=at(10), state="erased", erased_at=at(10)), True),
        (FaceKept(user_id="ada", face=FACE), False),
        (FaceKept(user_id="ada", erased_at=at(10)), True),
        (case(5, owner="ada"), False),
        (case(5, members=("ada", "bob")), False),
        (case(5, owner="bob"), True),
        (case(11, owner="ada"), True),
        (ReviewCase(review_id="c", seq=2, state="withdrawn", changed_at=at(10)), True),
        (ring(5, "ada", "bob"), False),
        (ring(5, "bob", "eve"), True),
        (ring(11, "ada", "bob"), True),
    ],
)
def test_what_tells_of_a_user_from_before(record: Record, blank: bool) -> None:
    assert is_blank(record, "ada", UNTIL) == blank


async def test_a_crop_that_was_stored_after_its_avatar_had_gone_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    objects, features = MemoryObjects(), MemoryFeatures(lambda: at(20))
    monkeypatch.setattr(saga, "_unmerged", lambda *_: [])
    wiring: Any = SimpleNamespace(objects=objects, feature_reader=features, erasure_settle=timedelta(0))
    event = UserErased(event_id="x", occurred_at=UNTIL, user_id="ada", requested_by="test")
    assert await remains(wiring, event, frozenset()) == []
    key = f"{ownership.avatar_derived_folder('ada', 'old')}/crop.jpg"
    await objects.put(key, b"face", "image/jpeg")
    assert await remains(wiring, event, frozenset()) == [f"object {key} is there"]
    # of an avatar chosen since, which another producer has announced
    values = dict.fromkeys(("decision", "decided_by", "model_version"), "x") | {"event_id": "old"}
    row = FeatureRow("ada", at(11), {name: values.get(name) for name in USER_AVATAR.fields})
    features.rows[USER_AVATAR.name, "ada"] = row
    assert await remains(wiring, event, frozenset()) == []
    await ownership.forget_avatar(objects, "ada", "old")
    assert objects.data == {}
