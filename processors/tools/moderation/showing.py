"""Findings and cases as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table

from processors.tools.moderation.borders import FEWEST, Border, Share
from processors.tools.moderation.calibration import Finding
from schemas.review import ReviewCase

NOTE = (
    "Only what people looked at is seen here: nothing is known of what scored on the harmless side of the threshold of "
    "review, nor of what was refused without a review. Precision and recall are those among reviewed cases; a "
    "threshold outside the scores that were reviewed would be a guess, and is never proposed."
)


def finding_table(finding: Finding, target: float) -> Table:
    """What is known of one rule, a figure a line, with its interval and the cases behind it."""
    rule = finding.rule
    table = Table(title=f"{rule.subject}: {rule.code} by {rule.score}", title_justify="left", min_width=76)
    table.add_column("figure", ratio=1)
    for name in ("value", "95 % interval", "cases"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("now: a person looks from", f"{rule.review:g}")
    table.add_row("now: refused from", f"{rule.reject:g}")
    table.add_row("refused by people, of all asked about", *_share(finding.rejected))
    table.add_row("precision of what lies beyond that", *_share(finding.beyond))
    table.add_row("recall: share of the refused beyond that", *_share(finding.caught))
    if not finding.enough:
        table.add_row(f"no thresholds: fewer than {FEWEST} decisions")
        return table
    table.add_row(f"{target:.0%} refused from", *_border(finding.reject))
    if finding.reject is not None:
        table.add_row("  precision there", *_share(finding.reject.precision))
        table.add_row("  recall there", *_share(finding.reject.recall))
    table.add_row(f"{target:.0%} approved up to", *_border(finding.approve))
    return table


def cases_table(cases: Sequence[ReviewCase], now: datetime) -> Table:
    """One line for each case; names no user."""
    table = Table()
    table.add_column("review id", no_wrap=True)
    for name in ("subject", "state", "asked for", "votes", "decision", "age"):
        table.add_column(name, overflow="fold")
    for case in cases:
        if case.request is None:
            continue
        minutes = (now - case.request.occurred_at).total_seconds() / 60
        asked = " ".join(reason.code for reason in case.request.reasons)
        votes, age = str(len(case.votes)), f"{minutes:.0f} min" if minutes < 60 else f"{minutes / 60:.1f} h"
        table.add_row(case.review_id, case.request.subject, case.state, asked, votes, case.decision, age)
    return table


def _share(share: Share) -> tuple[str, str, str]:
    if not share.cases:
        return "-", "", "0"
    return f"{share.value:.3f}", f"{share.low:.3f} .. {share.high:.3f}", str(share.cases)


def _border(border: Border | None) -> tuple[str, ...]:
    return ("none",) if border is None else (f"{border.score:.4g}", f"{border.low:.4g} .. {border.high:.4g}")
