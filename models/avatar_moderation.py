"""Decision rules of avatars: from what was measured of a picture to approve, reject or review.

Pure: no model, no clock, no settings. Reject beats review, review beats approve; every rule that speaks for the final
decision gives a reason. What was not measured (None) speaks for nothing.

======================  ===============  ==================================================================
reason                  rule             what is compared
======================  ===============  ==================================================================
avatar-no-face          no_face          no face was found
avatar-several-people   several_people   a second face, at least `background` times as large as the main
                                         one, of another person
avatar-several-people   changing         likeness of the main face to that of an animation's first picture
avatar-mirror           mirror           likeness of such a face to the main one: the same person twice
avatar-public-figure    public_figure    likeness to the nearest public figure, less the gallery's threshold
avatar-minor            minor            probability of being under the age limit
image-nsfw              nudity           nudity score
avatar-face-small       face_small       side of the face, pixels
avatar-blurred          blurred          sharpness of the face
avatar-dark             dark, bright,    brightness of the face from below and from above, its contrast
                        flat
avatar-occluded         occluded         covered share of the face
avatar-turned           yaw, pitch,      angle of the head to the camera, degrees either way
                        roll
avatar-drawing          drawing          one kind of picture each
avatar-statue           statue
avatar-screenshot       screenshot
avatar-code             code
avatar-screen           screen
avatar-aspect           aspect           long side over short side of the picture
======================  ===============  ==================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Literal, NamedTuple

from schemas.common import Reason
from schemas.errors import REJECTION_CODES

if TYPE_CHECKING:
    from models.face_quality import FaceQuality
    from models.picture_kind import PictureKind

VERSION = "1"
DIGITS = 6
"""Scores are rounded before they are judged: what the event shows is what was decided on."""

Outcome = Literal["approve", "reject", "review"]
Mode = Literal["reject", "review", "off"]
_SEVERITY: dict[Outcome, int] = {"approve": 0, "review": 1, "reject": 2}
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Graded:
    """Thresholds of one score.

    Attributes:
        review: From where a person looks.
        reject: From where the picture is refused.
        mode: ``review``: a person looks where it would be refused; ``off``: the score decides nothing.
    """

    review: float
    reject: float
    mode: Mode = "reject"


class Rule(NamedTuple):
    """A threshold rule: which score, which thresholds, whether more or less of it is worse."""

    code: str
    field: str
    score: str
    rising: bool = True


RULES = (
    Rule("avatar-mirror", "mirror", "mirror"),
    Rule("avatar-several-people", "changing", "alike", rising=False),
    Rule("avatar-public-figure", "public_figure", "celebrity.margin"),
    Rule("avatar-minor", "minor", "child"),
    Rule("image-nsfw", "nudity", "nsfw"),
    Rule("avatar-face-small", "face_small", "face.side_px", rising=False),
    Rule("avatar-blurred", "blurred", "face.sharpness", rising=False),
    Rule("avatar-dark", "dark", "face.brightness", rising=False),
    Rule("avatar-dark", "bright", "face.brightness"),
    Rule("avatar-dark", "flat", "face.contrast", rising=False),
    Rule("avatar-occluded", "occluded", "face.occlusion"),
    Rule("avatar-turned", "yaw", "face.yaw"),
    Rule("avatar-turned", "pitch", "face.pitch"),
    Rule("avatar-turned", "roll", "face.roll"),
    Rule("avatar-drawing", "drawing", "kind.drawing"),
    Rule("avatar-statue", "statue", "kind.statue"),
    Rule("avatar-screenshot", "screenshot", "kind.screenshot"),
    Rule("avatar-code", "code", "kind.code"),
    Rule("avatar-screen", "screen", "kind.screen"),
    Rule("avatar-aspect", "aspect", "aspect"),
)
_EITHER_WAY = frozenset({"face.yaw", "face.pitch", "face.roll"})
_MISLEADING = (
    (
        frozenset({"avatar-dark", "avatar-face-small", "avatar-several-people"}),
        frozenset({"avatar-drawing", "avatar-statue", "avatar-screen"}),
    ),
    (frozenset({"avatar-drawing"}), frozenset({"avatar-minor", "avatar-statue"})),
    (frozenset({"avatar-code", "avatar-screenshot"}), frozenset({"avatar-drawing"})),
)
"""What is refused for one of the first says nothing certain of the second."""
UNUSABLE = frozenset(
    {"avatar-face-small", "avatar-blurred", "avatar-dark", "avatar-occluded", "avatar-turned", "avatar-drawing"}
)
"""Rejections after which the face's vector says nothing of an account's owner."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds and modes; which score each compares is said in the module's docstring.

    A rising score reaches a threshold that it equals; one of which more is better (``face_small``, ``blurred``,
    ``dark``, ``flat``) passes at an equal value.

    Raises:
        ValueError: Thresholds in the wrong order, not finite, or a share outside 0..1.
    """

    no_face: Mode = "reject"
    several_people: Mode = "reject"
    background: float = 0.5
    mirror: Graded = Graded(0.95, 0.95, "review")
    changing: Graded = Graded(0.9, 0.9, "review")
    public_figure: Graded = Graded(-0.01, 0.0)
    minor: Graded = Graded(0.3, 0.8, "review")
    nudity: Graded = Graded(0.5, 0.8)
    face_small: Graded = Graded(64.0, 48.0)
    blurred: Graded = Graded(0.45, 0.2)
    dark: Graded = Graded(0.2, 0.12)
    bright: Graded = Graded(0.9, 0.95)
    flat: Graded = Graded(0.06, 0.03)
    occluded: Graded = Graded(0.35, 0.55)
    yaw: Graded = Graded(45.0, 58.0)
    pitch: Graded = Graded(35.0, 45.0)
    roll: Graded = Graded(50.0, 70.0)
    drawing: Graded = Graded(0.6, 0.85)
    statue: Graded = Graded(0.5, 0.9, "review")
    screenshot: Graded = Graded(0.5, 0.85)
    code: Graded = Graded(0.5, 0.9)
    screen: Graded = Graded(0.6, 0.95, "review")
    aspect: Graded = Graded(3.0, 5.0)

    def __post_init__(self) -> None:
        if not 0.0 <= self.background <= 1.0:
            raise ValueError(f"background is not in 0..1: {self.background}")
        for rule in RULES:
            graded: Graded = getattr(self, rule.field)
            if not (math.isfinite(graded.review) and math.isfinite(graded.reject)):
                raise ValueError(f"{rule.field}: thresholds are finite numbers, not {graded.review}, {graded.reject}")
            if graded.review != graded.reject and (graded.review < graded.reject) != rule.rising:
                raise ValueError(f"{rule.field}: {graded.review} (review) lies beyond {graded.reject} (reject)")

    @property
    def version(self) -> str:
        """Code, thresholds and modes, as it stands in events: other thresholds are another version."""
        return f"avatar-rules/{VERSION}({','.join(_short(getattr(self, field.name)) for field in fields(self))})"


@dataclass(frozen=True, slots=True)
class OtherFace:
    """A face beside the main one.

    Attributes:
        share: Its side over the main face's, 0..1.
        likeness: Cosine of both vectors, -1..1; None when not compared.
    """

    share: float
    likeness: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of one picture.

    Attributes:
        width_px: Of the picture as displayed.
        height_px: As ``width_px``.
        nsfw: Nudity score, 0..1.
        kind: What kind of picture it is.
        quality: Of the main face; None without a face.
        face_score: Certainty of the detector of the main face, 0..1; None without a face.
        others: Faces beside the main one.
        child: Greatest probability that somebody is under the age limit, 0..1; None when not estimated.
        celebrity: Greatest likeness to a public figure, -1..1; None when not compared.
        celebrity_threshold: Likeness from which the gallery says it is the same person; None when not compared.
        heads: Name and score of each further head; told, never judged.
        alike: Likeness of the main face to that of an animation's first picture, -1..1; None for the first picture,
            and when faces were not compared.

    Raises:
        ValueError: A side of zero, or a number that is not finite.
    """

    width_px: int
    height_px: int
    nsfw: float
    kind: PictureKind
    quality: FaceQuality | None = None
    face_score: float | None = None
    others: tuple[OtherFace, ...] = ()
    child: float | None = None
    celebrity: float | None = None
    celebrity_threshold: float | None = None
    heads: tuple[tuple[str, float], ...] = ()
    alike: float | None = None

    def __post_init__(self) -> None:
        if self.width_px < 1 or self.height_px < 1:
            raise ValueError(f"a picture of {self.width_px} x {self.height_px} pixels")
        if (self.celebrity is None) != (self.celebrity_threshold is None):
            raise ValueError("a likeness to public figures and its threshold belong together")
        for name, value in _measured(self).items():
            if not math.isfinite(value):
                raise ValueError(f"{name} is not finite: {value}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of ``judge``.

    Attributes:
        decision: Verdict.
        reasons: Why, one for each code, empty when approved. Codes are those of ``schemas.errors.REJECTION_CODES``.
        scores: Every score by name, rounded.
        proposed: What to decide if nobody looks.
        uncertainty: 0 at the thresholds, 1 in the middle between review and reject.
        usable_face: There is one face, of a grown-up, and good enough for its vector to be compared.
    """

    decision: Outcome
    reasons: tuple[Reason, ...]
    scores: dict[str, float]
    proposed: Literal["approve", "reject"]
    uncertainty: float
    usable_face: bool


class _Finding(NamedTuple):
    outcome: Outcome
    code: str
    place: float
    """0 at the threshold of review, 1 at that of reject and beyond."""


def judge(evidence: Evidence, rules: Rules) -> Verdict:
    """Decides on one picture by the rules of the module's docstring."""
    large = [other for other in evidence.others if other.share >= rules.background]
    twins = [other.likeness for other in large if other.likeness is not None and other.likeness >= rules.mirror.review]
    people = (1 + len(large) - len(twins)) if evidence.quality is not None else 0
    scores = _measured(evidence) | {"people": float(people)}
    if twins:
        scores["mirror"] = max(twins)
    if evidence.celebrity is not None and evidence.celebrity_threshold is not None:
        scores["celebrity.margin"] = evidence.celebrity - evidence.celebrity_threshold
    scores = {name: round(value, DIGITS) + 0.0 for name, value in scores.items()}
    findings = _told(*_counted(people, rules), *_graded(scores, rules))
    outcomes: list[Outcome] = [found.outcome for found in findings]
    decision: Outcome = max(outcomes, key=_SEVERITY.__getitem__, default="approve")
    codes = dict.fromkeys(found.code for found in findings if found.outcome == decision)
    worst = max((found.place for found in findings), default=0.0)
    return Verdict(
        decision,
        tuple(Reason(code=code, text=_sentence(code, decision)) for code in codes),
        scores,
        "reject" if worst >= _HALF else "approve",
        round(1.0 - abs(2.0 * worst - 1.0), DIGITS),
        people == 1 and not twins and not any(_spoils(found) for found in findings),
    )


def borders(scores: Mapping[str, float], rules: Rules) -> dict[str, float]:
    """Thresholds of the rules that spoke, shown beside the scores: ``<score>.review`` and ``<score>.reject``."""
    found: dict[str, float] = {}
    for rule in RULES:
        graded: Graded = getattr(rules, rule.field)
        value = scores.get(rule.score)
        if value is None or graded.mode == "off":
            continue
        value = abs(value) if rule.score in _EITHER_WAY else value
        if _reached(value, graded.review, rising=rule.rising):
            found |= {f"{rule.score}.review": graded.review, f"{rule.score}.reject": graded.reject}
    return found


def strictest(verdicts: Sequence[Verdict]) -> tuple[int, Verdict]:
    """The verdict on an animation: its strictest picture's, with the reasons of all that are as strict.

    Returns:
        Index of the picture that decided, the first of several, and the verdict with that picture's scores.
    """
    index = max(range(len(verdicts)), key=lambda i: (_SEVERITY[verdicts[i].decision], -i))
    found = verdicts[index]
    same = [reason for each in verdicts if each.decision == found.decision for reason in each.reasons]
    reasons = tuple({reason.code: reason for reason in same}.values())
    usable = all(each.usable_face for each in verdicts)
    return index, Verdict(found.decision, reasons, found.scores, found.proposed, found.uncertainty, usable)


def _told(*findings: _Finding) -> list[_Finding]:
    """Without what is said for want of light or size, or of a drawing: wrong words beside the right ones mislead."""
    refused = {found.code for found in findings if found.outcome == "reject"}
    untold: frozenset[str] = frozenset()
    for codes, doubtful in _MISLEADING:
        untold |= doubtful if codes & refused else frozenset()
    return [found for found in findings if found.code not in untold]


def _counted(people: int, rules: Rules) -> Iterator[_Finding]:
    if people == 0 and rules.no_face != "off":
        yield _Finding(rules.no_face, "avatar-no-face", 1.0)
    if people > 1 and rules.several_people != "off":
        yield _Finding(rules.several_people, "avatar-several-people", 1.0)


def _graded(scores: Mapping[str, float], rules: Rules) -> Iterator[_Finding]:
    for rule in RULES:
        value = scores.get(rule.score)
        graded: Graded = getattr(rules, rule.field)
        if value is None or graded.mode == "off":
            continue
        value = abs(value) if rule.score in _EITHER_WAY else value
        if not _reached(value, graded.review, rising=rule.rising):
            continue
        rejected = graded.mode == "reject" and _reached(value, graded.reject, rising=rule.rising)
        span = graded.reject - graded.review
        place = 1.0 if span == 0.0 else min(1.0, (value - graded.review) / span)
        yield _Finding("reject" if rejected else "review", rule.code, place)


def _reached(value: float, threshold: float, *, rising: bool) -> bool:
    return value >= threshold if rising else value < threshold


def _spoils(found: _Finding) -> bool:
    # of a child no vector is kept, however uncertain the estimate, and none of one face for two people's account
    return found.code in ("avatar-minor", "avatar-several-people") or (
        found.outcome == "reject" and found.code in UNUSABLE
    )


def _measured(evidence: Evidence) -> dict[str, float]:
    """Scores by the names that they have in events."""
    sides = evidence.width_px, evidence.height_px
    scores = {"nsfw": evidence.nsfw, "aspect": max(sides) / min(sides), "faces": 0.0}
    scores |= {f"kind.{name}": value for name, value in asdict(evidence.kind).items()}
    if evidence.quality is not None:
        scores["faces"] = 1.0 + len(evidence.others)
        scores |= {f"face.{name.removesuffix('_deg')}": value for name, value in asdict(evidence.quality).items()}
    scores |= {f"head.{name}": value for name, value in evidence.heads}
    single = {
        "face.score": evidence.face_score,
        "child": evidence.child,
        "celebrity": evidence.celebrity,
        "celebrity.threshold": evidence.celebrity_threshold,
        "alike": evidence.alike,
    }
    return scores | {name: value for name, value in single.items() if value is not None}


def _sentence(code: str, decision: Outcome) -> str:
    sentence = REJECTION_CODES[code]
    return sentence if decision == "reject" else f"A person will look at the picture. What was noticed: {sentence}"


def _short(value: float | Mode | Graded) -> str:
    if isinstance(value, Graded):
        return f"{value.review:g}:{value.reject:g}:{value.mode[:3]}"
    return value if isinstance(value, str) else f"{value:g}"
