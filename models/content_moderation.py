"""Decision rules of moderation: from what was measured of an item to approve, reject or review.

Pure: no model, no clock, no settings. Reject beats review, review beats approve; every rule that
speaks for the final decision gives a reason.

The rules:

============  =============================================================================
nudity        a picture (one frame): reject from ``nsfw_reject``, review from ``nsfw_review``.
              Several frames: reject when at least two reach ``nsfw_reject``, or when one
              reaches ``nsfw_certain``. One frame alone that only reaches ``nsfw_reject`` may be an
              outlier of the scorer: a person looks. A video of one or two frames is judged like a
              picture, there is nothing to compare the frame with.
text          each text by its own score: reject from ``text_reject``, review from
              ``text_review``. What speaks of self-harm is never rejected, a person looks: its
              author may need help, not a refusal.
silence       an audio upload, silent share of its sound from ``silence_reject``: reject. Videos may
              be silent.
length        an audio or video upload that is shorter than its limit: reject.
people        a public figure of the gallery in a picture: nothing but the note who it is, review or
              reject, as ``public_figure`` says.
============  =============================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

from models.text_moderation import TextScores
from schemas.common import Appearance, Decision, MediaKind, Reason
from schemas.errors import REJECTION_CODES

VERSION = "2"

Outcome = Literal["approve", "reject", "review"]
Mode = Literal["off", "review", "reject"]
Finding = tuple[Outcome, str, float | None]
"""What a rule speaks for, its reason code, and how far the score lies from the review threshold (0) to that of
rejection (1); None where the score says nothing of that."""
_SEVERITY: dict[Outcome, int] = {"approve": 0, "review": 1, "reject": 2}
_FEW_FRAMES = 2
_MIDDLE = 0.5
_ROUNDING = 1e-6
_SELF_HARM = "self-harm"
_REVIEW_TEXT = {
    "image-nsfw": "A picture may show nudity; a person will look at it.",
    "text-blocked": "The text may break the rules of the community; a person will look at it.",
    "public-figure": "A public figure may appear in the upload; a person will look at it.",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds. Scores are 0..1, a threshold is reached by an equal score.

    Attributes:
        nsfw_reject: Frame score from which an item is rejected (two frames in a long video).
        nsfw_review: Frame score from which a person looks.
        text_reject: Text score from which an item is rejected.
        text_review: Text score from which a person looks.
        silence_reject: Silent share that rejects an audio upload.
        audio_min_ms: Shortest audio upload, milliseconds.
        video_min_ms: Shortest video upload, milliseconds.
        nsfw_certain: Frame score from which one frame of a long video is enough.
        public_figure: What becomes of uploads in which a public figure appears.

    Raises:
        ValueError: A threshold outside 0..1, a review threshold above its reject threshold, or a
            negative length.
    """

    nsfw_reject: float = 0.8
    nsfw_review: float = 0.5
    text_reject: float = 0.9
    text_review: float = 0.6
    silence_reject: float = 0.98
    audio_min_ms: int = 1000
    video_min_ms: int = 500
    nsfw_certain: float = 0.95
    public_figure: Mode = "off"

    def __post_init__(self) -> None:
        for name in ("nsfw_reject", "nsfw_review", "text_reject", "text_review", "silence_reject", "nsfw_certain"):
            _check_share(name, getattr(self, name))
        if self.nsfw_review > self.nsfw_reject or self.text_review > self.text_reject:
            raise ValueError("a review threshold lies above its reject threshold")
        if self.audio_min_ms < 0 or self.video_min_ms < 0:
            raise ValueError("a shortest length is negative")

    @property
    def version(self) -> str:
        """Code and thresholds, as it stands in events: other thresholds are another version."""
        values = ",".join(str(value) if isinstance(value, str) else f"{value:g}" for value in self._values())
        return f"rules/{VERSION}({values})"

    def _values(self) -> Iterator[float | str]:
        return (getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of one item.

    Attributes:
        kind: What was uploaded.
        nsfw: Nudity score of each frame or picture, 0..1, in any order; empty without pictures.
        texts: Scores of each text of the item by its place (``title``, ``text``, ``embedded``, ...).
        silence_share: Share of the sound that is silent, 0..1; None when unknown or without sound.
        duration_ms: Length of the recording, milliseconds; None when it has none.
        has_audio: Whether there is a sound track.
        people: Public figures seen in its pictures.
        faces: Greatest number of faces in one picture.

    Raises:
        ValueError: A score or share outside 0..1 (or NaN), or a negative length.
    """

    kind: MediaKind
    nsfw: tuple[float, ...] = ()
    texts: tuple[tuple[str, TextScores], ...] = ()
    silence_share: float | None = None
    duration_ms: int | None = None
    has_audio: bool = False
    people: tuple[Appearance, ...] = ()
    faces: int = 0

    def __post_init__(self) -> None:
        for score in self.nsfw:
            _check_share("nsfw", score)
        if self.silence_share is not None:
            _check_share("silence_share", self.silence_share)
        if self.duration_ms is not None and self.duration_ms < 0:
            raise ValueError(f"duration_ms is negative: {self.duration_ms}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of ``judge``.

    Attributes:
        decision: Verdict.
        reasons: Why, one for each code, empty when approved. Codes are those of
            ``schemas.errors.REJECTION_CODES``.
        scores: Every score by name, 0..1.
        lean: How near to a rejection what is to be reviewed lies, 0..1; None when nothing is to be reviewed, or when
            the scores do not say.
    """

    decision: Outcome
    reasons: tuple[Reason, ...]
    scores: dict[str, float]
    lean: float | None = None

    @property
    def proposed(self) -> Decision:
        """What would be decided of a review if nobody looked."""
        if self.lean is None:
            return "none"
        return "reject" if self.lean >= _MIDDLE else "approve"

    @property
    def uncertainty(self) -> float:
        """How much a review is in doubt, 0..1; 1 where the scores say nothing."""
        return 1.0 if self.lean is None else 1.0 - abs(2.0 * self.lean - 1.0)


def judge(evidence: Evidence, rules: Rules) -> Verdict:
    """Decides on one item by the rules of the module's docstring."""
    findings = [
        *_nudity(evidence.nsfw, rules),
        *_text(evidence.texts, rules),
        *_sound(evidence, rules),
        *_people(evidence, rules),
    ]
    outcomes: list[Outcome] = [found for found, _, _ in findings]
    decision: Outcome = max(outcomes, key=_SEVERITY.__getitem__, default="approve")
    speaking = [(code, lean) for found, code, lean in findings if found == decision]
    reasons = tuple(
        Reason(code=code, text=_sentence(code, decision)) for code in dict.fromkeys(code for code, _ in speaking)
    )
    return Verdict(decision, reasons, _scores(evidence), _lean(speaking) if decision == "review" else None)


def _lean(speaking: list[tuple[str, float | None]]) -> float | None:
    """That of what speaks loudest; what the scores do not judge leaves the whole open."""
    leans = [lean for _, lean in speaking]
    return None if None in leans else max(lean for lean in leans if lean is not None)


def _between(score: float, review: float, reject: float) -> float:
    """Place of a score between the two thresholds, 0..1."""
    return min(1.0, max(0.0, (score - review) / max(reject - review, _ROUNDING)))


def _nudity(frames: tuple[float, ...], rules: Rules) -> Iterator[Finding]:
    if not frames or max(frames) < rules.nsfw_review:
        return
    over = sum(score >= rules.nsfw_reject for score in frames)
    enough = over >= 2 or (over == 1 and (len(frames) <= _FEW_FRAMES or max(frames) >= rules.nsfw_certain))
    yield ("reject" if enough else "review"), "image-nsfw", _between(max(frames), rules.nsfw_review, rules.nsfw_reject)


def _text(texts: tuple[tuple[str, TextScores], ...], rules: Rules) -> Iterator[Finding]:
    for _, scores in texts:
        caring = scores.category == _SELF_HARM
        lean = None if caring else _between(scores.score, rules.text_review, rules.text_reject)
        if scores.score >= rules.text_reject and not caring:
            yield "reject", "text-blocked", lean
        elif scores.score >= rules.text_review:
            yield "review", "text-blocked", lean


def _people(evidence: Evidence, rules: Rules) -> Iterator[Finding]:
    if evidence.people and rules.public_figure != "off":
        yield rules.public_figure, "public-figure", None


def _sound(evidence: Evidence, rules: Rules) -> Iterator[Finding]:
    shortest = {"audio": rules.audio_min_ms, "video": rules.video_min_ms}.get(evidence.kind)
    if shortest is not None and evidence.duration_ms is not None and evidence.duration_ms < shortest:
        yield "reject", "media-too-short", None
    silent = evidence.silence_share is not None and evidence.silence_share >= rules.silence_reject
    if evidence.kind == "audio" and (silent or not evidence.has_audio):
        yield "reject", "media-silent", None


def _sentence(code: str, decision: Outcome) -> str:
    return _REVIEW_TEXT[code] if decision == "review" else REJECTION_CODES[code]


def _scores(evidence: Evidence) -> dict[str, float]:
    scores: dict[str, float] = {}
    if evidence.nsfw:
        ordered = sorted(evidence.nsfw, reverse=True)
        scores["nsfw"] = ordered[0]
        scores["nsfw.second"] = ordered[1] if len(ordered) > 1 else 0.0
    for place, text in evidence.texts:
        scores[f"text.{place}"] = text.score
        scores[f"text.{place}.classifier"] = text.classifier
    if evidence.silence_share is not None:
        scores["silence"] = evidence.silence_share
    for person in evidence.people[:1]:
        scores["public-figure"] = person.likeness
    return scores


def _check_share(name: str, value: float) -> None:
    # a softmax in single precision may end a rounding step above 1
    if not (math.isfinite(value) and -_ROUNDING <= value <= 1.0 + _ROUNDING):
        raise ValueError(f"{name} is not in 0..1: {value}")
