"""Planted decisions: the border at which people begin to refuse is found, and nothing is said of too few."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from processors.runtime.settings import Settings
from processors.tools.moderation.borders import FEWEST, Share, border
from processors.tools.moderation.calibration import Finding, as_json, calibrate, rules_of
from schemas.common import Reason
from schemas.review import ReviewDecided
from tests.fakes.runtime import NOW

RULES = rules_of(Settings())
TARGET = 0.95


def decided(number: int, score: str, value: float, codes: tuple[str, ...], **changes: Any) -> ReviewDecided:
    known: dict[str, Any] = {
        "event_id": f"e{number}",
        "review_id": f"r{number}",
        "subject": "media",
        "subject_id": f"m{number}",
        "source_event_id": "s",
        "occurred_at": NOW,
        "decided_at": NOW,
        "decision": "reject" if codes else "approve",
        "reasons": tuple(Reason(code=code, text="t") for code in codes),
        "asked": ("image-nsfw",),
        "scores": {score: value},
        "model_version": "1",
    }
    return ReviewDecided(**(known | changes))


def planted(count: int, at: float, seed: int = 0, noise: float = 0.0) -> list[ReviewDecided]:
    """Nudity scores in the band of review; people refuse from ``at`` on, and err now and then."""
    drawing = np.random.default_rng(seed)
    found = []
    for number, value in enumerate(drawing.uniform(0.5, 0.8, count)):
        refuse = (value >= at) != (drawing.random() < noise)
        found.append(decided(number, "nsfw", float(value), ("image-nsfw",) if refuse else ()))
    return found


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def test_a_planted_border_is_found_and_lies_in_its_interval() -> None:
    found = only(calibrate(planted(600, 0.7), RULES, TARGET))
    assert found.reject is not None
    assert found.approve is not None
    assert abs(found.reject.score - 0.7) < 0.015
    assert found.reject.low <= found.reject.score <= found.reject.high
    assert found.reject.precision.value >= TARGET
    assert found.reject.recall.value == 1.0
    assert abs(found.approve.score - 0.7) < 0.025
    # nothing was refused without a review, so nothing is known beyond the present border
    assert found.beyond.cases == 0
    assert math.isnan(found.beyond.value)
    values = dict(line.split("=") for line in found.lines)
    assert set(values) == {"OVERTURE_MODERATION__NSFW_REVIEW", "OVERTURE_MODERATION__NSFW_REJECT"}
    assert float(values["OVERTURE_MODERATION__NSFW_REVIEW"]) <= float(values["OVERTURE_MODERATION__NSFW_REJECT"])
    assert abs(float(values["OVERTURE_MODERATION__NSFW_REJECT"]) - 0.7) < 0.015


@pytest.mark.parametrize("seed", range(5))
def test_moderators_who_err_move_the_border_as_far_as_the_precision_says(seed: int) -> None:
    """One in twenty decided wrongly, refused from 0.65 on: 90 % of the cases from t on are refused at t = 0.6412."""
    found = only(calibrate(planted(4000, 0.65, seed, noise=0.05), RULES, 0.9)).reject
    fewer = only(calibrate(planted(200, 0.65, seed, noise=0.05), RULES, 0.9)).reject
    assert found is not None
    assert fewer is not None
    assert abs(found.score - 0.6412) < 0.008
    assert found.low - 0.002 <= 0.6412 <= found.high + 0.002
    assert fewer.high - fewer.low > found.high - found.low


def test_a_rule_of_which_less_is_worse() -> None:
    drawing = np.random.default_rng(1)
    cases = [
        decided(
            number,
            "face.sharpness",
            float(value),
            ("avatar-blurred",) if value < 0.3 else (),
            subject="avatar",
            asked=("avatar-blurred",),
        )
        for number, value in enumerate(drawing.uniform(0.1, 0.5, 300))
    ]
    found = only(calibrate(cases, RULES, TARGET))
    assert found.reject is not None
    assert abs(found.reject.score - 0.3) < 0.02
    assert found.beyond.value == 1.0
    (line,) = found.lines
    name, _, value = line.partition("=")
    assert name == "OVERTURE_AVATAR__BLURRED"
    review, reject, mode = json.loads(value)
    assert review >= reject
    assert mode == "reject"
    assert Settings(avatar={"blurred": (review, reject, mode)}).avatar.blurred == (review, reject, mode)  # type: ignore[arg-type]


def test_of_too_few_nothing_is_said() -> None:
    found = only(calibrate(planted(FEWEST - 1, 0.7), RULES, TARGET))
    assert (found.enough, found.reject, found.approve, found.lines) == (False, None, None, ())
    assert only(calibrate(planted(FEWEST, 0.7), RULES, TARGET)).enough


def test_no_border_where_people_do_not_follow_the_score() -> None:
    drawing = np.random.default_rng(2)
    cases = [
        decided(number, "nsfw", float(value), ("image-nsfw",) if drawing.random() < 0.5 else ())
        for number, value in enumerate(drawing.uniform(0.5, 0.8, 300))
    ]
    found = only(calibrate(cases, RULES, TARGET))
    assert (found.reject, found.approve, found.lines) == (None, None, ())


def test_a_case_counts_once_and_only_for_what_was_asked() -> None:
    cases = planted(40, 0.7)
    other = [decided(99, "nsfw", 0.6, (), asked=("text-blocked",)), decided(98, "text.title", 0.6, (), asked=())]
    assert only(calibrate([*cases, *cases, *other], RULES, TARGET)).cases == 40


def test_refused_for_something_else_is_no_hit_but_for_the_rules_at_large_is() -> None:
    for code, hits in (("text-blocked", 0), ("review-rejected", 1), ("image-nsfw", 1)):
        found = only(calibrate([decided(1, "nsfw", 0.6, (code,))], RULES, TARGET))
        assert found.rejected == Share.of(hits, 1)


def test_of_several_texts_the_worst_counts() -> None:
    case = decided(1, "text.title", 0.7, ("text-blocked",), asked=("text-blocked",))
    scores = {"text.title": 0.7, "text.text": 0.2, "text.title.classifier": 0.99}
    assert only(calibrate([ReviewDecided(**(vars(case) | {"scores": scores}))], RULES, TARGET)).rejected.value == 1.0


def test_every_rule_that_asks_by_a_threshold_has_lines_that_settings_take() -> None:
    for rule in RULES:
        for line in rule.settings:
            section, _, field = line.split("=")[0].removeprefix("OVERTURE_").lower().partition("__")
            assert hasattr(getattr(Settings(), section), field), line


def test_what_is_written_for_programs_is_json_without_nan() -> None:
    document = json.loads(as_json(calibrate(planted(60, 0.7), RULES, TARGET), TARGET), parse_constant=pytest.fail)
    assert document["rules"][0]["beyond"]["value"] is None
    assert document["rules"][0]["lines"]


def test_shares_have_the_intervals_of_the_textbook() -> None:
    share = Share.of(8, 10)
    assert (round(share.low, 3), round(share.high, 3)) == (0.490, 0.943)
    assert Share.of(0, 10).low == 0.0
    assert border([0.5] * 40, [True] * 20 + [False] * 20, 0.9, rising=True) is None
