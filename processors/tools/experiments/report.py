"""What was found, as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from processors.runtime.experiment_settings import Experiments
from processors.tools.experiments.aa_check import Check
from processors.tools.experiments.inference import Estimate
from processors.tools.experiments.off_policy import PolicyValue
from processors.tools.experiments.reading import Window
from processors.tools.experiments.run import Result


def show_experiments(settings: Experiments, out: Console) -> None:
    """What is defined."""
    if not settings.defined:
        out.print("no experiment is defined (OVERTURE_EXPERIMENTS__DEFINED; see docs/experiments.md)")
        return
    table = Table("experiment", "layer", "arm", "buckets", "share", "parameters", "from", "until")
    for each in settings.defined:
        for arm in each.arms:
            set_here = arm.parameters.model_dump(exclude_none=True)
            table.add_row(
                each.name,
                each.layer,
                arm.name + (" (control)" if arm.name == each.control else ""),
                ", ".join(f"{first}..{end}" for first, end in arm.buckets),
                f"{arm.size / 10:g} %",
                ", ".join(f"{name}={value}" for name, value in set_here.items()) or "as set",
                "always" if each.start is None else each.start.isoformat(timespec="minutes"),
                "for ever" if each.end is None else each.end.isoformat(timespec="minutes"),
            )
    out.print(table)


def show_results(results: Sequence[Result], window: Window, left_out: Mapping[str, int], out: Console) -> None:
    """Arms side by side."""
    out.print(f"lists answered from {window.begin:%Y-%m-%d %H:%M:%S} to {window.end:%Y-%m-%d %H:%M:%S} UTC")
    if not results:
        out.print("no experiment was in force")
    for result in results:
        users = ", ".join(f"{arm} {count}" for arm, count in result.users.items())
        out.print(f"\n[bold]{result.experiment.name}[/] (layer {result.experiment.layer}); users: {users}")
        if result.broken:
            out.print(
                f"[red]the users are not split as planned (p {result.sample_ratio_p:.2g}): nothing here means anything"
            )
        if result.mixed:
            out.print(f"{result.mixed} users were left out: their arm changed within the window")
        table = Table("measure", "arm", "mean", "95 %", "difference", "95 % ", "p")
        for each in sorted(result.measured, key=lambda found: found.measure):
            difference = each.difference
            apart = ("", "", "") if difference is None else (f"{difference.value:+.4f}", *_uncertain(difference))
            table.add_row(each.measure, each.arm, f"{each.estimate.value:.4f}", _interval(each.estimate), *apart)
        out.print(table)
    if left_out:
        out.print("left out: " + ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items())))


def show_checks(checks: Sequence[Check], out: Console) -> None:
    """Each check with the values that a sound split has."""
    table = Table("check", "found", "sound", "")
    for each in checks:
        table.add_row(each.name, f"{each.value:.4f}", f"{each.low:.4f}..{each.high:.4f}", "ok" if each.ok else "BROKEN")
    out.print(table)


def show_policy(name: str, reward: str, value: PolicyValue, out: Console) -> None:
    """Estimates of one policy."""
    out.print(
        f"policy {name}, reward {reward} of each drawn block ({value.blocks} blocks; effective sample "
        f"{value.effective_sample:.0f} places)"
    )
    table = Table("estimate", "value", "95 %")
    for label, estimate in (
        ("as logged", value.logged),
        ("IPS", value.ips),
        ("SNIPS", value.snips),
        ("doubly robust", value.doubly_robust),
    ):
        table.add_row(label, f"{estimate.value:.4f}", _interval(estimate))
    out.print(table)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:.4f}..{estimate.high:.4f}"


def _uncertain(difference: Estimate) -> tuple[str, str]:
    return f"{difference.low:+.4f}..{difference.high:+.4f}", f"{difference.p_value:.3g}"
