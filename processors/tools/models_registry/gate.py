"""Whether a version may take the place of the one in use."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from models.recommender_manifest import Manifest, Measure
from schemas.errors import AppError

TOLERANCE = 0.02
"""Share of the present figure that a mean may lose: as much as another seed does."""
LEAST_PAIRS = 3
"""Splits from which "worse in each of them" is no accident."""


class GateError(AppError):
    """A version that is worse than the one in use, or cannot be compared with it."""

    code = "model-refused"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure of two versions.

    Attributes:
        measure: ``protocol/name``.
        candidate: Mean of the candidate; None where it was not measured.
        present: Mean of the version in use; None where there is none.
        problem: Why the candidate is refused; empty where it is not.
    """

    measure: str
    candidate: float | None
    present: float | None
    problem: str = ""


def compare(candidate: Manifest, present: Manifest | None) -> list[Finding]:
    """Measure by measure: bars of the candidate, then its figures against those of the version in use.

    A measure is worse if its mean is by more than `TOLERANCE` of the present figure, or if it is in each of at least
    `LEAST_PAIRS` splits, paired.
    """
    new = {measure.key: measure for measure in candidate.measures}
    old = {measure.key: measure for measure in present.measures} if present else {}
    if present is not None and present.dataset.version != candidate.dataset.version:
        first = Finding(
            "data set",
            None,
            None,
            f"measured on {candidate.dataset.name} {candidate.dataset.version}, the version in use on "
            f"{present.dataset.name} {present.dataset.version}: the figures do not compare",
        )
        return [first, *(Finding(key, each.mean, None, _below_bar(each)) for key, each in new.items())]
    findings = []
    for key in dict.fromkeys((*old, *new)):
        mine, theirs = new.get(key), old.get(key)
        if mine is None:
            findings.append(Finding(key, None, old[key].mean, "not measured"))
            continue
        problem = _below_bar(mine) or (_worse(mine, theirs) if theirs else "")
        findings.append(Finding(key, mine.mean, theirs.mean if theirs else None, problem))
    return findings


def require(candidate: Manifest, present: Manifest | None) -> list[Finding]:
    """`compare`, where a problem is an error.

    Raises:
        GateError: there is one; the message names all.
    """
    findings = compare(candidate, present)
    if problems := [f"{each.measure}: {each.problem}" for each in findings if each.problem]:
        raise GateError(f"version {candidate.version} is refused: {'; '.join(problems)}")
    return findings


def require_content(candidate: Manifest, published: Counter[str]) -> None:
    """Refuse a version that would place most published items by their tags alone, not knowing their content vectors.

    Args:
        candidate: The version; one that takes no content vectors suits any.
        published: How many published items have a joint vector of which content version.

    Raises:
        GateError: less than half of them have vectors that it knows.
    """
    wanted = candidate.content_version
    if wanted and 2 * published[wanted] < published.total():
        [(other, most)] = published.most_common(1)
        raise GateError(
            f"version {candidate.version} is refused: it knows content vectors {wanted}, which {published[wanted]} of "
            f"{published.total()} published items have; {most} have {other}. Train on these, or, if they are old, "
            "`overture features reembed`"
        )


def _below_bar(measure: Measure) -> str:
    if measure.bar is None or _gain(measure.goal, measure.mean, measure.bar) >= 0:
        return ""
    return f"{measure.mean:.4f} does not reach the bar of {measure.bar:.4f}"


def _worse(mine: Measure, theirs: Measure) -> str:
    gain = _gain(theirs.goal, mine.mean, theirs.mean)
    if gain < -TOLERANCE * abs(theirs.mean):
        return f"{mine.mean:.4f} is worse than {theirs.mean:.4f} by {-gain / abs(theirs.mean or 1):.1%}"
    pairs = [_gain(theirs.goal, *pair) for pair in zip(mine.values, theirs.values, strict=False)]
    if len(mine.values) == len(theirs.values) >= LEAST_PAIRS and all(pair < 0 for pair in pairs):
        return f"worse in each of {len(pairs)} splits, {mine.mean:.4f} instead of {theirs.mean:.4f}"
    return ""


def _gain(goal: str, new: float, old: float) -> float:
    return new - old if goal == "greatest" else old - new
