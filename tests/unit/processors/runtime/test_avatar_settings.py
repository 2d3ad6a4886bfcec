"""The section ``avatar``: the rules' own defaults, read from the environment, refused where they make no sense."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from models.avatar_moderation import Graded, Rules
from processors.runtime.settings import Settings


def test_the_defaults_are_those_of_the_rules() -> None:
    assert Settings().avatar.rules == Rules()


def test_a_rule_is_set_by_its_two_thresholds_and_its_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERTURE_AVATAR__BLURRED", '[0.5, 0.1, "review"]')
    monkeypatch.setenv("OVERTURE_AVATAR__NO_FACE", "review")
    monkeypatch.setenv("OVERTURE_AVATAR__REGIONS_WITHOUT_MATCHING", '["DE", "unknown"]')
    avatar = Settings().avatar
    assert (avatar.rules.blurred, avatar.rules.no_face) == (Graded(0.5, 0.1, "review"), "review")
    assert avatar.regions_without_matching == ("DE", "unknown")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BLURRED", '[0.1, 0.5, "reject"]', "blurred: 0.1"),
        ("MINOR", '[0.8, 0.3, "reject"]', "minor: 0.8"),
        ("MINOR", '[0.3, 0.8, "maybe"]', "avatar.minor"),
        ("NO_FACE", "maybe", "avatar.no_face"),
        ("REGIONS_WITHOUT_MATCHING", '["Germany"]', "avatar.regions_without_matching"),
        ("ATTRIBUTES", '["beauty"]', "avatar.attributes"),
        ("HEADS", '["smile"]', "cards"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OVERTURE_AVATAR__{name}", value)
    with pytest.raises(ValidationError, match=says):
        Settings()
