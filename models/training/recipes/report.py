"""What a run leaves behind: figures as JSON, curves as pictures, one page for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import matplotlib as mpl
import orjson
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pydantic import TypeAdapter
from rich.table import Column, Table

from models.recommender_manifest import Measure
from models.training.recipes.base import BARS_FOR, Curve

mpl.use("Agg")
RUN, MEASURES, REPORT = "run.json", "measures.json", "report.md"


def write(folder: Path, facts: Mapping[str, Any], measures: list[Measure], curves: Mapping[str, Curve]) -> None:
    """Write everything into ``folder``.

    Args:
        folder: Made if missing.
        facts: Where the run comes from, JSON values.
        measures: Its figures.
        curves: By name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    (folder / MEASURES).write_bytes(orjson.dumps(measures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    drawn = by_training(curves)
    for name, each in drawn.items():
        draw(name, each, folder / f"{name}.png")
    pictures = [f"![{name}]({name}.png)" for name in drawn]
    lines = [f"# {facts['recipe']}: {facts['summary']}", "", *_facts(facts)]
    for protocol in dict.fromkeys(each.protocol for each in measures):
        lines += ["", f"## {protocol}", "", *table([each for each in measures if each.protocol == protocol])]
    lines += ["", "## CPU seconds", "", *_times(facts["jobs"]), "", "## Curves", "", *pictures]
    (folder / REPORT).write_text("\n".join(lines) + "\n", encoding="utf-8")


def by_training(curves: Mapping[str, Curve]) -> dict[str, dict[str, Curve]]:
    """Curves of one training on several splits together: ``cb2cf-0`` and ``cb2cf-1`` become ``cb2cf`` by split."""
    found: dict[str, dict[str, Curve]] = defaultdict(dict)
    for name, curve in curves.items():
        training, _, split = name.rpartition("-")
        if not split.isdecimal():
            found[name]["version"] = curve
        else:
            found[training][f"split {split}"] = curve
    return found


def console_table(folder: Path) -> Table:
    """Figures that `write` left, narrow enough for a console: beside each its bar and the best of its baselines."""
    numbers = (Column(title, justify="right", no_wrap=True) for title in ("mean", "bar"))
    shown = Table(Column("measure", no_wrap=True), *numbers, "best baseline")
    for each in TypeAdapter(list[Measure]).validate_json((folder / MEASURES).read_bytes()):
        best = ""
        if each.baselines:
            choose = min if each.goal == "least" else max
            name, value = choose(each.baselines.items(), key=itemgetter(1))
            best = f"{value:.4f} {name}"
        shown.add_row(each.key, f"{each.mean:.4f}", _bar(each), best)
    return shown


def draw(title: str, curves: Mapping[str, Curve], path: Path) -> None:
    """Training loss and validation measure by pass, one line a split."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    figure.suptitle(title)
    for axes, label, column in zip(
        figure.subplots(1, 2), ("training loss", "validation measure"), ("train", "validation"), strict=True
    ):
        for name, curve in sorted(curves.items()):
            passes = [each + 1 for each in curve.passes]
            axes.plot(passes, getattr(curve, column), label=name, linewidth=1.2, marker="." if len(passes) == 1 else "")
        axes.set(xlabel="pass", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    figure.savefig(path, dpi=110)


def table(measures: list[Measure]) -> list[str]:
    """Markdown lines: one row a measure, one column a baseline."""
    methods = list(dict.fromkeys(method for each in measures for method in each.baselines))
    titles = ["measure", "mean", "95 %", "bar", *methods]
    rows = [f"| {' | '.join(titles)} |", f"| --- | {' | '.join('---:' for _ in titles[1:])} |"]
    for each in measures:
        beside = [f"{each.baselines[m]:.4f}" if m in each.baselines else "" for m in methods]
        cells = [each.key, f"**{each.mean:.4f}**", f"{each.low:.4f} .. {each.high:.4f}", _bar(each), *beside]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _bar(measure: Measure) -> str:
    return "" if measure.bar is None else f"{'<=' if measure.goal == 'least' else '>='} {measure.bar:.3f}"


def _facts(facts: Mapping[str, Any]) -> list[str]:
    data = facts["data"]
    lines = [
        f"- data set: {data['name']} {data['version']}" + (" (non-commercial)" if data["non_commercial"] else ""),
        f"- splits: {', '.join(map(str, facts['splits']))}{_fewer(facts)}; seed {facts['seed']}",
        f"- code: {facts['code_commit'] or 'unknown'}; {', '.join(f'{k} {v}' for k, v in facts['packages'].items())}",
        f"- {facts['seconds']:.0f} s on {facts['processes']} process(es), {facts['cpu_seconds']:.0f} s of CPU time",
    ]
    return lines + [f"- below its bar: {words}" for words in facts["below_bars"]]


def _fewer(facts: Mapping[str, Any]) -> str:
    whole = facts["debug"] or facts["data"]["name"] == BARS_FOR
    return "" if whole else f" (fewer than with {BARS_FOR}, whose figures the bars are about)"


def _times(jobs: Mapping[str, float]) -> list[str]:
    """Of each job, those of one kind in one row."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for name, spent in jobs.items():
        kinds[name.partition(",")[0]].append(spent)
    return [f"- {kind}: {' + '.join(f'{each:.0f}' for each in spent)}" for kind, spent in kinds.items()]
