"""The table of decisions on avatars: each rule alone on both sides of each threshold, their modes, their precedence."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from models.avatar_moderation import (
    UNUSABLE,
    Evidence,
    Graded,
    Mode,
    OtherFace,
    Rules,
    _graded,
    _told,
    borders,
    judge,
    strictest,
)
from models.face_quality import FaceQuality
from models.picture_kind import PictureKind
from schemas.errors import REJECTION_CODES

PHOTO = PictureKind(photo=1.0, drawing=0.0, screenshot=0.0, code=0.0, statue=0.0, screen=0.0)
GOOD = FaceQuality(
    side_px=300, sharpness=0.9, brightness=0.5, contrast=0.3, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0, occlusion=0.0
)
PERSON = Evidence(
    1000,
    800,
    0.01,
    PHOTO,
    quality=GOOD,
    face_score=0.9,
    child=0.0,
    celebrity=0.2,
    celebrity_threshold=0.85,
)
RULES = Rules(
    background=0.5,
    mirror=Graded(0.9, 0.95),
    changing=Graded(0.8, 0.7),
    public_figure=Graded(-0.05, 0.0),
    minor=Graded(0.3, 0.8),
    nudity=Graded(0.5, 0.8),
    face_small=Graded(64.0, 48.0),
    blurred=Graded(0.4, 0.25),
    dark=Graded(0.2, 0.1),
    bright=Graded(0.8, 0.9),
    flat=Graded(0.06, 0.03),
    occluded=Graded(0.4, 0.6),
    yaw=Graded(45.0, 60.0),
    pitch=Graded(35.0, 50.0),
    roll=Graded(50.0, 70.0),
    drawing=Graded(0.5, 0.8),
    statue=Graded(0.5, 0.9),
    screenshot=Graded(0.5, 0.8),
    code=Graded(0.5, 0.9),
    screen=Graded(0.6, 0.9),
    aspect=Graded(3.0, 5.0),
)
"""Not the defaults: the table holds whatever they become."""


def with_quality(name: str, value: float) -> Evidence:
    return replace(PERSON, quality=replace(GOOD, **{name: value}))


def with_kind(name: str, value: float) -> Evidence:
    return replace(PERSON, kind=replace(PHOTO, **{name: value}))


def beside(*others: OtherFace) -> Evidence:
    return replace(PERSON, others=others)


def shaped(width: int, height: int) -> Evidence:
    return replace(PERSON, width_px=width, height_px=height)


FACELESS = replace(PERSON, quality=None, face_score=None, child=None, celebrity=None, celebrity_threshold=None)
BLURRED = with_quality("sharpness", 0.1)

TABLE: list[tuple[Evidence, str, tuple[str, ...]]] = [
    (PERSON, "approve", ()),
    # one person: none, several, small ones behind, one of unknown likeness
    (FACELESS, "reject", ("avatar-no-face",)),
    (beside(OtherFace(0.49, 0.1)), "approve", ()),
    (beside(OtherFace(0.5, 0.1)), "reject", ("avatar-several-people",)),
    (beside(OtherFace(1.0)), "reject", ("avatar-several-people",)),
    # the same person twice
    (beside(OtherFace(0.49, 1.0)), "approve", ()),
    (beside(OtherFace(0.5, 0.8999)), "reject", ("avatar-several-people",)),
    (beside(OtherFace(0.5, 0.9)), "review", ("avatar-mirror",)),
    (beside(OtherFace(0.5, 0.9499)), "review", ("avatar-mirror",)),
    (beside(OtherFace(0.5, 0.95)), "reject", ("avatar-mirror",)),
    (beside(OtherFace(0.9, 0.97), OtherFace(0.9, 0.2)), "reject", ("avatar-several-people", "avatar-mirror")),
    # another person in another picture of an animation
    (replace(PERSON, alike=0.8), "approve", ()),
    (replace(PERSON, alike=0.7999), "review", ("avatar-several-people",)),
    (replace(PERSON, alike=0.7), "review", ("avatar-several-people",)),
    (replace(PERSON, alike=0.6999), "reject", ("avatar-several-people",)),
    # public figures, relative to the gallery's threshold
    (replace(PERSON, celebrity=0.7999), "approve", ()),
    (replace(PERSON, celebrity=0.80), "review", ("avatar-public-figure",)),
    (replace(PERSON, celebrity=0.8499), "review", ("avatar-public-figure",)),
    (replace(PERSON, celebrity=0.85), "reject", ("avatar-public-figure",)),
    (replace(PERSON, celebrity=0.85, celebrity_threshold=0.95), "approve", ()),
    (replace(PERSON, celebrity=None, celebrity_threshold=None), "approve", ()),
    # children
    (replace(PERSON, child=0.2999), "approve", ()),
    (replace(PERSON, child=0.3), "review", ("avatar-minor",)),
    (replace(PERSON, child=0.7999), "review", ("avatar-minor",)),
    (replace(PERSON, child=0.8), "reject", ("avatar-minor",)),
    (replace(PERSON, child=None), "approve", ()),
    # nudity
    (replace(PERSON, nsfw=0.4999), "approve", ()),
    (replace(PERSON, nsfw=0.5), "review", ("image-nsfw",)),
    (replace(PERSON, nsfw=0.7999), "review", ("image-nsfw",)),
    (replace(PERSON, nsfw=0.8), "reject", ("image-nsfw",)),
    # size of the face
    (with_quality("side_px", 64), "approve", ()),
    (with_quality("side_px", 63), "review", ("avatar-face-small",)),
    (with_quality("side_px", 48), "review", ("avatar-face-small",)),
    (with_quality("side_px", 47), "reject", ("avatar-face-small",)),
    # sharpness
    (with_quality("sharpness", 0.4), "approve", ()),
    (with_quality("sharpness", 0.3999), "review", ("avatar-blurred",)),
    (with_quality("sharpness", 0.25), "review", ("avatar-blurred",)),
    (with_quality("sharpness", 0.2499), "reject", ("avatar-blurred",)),
    # light
    (with_quality("brightness", 0.2), "approve", ()),
    (with_quality("brightness", 0.1999), "review", ("avatar-dark",)),
    (with_quality("brightness", 0.1), "review", ("avatar-dark",)),
    (with_quality("brightness", 0.0999), "reject", ("avatar-dark",)),
    (with_quality("brightness", 0.7999), "approve", ()),
    (with_quality("brightness", 0.8), "review", ("avatar-dark",)),
    (with_quality("brightness", 0.8999), "review", ("avatar-dark",)),
    (with_quality("brightness", 0.9), "reject", ("avatar-dark",)),
    (with_quality("contrast", 0.06), "approve", ()),
    (with_quality("contrast", 0.0599), "review", ("avatar-dark",)),
    (with_quality("contrast", 0.03), "review", ("avatar-dark",)),
    (with_quality("contrast", 0.0299), "reject", ("avatar-dark",)),
    # what covers the face
    (with_quality("occlusion", 0.3999), "approve", ()),
    (with_quality("occlusion", 0.4), "review", ("avatar-occluded",)),
    (with_quality("occlusion", 0.5999), "review", ("avatar-occluded",)),
    (with_quality("occlusion", 0.6), "reject", ("avatar-occluded",)),
    # pose, either way
    (with_quality("yaw_deg", -44.9), "approve", ()),
    (with_quality("yaw_deg", 45.0), "review", ("avatar-turned",)),
    (with_quality("yaw_deg", -45.0), "review", ("avatar-turned",)),
    (with_quality("yaw_deg", 59.9), "review", ("avatar-turned",)),
    (with_quality("yaw_deg", -60.0), "reject", ("avatar-turned",)),
    (with_quality("pitch_deg", 34.9), "approve", ()),
    (with_quality("pitch_deg", -35.0), "review", ("avatar-turned",)),
    (with_quality("pitch_deg", 49.9), "review", ("avatar-turned",)),
    (with_quality("pitch_deg", 50.0), "reject", ("avatar-turned",)),
    (with_quality("roll_deg", 49.9), "approve", ()),
    (with_quality("roll_deg", -50.0), "review", ("avatar-turned",)),
    (with_quality("roll_deg", 69.9), "review", ("avatar-turned",)),
    (with_quality("roll_deg", 180.0), "reject", ("avatar-turned",)),
    # kinds of pictures
    *(
        case
        for kind, review, reject in (
            ("drawing", 0.5, 0.8),
            ("statue", 0.5, 0.9),
            ("screenshot", 0.5, 0.8),
            ("code", 0.5, 0.9),
            ("screen", 0.6, 0.9),
        )
        for case in (
            (with_kind(kind, review - 0.0001), "approve", ()),
            (with_kind(kind, review), "review", (f"avatar-{kind}",)),
            (with_kind(kind, reject - 0.0001), "review", (f"avatar-{kind}",)),
            (with_kind(kind, reject), "reject", (f"avatar-{kind}",)),
        )
    ),
    # shape, either way
    (shaped(2999, 1000), "approve", ()),
    (shaped(3000, 1000), "review", ("avatar-aspect",)),
    (shaped(1000, 4999), "review", ("avatar-aspect",)),
    (shaped(1000, 5000), "reject", ("avatar-aspect",)),
    (shaped(20, 400), "reject", ("avatar-aspect",)),
    # precedence: only the reasons of the final decision, each once, in the order of the rules
    (replace(BLURRED, nsfw=0.6, child=0.9), "reject", ("avatar-minor", "avatar-blurred")),
    (replace(with_quality("brightness", 0.15), nsfw=0.6), "review", ("image-nsfw", "avatar-dark")),
    (replace(PERSON, quality=replace(GOOD, brightness=0.0, contrast=0.0)), "reject", ("avatar-dark",)),
    (replace(FACELESS, kind=replace(PHOTO, code=1.0)), "reject", ("avatar-no-face", "avatar-code")),
]


@pytest.mark.parametrize(("evidence", "decision", "codes"), TABLE)
def test_decision_table(evidence: Evidence, decision: str, codes: tuple[str, ...]) -> None:
    verdict = judge(evidence, RULES)
    assert (verdict.decision, tuple(reason.code for reason in verdict.reasons)) == (decision, codes)
    assert set(codes) <= set(REJECTION_CODES)


def test_the_table_has_every_code_as_a_review_and_as_a_rejection() -> None:
    avatar = {code for code in REJECTION_CODES if code.startswith("avatar-")} | {"image-nsfw"}
    seen = {outcome: {code for _, found, codes in TABLE if found == outcome for code in codes} for outcome in MODES}
    assert seen["reject"] == avatar
    assert seen["review"] == avatar - {"avatar-no-face"}, "which is not graded"
    assert avatar >= UNUSABLE


MODES: tuple[Mode, ...] = ("reject", "review", "off")


@pytest.mark.parametrize(
    "evidence", [each for each, decision, codes in TABLE if decision == "reject" and len(codes) == 1]
)
def test_a_rule_can_ask_or_be_off_in_place_of_refusing(evidence: Evidence) -> None:
    found = {mode: judge(evidence, _all_in(mode)) for mode in MODES}
    assert [each.decision for each in found.values()] == ["reject", "review", "approve"]
    assert [r.code for r in found["reject"].reasons] == [r.code for r in found["review"].reasons]
    assert found["off"].scores == found["reject"].scores, "what is not judged is still told"


def _all_in(mode: Mode) -> Rules:
    values: dict[str, Any] = {field.name: getattr(RULES, field.name) for field in fields(Rules)}
    changed = {name: replace(value, mode=mode) for name, value in values.items() if isinstance(value, Graded)}
    return replace(RULES, no_face=mode, several_people=mode, **changed)


def test_a_rejection_says_the_sentence_of_its_code_and_a_review_that_somebody_looks() -> None:
    assert judge(BLURRED, RULES).reasons[0].text == REJECTION_CODES["avatar-blurred"]
    review = judge(with_quality("sharpness", 0.3), RULES).reasons[0].text
    assert "A person will look" in review
    assert REJECTION_CODES["avatar-blurred"] in review


def test_scores_are_named_and_rounded() -> None:
    evidence = replace(beside(OtherFace(0.7, 0.9123456789)), nsfw=1 / 3)
    assert judge(evidence, RULES).scores == {
        "nsfw": 0.333333,
        "aspect": 1.25,
        "faces": 2.0,
        "people": 1.0,
        "mirror": 0.912346,
        "kind.photo": 1.0,
        "kind.drawing": 0.0,
        "kind.screenshot": 0.0,
        "kind.code": 0.0,
        "kind.statue": 0.0,
        "kind.screen": 0.0,
        "face.side_px": 300.0,
        "face.sharpness": 0.9,
        "face.brightness": 0.5,
        "face.contrast": 0.3,
        "face.yaw": 0.0,
        "face.pitch": 0.0,
        "face.roll": 0.0,
        "face.occlusion": 0.0,
        "face.score": 0.9,
        "child": 0.0,
        "celebrity": 0.2,
        "celebrity.threshold": 0.85,
        "celebrity.margin": -0.65,
    }
    assert {"child", "celebrity", "face.score"}.isdisjoint(judge(FACELESS, RULES).scores)


def test_what_is_judged_is_the_rounded_score() -> None:
    assert judge(replace(PERSON, child=0.29999997), RULES).decision == "review"


@pytest.mark.parametrize(
    ("evidence", "proposed", "uncertainty"),
    [
        (PERSON, "approve", 0.0),
        (replace(PERSON, child=0.3), "approve", 0.0),
        (replace(PERSON, child=0.425), "approve", 0.5),
        (replace(PERSON, child=0.55), "reject", 1.0),
        (replace(PERSON, child=0.675), "reject", 0.5),
        (with_quality("sharpness", 0.325), "reject", 1.0),
        (with_quality("sharpness", 0.3625), "approve", 0.5),
        (FACELESS, "reject", 0.0),
    ],
)
def test_what_is_proposed_and_how_uncertain_it_is(evidence: Evidence, proposed: str, uncertainty: float) -> None:
    verdict = judge(evidence, RULES)
    assert (verdict.proposed, verdict.uncertainty) == (proposed, pytest.approx(uncertainty, abs=1e-6))


@pytest.mark.parametrize(
    ("evidence", "usable"),
    [
        (PERSON, True),
        (replace(PERSON, celebrity=0.99), True),
        (replace(PERSON, nsfw=0.99), True),
        (with_quality("sharpness", 0.3), True),
        (BLURRED, False),
        (FACELESS, False),
        (beside(OtherFace(1.0, 0.1)), False),
        (beside(OtherFace(1.0, 0.99)), False),
        (beside(OtherFace(1.0, 0.92)), False),
        (beside(OtherFace(0.2, 0.1)), True),
        (replace(PERSON, child=0.3), False),
        (with_kind("drawing", 0.9), False),
    ],
)
def test_which_faces_are_compared_with_other_accounts(evidence: Evidence, usable: bool) -> None:
    assert judge(evidence, RULES).usable_face is usable


def test_several_people_are_no_usable_face_even_where_they_are_allowed() -> None:
    assert not judge(beside(OtherFace(1.0, 0.1)), replace(RULES, several_people="off")).usable_face


def test_the_strictest_picture_of_an_animation_decides() -> None:
    fine, asked, blurred, faceless = (
        judge(each, RULES) for each in (PERSON, with_kind("statue", 0.6), BLURRED, FACELESS)
    )
    assert strictest([fine, fine]) == (0, fine)
    assert strictest([fine, asked])[0] == 1
    index, found = strictest([fine, blurred, asked, faceless, blurred])
    assert (index, found.decision) == (1, "reject")
    assert [reason.code for reason in found.reasons] == ["avatar-blurred", "avatar-no-face"]
    assert found.scores == blurred.scores
    assert not found.usable_face


def test_every_setting_is_part_of_the_version() -> None:
    versions = {RULES.version, Rules().version}
    for field in fields(Rules):
        value = getattr(RULES, field.name)
        if isinstance(value, Graded):
            others: list[Any] = [replace(value, mode="off"), replace(value, review=value.reject)]
        else:
            others = ["off"] if isinstance(value, str) else [value / 2]
        versions |= {replace(RULES, **{field.name: other}).version for other in others}
    assert len(versions) == 2 + 3 + 2 * (len(fields(Rules)) - 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"background": 1.1}, "background"),
        ({"minor": Graded(0.8, 0.3)}, "minor"),
        ({"blurred": Graded(0.2, 0.4)}, "blurred"),
        ({"aspect": Graded(math.nan, 5.0)}, "aspect"),
    ],
)
def test_rules_that_make_no_sense_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(RULES, **changes)


@pytest.mark.parametrize(
    "changes", [{"width_px": 0}, {"nsfw": math.nan}, {"celebrity": None}, {"quality": replace(GOOD, yaw_deg=math.inf)}]
)
def test_evidence_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"0 x|finite|threshold"):
        replace(PERSON, **changes)


def test_whoever_looks_sees_the_thresholds_of_the_rules_that_spoke() -> None:
    rules = Rules()
    scores = {"face.sharpness": 0.3, "face.yaw": -50.0, "face.roll": 3.0, "face.occlusion": 0.1}
    assert borders(scores, rules) == {
        "face.sharpness.review": rules.blurred.review,
        "face.sharpness.reject": rules.blurred.reject,
        "face.yaw.review": rules.yaw.review,
        "face.yaw.reject": rules.yaw.reject,
    }
    assert borders({"face.yaw": 89.0}, replace(rules, yaw=replace(rules.yaw, mode="off"))) == {}


@pytest.mark.parametrize(
    ("scores", "codes"),
    [
        ({"face.brightness": 0.05, "kind.drawing": 0.99}, ["avatar-dark"]),
        ({"face.side_px": 20.0, "kind.statue": 0.99, "kind.screen": 0.99}, ["avatar-face-small"]),
        ({"kind.drawing": 0.99, "child": 0.99}, ["avatar-drawing"]),
        ({"kind.code": 1.0, "kind.drawing": 0.99}, ["avatar-code"]),
        ({"face.sharpness": 0.01, "kind.drawing": 0.99}, ["avatar-blurred", "avatar-drawing"]),
        # what only asks hides nothing
        ({"face.brightness": 0.19, "kind.drawing": 0.99}, ["avatar-drawing"]),
    ],
)
def test_wrong_words_do_not_stand_beside_the_right_ones(scores: dict[str, float], codes: list[str]) -> None:
    rules = Rules()
    found = _told(*_graded(scores, rules))
    refused = [each.code for each in found if each.outcome == "reject"]
    assert list(dict.fromkeys(refused)) == codes
