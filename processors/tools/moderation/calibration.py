"""What people's decisions say of the thresholds: one line for each rule that asked for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.avatar_moderation import RULES
from processors.runtime.settings import Settings
from processors.tools.moderation.borders import FEWEST, Border, Share, border
from schemas.review import ReviewDecided, Subject

GENERIC = "review-rejected"
TEXT_DETAIL = ".classifier"
HALF = 0.5


@dataclass(frozen=True)
class Rule:
    """One threshold rule with its present settings.

    Attributes:
        subject: What it judges.
        code: Reason code it gives.
        score: Name of its score; ``text`` stands for the greatest of the texts.
        rising: Whether a higher score is worse.
        review: From where a person looks now.
        reject: From where it is refused now.
        shared: Whether another rule gives the same code: only cases beyond ``review`` are this one's then.
        settings: Its lines, with ``{review}`` and ``{reject}``.
    """

    subject: Subject
    code: str
    score: str
    rising: bool
    review: float
    reject: float
    shared: bool
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What is known of one rule.

    Attributes:
        rule: Which.
        cases: Cases decided by people in which it asked.
        rejected: Share of them that people refused for its reason: the precision of the threshold of review.
        beyond: Share of those beyond the present threshold of rejection that people refused.
        caught: Share of the refused ones that lie beyond it.
        reject: Border from which the target share is refused; None: there is none, or too few cases.
        approve: Border on whose harmless side the target share is approved; None: as ``reject``.
    """

    rule: Rule
    cases: int
    rejected: Share
    beyond: Share
    caught: Share
    reject: Border | None
    approve: Border | None

    @property
    def enough(self) -> bool:
        """Whether anything is said of thresholds."""
        return self.cases >= FEWEST

    @property
    def lines(self) -> tuple[str, ...]:
        """Settings to paste; the threshold of which nothing was found stays."""
        if self.reject is None and self.approve is None:
            return ()
        reject = self.rule.reject if self.reject is None else self.reject.score
        review = self.rule.review if self.approve is None else self.approve.score
        harmless = min if self.rule.rising else max
        values = {"review": f"{harmless(review, reject):.4g}", "reject": f"{reject:.4g}"}
        return tuple(line % values for line in self.rule.settings)


def rules_of(settings: Settings) -> list[Rule]:
    """Every rule that asks people by a threshold."""
    found = []
    codes = [rule.code for rule in RULES]
    for each in RULES:
        review, reject, mode = getattr(settings.avatar, each.field)
        line = f'OVERTURE_AVATAR__{each.field.upper()}=[%(review)s,%(reject)s,"{mode}"]'
        shared = codes.count(each.code) > 1
        found.append(Rule("avatar", each.code, each.score, each.rising, review, reject, shared, (line,)))
    for name, code in (("nsfw", "image-nsfw"), ("text", "text-blocked")):
        review, reject = (getattr(settings.moderation, f"{name}_{end}") for end in ("review", "reject"))
        lines = tuple(f"OVERTURE_MODERATION__{name.upper()}_{end.upper()}=%({end})s" for end in ("review", "reject"))
        found.append(Rule("media", code, name, True, review, reject, False, lines))
    return found


def calibrate(decisions: Iterable[ReviewDecided], rules: Sequence[Rule], target: float) -> list[Finding]:
    """A finding for each rule that asked at least once."""
    newest = {each.review_id: each for each in decisions if each.decision in ("approve", "reject")}
    found = [_finding(rule, list(_cases(rule, newest.values())), target) for rule in rules]
    return [each for each in found if each.cases]


def as_json(findings: Iterable[Finding], target: float) -> str:
    """Everything, for programs; what is not known is null."""
    document = {
        "precision": target,
        "fewest": FEWEST,
        "rules": [
            asdict(each) | {"enough": each.enough, "lines": each.lines if each.enough else ()} for each in findings
        ],
    }
    return json.dumps(_plain(document), indent=1)


def _cases(rule: Rule, decisions: Iterable[ReviewDecided]) -> Iterator[tuple[float, bool]]:
    for decided in decisions:
        score = _score(rule, decided)
        if decided.subject != rule.subject or rule.code not in decided.asked or score is None:
            continue
        if rule.shared and not _beyond(rule, score, rule.review):
            continue
        codes = {reason.code for reason in decided.reasons}
        yield score, decided.decision == "reject" and (rule.code in codes or codes == {GENERIC})


def _score(rule: Rule, decided: ReviewDecided) -> float | None:
    if rule.score != "text":
        value = decided.scores.get(rule.score)
        # angles are judged either way
        return abs(value) if value is not None and rule.code == "avatar-turned" else value
    texts = [v for name, v in decided.scores.items() if name.startswith("text.") and not name.endswith(TEXT_DETAIL)]
    return max(texts, default=None)


def _finding(rule: Rule, cases: Sequence[tuple[float, bool]], target: float) -> Finding:
    scores, refused = [score for score, _ in cases], [hit for _, hit in cases]
    over = [hit for score, hit in cases if _beyond(rule, score, rule.reject)]
    reject = approve = None
    if len(cases) >= FEWEST:
        reject = border(scores, refused, target, rising=rule.rising)
        approve = border(scores, [not hit for hit in refused], target, rising=not rule.rising)
    return Finding(
        rule,
        len(cases),
        Share.of(sum(refused), len(cases)),
        Share.of(sum(over), len(over)),
        Share.of(sum(over), sum(refused)),
        reject,
        approve,
    )


def _beyond(rule: Rule, score: float, threshold: float) -> bool:
    return score >= threshold if rule.rising else score < threshold


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float() if value != value:
            return None
        case _:
            return value
