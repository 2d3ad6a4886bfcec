"""``overture moderation``: thresholds, the audit log and the cases of reviews."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from processors.runtime.wiring import Wiring

app = typer.Typer(no_args_is_help=True, help="Reviews: calibrate thresholds, check the audit log, list cases.")
audit_app = typer.Typer(no_args_is_help=True, help="The audit log of reviews.")
app.add_typer(audit_app, name="audit")
out = Console(highlight=False)


@app.command()
def calibrate(
    since: Annotated[str | None, typer.Option("--since", help="Decided since: 2h, 7d, 4w, or a time (UTC).")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only this reason code.")] = None,
    precision: Annotated[float, typer.Option("--precision", min=0.5, max=1.0, help="Precision to aim at.")] = 0.95,
    file: Annotated[Path | None, typer.Option("--out", help="Write the findings as JSON, too.")] = None,
) -> None:
    """Say where people's decisions would put the thresholds; exit code 1 if there are too few of them."""
    from processors.tools.dlq import selection
    from processors.tools.moderation import borders, calibration, reading, showing

    from_then = None if since is None else selection.since(since, datetime.now(UTC))
    with _wiring() as wiring:
        rules = [each for each in calibration.rules_of(wiring.settings) if reason in (None, each.code)]
        if not rules:
            codes = dict.fromkeys(each.code for each in calibration.rules_of(wiring.settings))
            raise typer.BadParameter(f"no threshold gives the reason {reason}; there are {', '.join(codes)}")
        decided = [each for each in reading.decisions(wiring) if from_then is None or each.decided_at >= from_then]
    findings = calibration.calibrate(decided, rules, precision)
    for finding in findings:
        out.print(showing.finding_table(finding, precision))
        for line in finding.lines if finding.enough else ():
            out.print(line, soft_wrap=True, markup=False)
    out.print(showing.NOTE)
    if file is not None:
        file.write_text(calibration.as_json(findings, precision))
    if not any(finding.enough for finding in findings):
        out.print(f"Refused: no rule has {borders.FEWEST} decisions; {len(decided)} in all.")
        raise typer.Exit(1)


@audit_app.command()
def verify() -> None:
    """Check the chain of the audit log; exit code 1 if an entry was changed, removed or put in."""
    from models.review_audit import verify as check
    from processors.tools.moderation import reading

    with _wiring() as wiring:
        found = check(reading.audit(wiring))
    out.print(f"{found.entries} entries, {found.repeats} written twice, {found.retold} told again after a crash")
    out.print(f"head: {found.head.seq} {found.head.hash}", soft_wrap=True)
    if found.broken:
        out.print(f"BROKEN: {found.broken}", soft_wrap=True, markup=False)
        raise typer.Exit(1)


@app.command()
def cases(
    state: Annotated[
        str | None, typer.Option("--state", help="waiting, second, escalated, decided, withdrawn.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most cases, the last changed first.")] = 50,
) -> None:
    """List cases of the review queue."""
    from processors.serving.review.view import STATES
    from processors.tools.moderation import reading, showing

    if state is not None and state not in STATES:
        raise typer.BadParameter(f"no state {state}; there are {', '.join(STATES)}")
    with _wiring() as wiring:
        found = [case for case in reading.cases(wiring) if state in (None, case.state)]
    out.print(showing.cases_table(found[:limit], datetime.now(UTC)))
    out.print(f"{len(found)} cases")


@contextmanager
def _wiring() -> Iterator[Wiring]:
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring

    with closing(Wiring(Settings())) as wiring:
        yield wiring
