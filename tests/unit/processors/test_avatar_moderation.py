"""What becomes of an avatar's event; networks and decoder are fakes, the rules are real."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from features import ownership
from models import face_quality
from models.avatar_moderation import Rules
from models.face_detection import Face
from models.media.limits import Limits
from processors.avatar_moderation.evidence import MOST_COMPARED
from processors.avatar_moderation.policy import Allowed, AvatarPolicy
from schemas.errors import BadEventError, BadMediaError, UnavailableError
from schemas.ids import stable_id
from schemas.review import ReviewRequested
from schemas.topics import AVATAR_MODERATED, FACE_EMBEDDED, REVIEW_REQUESTED
from tests.fakes.runtime import NOW
from tests.unit.processors.avatar_desk import (
    ADULT,
    GALLERY,
    GOOD,
    POLICY,
    Desk,
    Gallery,
    Skills,
    decoded,
    face,
)


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every face is a good one."""
    monkeypatch.setattr(face_quality, "measure", lambda _image, _face: GOOD)
    monkeypatch.setattr(face_quality, "version", lambda: "quality-1")


async def test_a_person_is_approved_and_the_face_told_to_the_search_for_rings() -> None:
    desk = Desk(event={"device": "d", "network": "n"})
    found = await desk.work()
    assert set(found) == {AVATAR_MODERATED.name, FACE_EMBEDDED.name}
    moderated, embedded = found[AVATAR_MODERATED.name], found[FACE_EMBEDDED.name]
    assert (moderated.decision, moderated.reasons, moderated.faces) == ("approve", (), 1)
    assert (moderated.user_id, moderated.source_event_id, moderated.occurred_at) == ("ada", "e1", NOW)
    assert moderated.scores["face.sharpness"] == 1.0
    assert (embedded.vector_version, embedded.device, embedded.network) == ("skills-1", "d", "n")
    assert embedded.vector == (1.0, *(0.0,) * 127)
    assert embedded.picture_sha256 == moderated.object.sha256


async def test_pictures_for_people_lie_with_the_avatar_and_are_of_our_own_encoding() -> None:
    desk = Desk()
    found = await desk.moderated()
    for ref in (found.preview, found.crop):
        assert ref is not None
        assert ref.key.startswith(ownership.avatar_folder("ada", "e1") + "/derived/")
        assert cv2.imdecode(np.frombuffer(desk.objects.data[ref.key], np.uint8), cv2.IMREAD_COLOR) is not None
    again = await desk.moderated()
    assert (again.preview, again.crop) == (found.preview, found.crop)
    assert (await Desk(Skills(faces=((),))).moderated()).crop is None


async def test_the_same_bytes_and_versions_give_the_same() -> None:
    one, two = await Desk().work(), await Desk().work()
    assert one.keys() == two.keys()
    for topic, record in one.items():
        assert _timeless(record) == _timeless(two[topic])


def _timeless(record: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name != "produced_at"}


async def test_a_review_is_asked_for_with_all_that_it_needs() -> None:
    desk = Desk(Skills(attributes=replace(ADULT, child=0.55)), gallery=Gallery(GALLERY), event={"reach": 77})
    rules = replace(POLICY.rules, public_figure=replace(POLICY.rules.public_figure, mode="off"))
    desk.policy = replace(POLICY, rules=rules)
    found = await desk.work()
    asked, moderated = found[REVIEW_REQUESTED.name], found[AVATAR_MODERATED.name]
    assert isinstance(asked, ReviewRequested)
    assert asked.review_id == stable_id("review", "e1", "avatar_moderation")
    assert (asked.subject, asked.subject_id, asked.owner, asked.reach) == ("avatar", "ada", "ada", 77)
    assert (asked.proposed, asked.uncertainty) == ("reject", 1.0)
    assert [reason.code for reason in asked.reasons] == ["avatar-minor"]
    assert asked.reasons == moderated.reasons
    assert asked.pictures == (moderated.crop, moderated.preview)
    assert asked.nearest == moderated.nearest
    assert asked.scores == {**moderated.scores, "child.review": 0.3, "child.reject": 0.8}
    assert found[FACE_EMBEDDED.name].vector == (), "of somebody who may be a child no vector is kept"


async def test_a_public_figure_is_refused_and_named() -> None:
    desk = Desk(gallery=Gallery(GALLERY))
    found = await desk.moderated()
    assert [reason.code for reason in found.reasons] == ["avatar-public-figure"]
    assert [(near.person, near.likeness) for near in found.nearest] == [("Ada", 1.0), ("Bea", 0.0)]
    assert found.nearest[0].picture is not None
    assert found.nearest[0].picture.key == "gallery/a.webp"
    assert (found.scores["celebrity"], found.scores["celebrity.threshold"]) == (1.0, 0.9)
    assert "gallery@abc" in found.model_version
    assert (await desk.face()).vector, "rings like famous faces"


async def test_without_a_gallery_nobody_is_famous_and_it_is_said() -> None:
    found = await Desk().moderated()
    assert "gallery@none" in found.model_version
    assert (found.decision, found.nearest) == ("approve", ())
    assert "celebrity" not in found.scores


async def test_a_gallery_that_is_away_is_waited_for() -> None:
    with pytest.raises(UnavailableError):
        await Desk(gallery=Gallery(UnavailableError("Milvus is away"))).work()


@pytest.mark.parametrize(
    ("faces", "codes", "compared"),
    [
        ((), ["avatar-no-face"], None),
        ((face(100, 0), face(60, 1)), ["avatar-several-people"], 2),
        ((face(40, 1), face(100, 0)), [], 1),
        ((face(100, 3), face(90, 3)), ["avatar-mirror"], 2),
        (tuple(face(100 - at, at) for at in range(12)), ["avatar-several-people"], MOST_COMPARED),
        # twelve times the same: those that were not compared count as other people
        (tuple(face(100, 5) for _ in range(12)), ["avatar-several-people"], MOST_COMPARED),
    ],
)
async def test_how_many_people_there_are(faces: tuple[Face, ...], codes: list[str], compared: int | None) -> None:
    desk = Desk(Skills(faces=(faces,)))
    found = await desk.work()
    moderated = found[AVATAR_MODERATED.name]
    assert [reason.code for reason in moderated.reasons] == codes
    assert moderated.faces == len(faces)
    assert desk.skills.embedded == desk.skills.estimated == ([] if compared is None else [compared])
    assert bool(found[FACE_EMBEDDED.name].vector) is (not codes)


async def test_a_face_that_is_to_be_forgotten_names_no_signal() -> None:
    found = await Desk(Skills(faces=((),)), event={"device": "d", "network": "n"}).face()
    assert (found.vector, found.vector_version, found.picture_sha256, found.device, found.network) == (
        (),
        "",
        "",
        "",
        "",
    )
    assert not found.erased


@pytest.mark.parametrize(
    ("policy", "region"),
    [
        (replace(POLICY, everywhere=Allowed(False, frozenset({"age"}))), "DE"),
        (replace(POLICY, without_matching=frozenset({"US", "DE"})), "DE"),
        (replace(POLICY, without_matching=frozenset({"unknown"})), ""),
    ],
)
async def test_where_faces_may_not_be_compared_none_is(policy: AvatarPolicy, region: str) -> None:
    desk = Desk(policy=policy, gallery=Gallery(GALLERY), event={"region": region})
    found = await desk.work()
    moderated = found[AVATAR_MODERATED.name]
    assert (moderated.decision, moderated.nearest, desk.skills.embedded, desk.gallery.asked) == ("approve", (), [], 0)
    assert found[FACE_EMBEDDED.name].vector == ()
    assert "gallery" not in moderated.model_version
    assert "child" in moderated.scores


async def test_other_regions_are_compared() -> None:
    policy = replace(POLICY, without_matching=frozenset({"US", "unknown"}))
    assert (await Desk(policy=policy, event={"region": "DE"}).face()).vector


@pytest.mark.parametrize(
    ("policy", "region"),
    [
        (replace(POLICY, everywhere=Allowed(True, frozenset())), "DE"),
        (replace(POLICY, without_attributes=frozenset({"DE"})), "DE"),
    ],
)
async def test_where_nothing_may_be_estimated_nothing_is(policy: AvatarPolicy, region: str) -> None:
    policy = replace(policy, published=frozenset({"age", "gender"}))
    desk = Desk(Skills(attributes=replace(ADULT, child=1.0)), policy, event={"region": region})
    found = await desk.moderated()
    assert (found.decision, found.age_years, found.female, desk.skills.estimated) == ("approve", None, None, [])
    assert "child" not in found.scores
    assert "attributes-1" not in found.model_version


@pytest.mark.parametrize(
    ("allowed", "published", "told"),
    [
        ({"age"}, set(), (None, None)),
        ({"age"}, {"age"}, (31.3, None)),
        ({"age", "gender"}, {"age", "gender"}, (31.3, 0.7)),
        ({"gender"}, {"age", "gender"}, (None, 0.7)),
    ],
)
async def test_attributes_are_told_only_where_that_is_wanted(allowed: Any, published: Any, told: Any) -> None:
    policy = replace(POLICY, everywhere=Allowed(True, frozenset(allowed)), published=frozenset(published))
    found = await Desk(policy=policy).moderated()
    assert (found.age_years, found.female) == told
    assert ("child" in found.scores) is ("age" in allowed)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (POLICY, False),
        (replace(POLICY, everywhere=Allowed(True, frozenset({"heads"}))), False),
        (replace(POLICY, everywhere=Allowed(True, frozenset({"heads"})), published=frozenset({"heads"})), True),
        (replace(POLICY, everywhere=Allowed(False, frozenset({"heads"})), published=frozenset({"heads"})), False),
    ],
)
async def test_a_head_of_the_operators_own_scores_only_where_it_is_told(policy: AvatarPolicy, told: bool) -> None:
    head = Head()
    found = await Desk(policy=policy, heads={"smile": head}).moderated()
    assert (head.asked, "head.smile" in found.scores, "head-1" in found.model_version) == (int(told), told, told)
    assert found.decision == "approve"


class Head:
    version = "head-1"

    def __init__(self) -> None:
        self.asked = 0

    def score(self, vectors: Any) -> Any:
        self.asked += 1
        return np.full(len(vectors), 0.25, np.float32)


async def test_an_animation_is_judged_by_its_strictest_picture() -> None:
    skills = Skills(faces=((face(100),), (face(100),), (face(100, 0), face(100, 1)), ()))
    found = await Desk(skills, result=decoded(4)).work()
    moderated = found[AVATAR_MODERATED.name]
    assert [reason.code for reason in moderated.reasons] == ["avatar-several-people", "avatar-no-face"]
    assert (moderated.faces, moderated.crop is not None) == (2, True)
    assert found[FACE_EMBEDDED.name].vector == ()
    fine = await Desk(Skills(faces=((face(100, 7),), (face(100, 7),))), result=decoded(2)).face()
    assert np.argmax(fine.vector) == 7


async def test_an_animation_of_two_people_in_turn_is_asked_about() -> None:
    found = await Desk(Skills(faces=((face(100, 7),), (face(100, 8),))), result=decoded(2)).work()
    moderated = found[AVATAR_MODERATED.name]
    assert (moderated.decision, [reason.code for reason in moderated.reasons]) == ("review", ["avatar-several-people"])
    assert found[FACE_EMBEDDED.name].vector == ()


@pytest.mark.parametrize("code", ["media-truncated", "media-hostile", "media-limit"])
async def test_what_cannot_be_read_is_refused_with_the_decoders_reason(code: str) -> None:
    desk = Desk(result=BadMediaError("no", code=code))
    found = await desk.work()
    moderated = found[AVATAR_MODERATED.name]
    assert (moderated.decision, [reason.code for reason in moderated.reasons]) == ("reject", [code])
    assert (moderated.faces, moderated.scores, moderated.preview, moderated.crop) == (0, {}, None, None)
    assert found[FACE_EMBEDDED.name].vector == (), "the older avatar's face is to be forgotten"
    assert REVIEW_REQUESTED.name not in found


async def test_an_avatar_that_was_erased_meanwhile_leaves_no_trace() -> None:
    desk = Desk()
    # an attempt before this one has put a crop after the erasure had gone by
    await desk.objects.put(f"{ownership.avatar_derived_folder('ada', 'e1')}/crop.jpg", b"face", "image/jpeg")
    assert await desk.work(store=False) == {}
    assert desk.objects.data == {}


async def test_an_avatar_whose_object_is_lost_is_a_dead_letter() -> None:
    desk = Desk()
    await desk.objects.put(f"{ownership.avatar_receipts('ada')}/e1.json", b"{}", "application/json")
    with pytest.raises(BadEventError, match="no object avatars/"):
        await desk.work(store=False)


async def test_other_settings_are_another_version() -> None:
    one = await Desk().moderated()
    others = [
        replace(POLICY, rules=Rules(background=0.3)),
        replace(POLICY, limits=Limits(frame_long_side=640)),
        replace(POLICY, everywhere=Allowed(True, frozenset({"age", "gender"}))),
    ]
    found = [await Desk(policy=policy).moderated() for policy in others]
    assert len({one.model_version, *(each.model_version for each in found)}) == 4
    assert len({one.event_id, *(each.event_id for each in found)}) == 4


async def test_the_decoder_is_given_the_limits_of_the_policy() -> None:
    desk = Desk()
    await desk.work()
    assert desk.analyser.limits == [POLICY.limits]
