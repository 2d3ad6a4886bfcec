"""The table of decisions: each rule alone, their precedence, their edges."""

import math

import pytest

from models.content_moderation import Evidence, Rules, judge
from models.text_moderation import TextScores
from schemas.common import Appearance
from schemas.errors import REJECTION_CODES

RULES = Rules()


def text(score: float, category: str = "abuse") -> tuple[tuple[str, TextScores], ...]:
    return (("title", TextScores((), score, {category: score}, score, category)),)


FINE = {"has_audio": True, "silence_share": 0.1, "duration_ms": 60_000}


@pytest.mark.parametrize(
    ("evidence", "decision", "codes"),
    [
        (Evidence("post"), "approve", ()),
        (Evidence("video", nsfw=(0.1,) * 20, texts=text(0.2), **FINE), "approve", ()),
        # one picture
        (Evidence("post", nsfw=(0.49,)), "approve", ()),
        (Evidence("post", nsfw=(0.5,)), "review", ("image-nsfw",)),
        (Evidence("post", nsfw=(0.8,)), "reject", ("image-nsfw",)),
        # people: who it is decides nothing unless the rules say so
        (Evidence("post", people=(Appearance(person="ada", likeness=0.9, pictures=1, first_ms=0),)), "approve", ()),
        # frames: one outlier, two, one that is certain, an outlier of a very short video
        (Evidence("video", nsfw=(*(0.1,) * 20, 0.9), **FINE), "review", ("image-nsfw",)),
        (Evidence("video", nsfw=(*(0.1,) * 20, 0.8, 0.8), **FINE), "reject", ("image-nsfw",)),
        (Evidence("video", nsfw=(*(0.1,) * 20, 0.95), **FINE), "reject", ("image-nsfw",)),
        (Evidence("video", nsfw=(0.1, 0.85), **FINE), "reject", ("image-nsfw",)),
        (Evidence("video", nsfw=(0.6, 0.1, 0.1), **FINE), "review", ("image-nsfw",)),
        (Evidence("video", nsfw=(0.79,) * 50, **FINE), "review", ("image-nsfw",)),
        # text
        (Evidence("post", texts=text(0.59)), "approve", ()),
        (Evidence("post", texts=text(0.6)), "review", ("text-blocked",)),
        (Evidence("post", texts=text(0.9)), "reject", ("text-blocked",)),
        (Evidence("post", texts=text(0.99, "self-harm")), "review", ("text-blocked",)),
        (Evidence("post", texts=text(0.1) + text(0.95)), "reject", ("text-blocked",)),
        # sound
        (Evidence("audio", **FINE), "approve", ()),
        (Evidence("audio", has_audio=True, silence_share=0.98, duration_ms=9000), "reject", ("media-silent",)),
        (Evidence("audio", has_audio=False, duration_ms=9000), "reject", ("media-silent",)),
        (Evidence("video", has_audio=True, silence_share=1.0, duration_ms=9000), "approve", ()),
        (Evidence("video", has_audio=False, duration_ms=9000), "approve", ()),
        (Evidence("audio", has_audio=True, silence_share=0.0, duration_ms=999), "reject", ("media-too-short",)),
        (Evidence("audio", has_audio=True, silence_share=0.0, duration_ms=1000), "approve", ()),
        (Evidence("video", duration_ms=499), "reject", ("media-too-short",)),
        (Evidence("post", duration_ms=1), "approve", ()),
        # precedence: only the reasons of the final decision are given, each once
        (Evidence("post", nsfw=(0.6,), texts=text(0.95)), "reject", ("text-blocked",)),
        (Evidence("post", nsfw=(0.6,), texts=text(0.7) + text(0.8)), "review", ("image-nsfw", "text-blocked")),
        (
            Evidence("audio", texts=text(0.95), has_audio=True, silence_share=1.0, duration_ms=10),
            "reject",
            ("text-blocked", "media-too-short", "media-silent"),
        ),
    ],
)
def test_decision_table(evidence: Evidence, decision: str, codes: tuple[str, ...]) -> None:
    verdict = judge(evidence, RULES)
    assert (verdict.decision, tuple(reason.code for reason in verdict.reasons)) == (decision, codes)
    assert set(codes) <= set(REJECTION_CODES)


def test_a_rejection_says_the_sentence_of_its_code_and_a_review_does_not() -> None:
    rejected = judge(Evidence("post", nsfw=(0.9,)), RULES).reasons[0]
    review = judge(Evidence("post", nsfw=(0.6,)), RULES).reasons[0]
    assert rejected.text == REJECTION_CODES["image-nsfw"]
    assert "a person will look" in review.text


def test_scores_are_named() -> None:
    verdict = judge(Evidence("video", nsfw=(0.2, 0.7, 0.4), texts=text(0.3), **FINE), RULES)
    assert verdict.scores == {
        "nsfw": 0.7,
        "nsfw.second": 0.4,
        "text.title": 0.3,
        "text.title.classifier": 0.3,
        "silence": 0.1,
    }


def test_thresholds_are_settings_and_part_of_the_version() -> None:
    strict = Rules(nsfw_reject=0.3, nsfw_review=0.2)
    assert judge(Evidence("post", nsfw=(0.4,)), strict).decision == "reject"
    assert strict.version != RULES.version
    assert RULES.version == Rules().version


@pytest.mark.parametrize(
    "fields", [{"nsfw_review": 0.9}, {"text_review": 0.95}, {"silence_reject": 1.1}, {"audio_min_ms": -1}]
)
def test_rules_that_contradict_themselves_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"threshold|0\.\.1|negative"):
        Rules(**fields)


def test_a_score_a_rounding_step_above_one_is_a_score() -> None:
    assert judge(Evidence("post", nsfw=(1.0000001,)), RULES).decision == "reject"


@pytest.mark.parametrize("fields", [{"nsfw": (math.nan,)}, {"silence_share": -0.1}, {"duration_ms": -1}])
def test_impossible_evidence_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1|negative"):
        Evidence("video", **fields)


@pytest.mark.parametrize(
    ("evidence", "proposed", "uncertainty"),
    [
        # in the middle between the thresholds nothing is known, near either one something is
        (Evidence("post", nsfw=(0.65,)), "reject", 1.0),
        (Evidence("post", nsfw=(0.5,)), "approve", 0.0),
        (Evidence("post", nsfw=(0.56,)), "approve", 0.4),
        (Evidence("post", nsfw=(0.74,)), "reject", 0.4),
        (Evidence("post", texts=text(0.87)), "reject", 0.2),
        # what speaks loudest counts
        (Evidence("post", nsfw=(0.5,), texts=text(0.87)), "reject", 0.2),
        # nobody proposes anything about self-harm
        (Evidence("post", texts=text(0.99, "self-harm")), "none", 1.0),
        (Evidence("post", nsfw=(0.79,), texts=text(0.99, "self-harm")), "none", 1.0),
    ],
)
def test_what_is_proposed_to_a_person(evidence: Evidence, proposed: str, uncertainty: float) -> None:
    verdict = judge(evidence, RULES)
    assert (verdict.decision, verdict.proposed) == ("review", proposed)
    assert verdict.uncertainty == pytest.approx(uncertainty, abs=1e-6)
