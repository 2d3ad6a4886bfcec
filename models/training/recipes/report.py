"""What a run leaves behind: figures as JSON, curves as pictures, one page for people."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import matplotlib as mpl
import orjson
from matplotlib.figure import Figure
from pydantic import TypeAdapter
from rich.table import Column, Table

from models.recommender_manifest import Measure
from models.training.recipes.base import Curve

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
    drawn = [name for name, curve in curves.items() if curve.passes]
    for name in drawn:
        draw(name, curves[name], folder / f"{name}.png")
    pictures = [f"![{name}]({name}.png)" for name in drawn]
    lines = [f"# {facts['recipe']}: {facts['summary']}", "", *_facts(facts), "", *table(measures), "", *pictures]
    (folder / REPORT).write_text("\n".join(lines) + "\n", encoding="utf-8")


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


def draw(name: str, curve: Curve, path: Path) -> None:
    """Training loss and validation measure by pass, each on a scale of its own."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    [loss] = left.plot(curve.passes, curve.train, color="tab:blue", label="training loss")
    [check] = right.plot(curve.passes, curve.validation, color="tab:orange", marker=".", label="validation")
    left.set(title=name, xlabel="pass", ylabel="training loss")
    right.set_ylabel("validation measure")
    # below, where no curve can run through it
    figure.legend(handles=[loss, check], loc="outside lower center", ncols=2)
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
        f"- splits: {', '.join(map(str, facts['splits']))}; seed {facts['seed']}; {facts['processes']} process(es)",
        f"- code: {facts['code_commit'] or 'unknown'}; {', '.join(f'{k} {v}' for k, v in facts['packages'].items())}",
        f"- {facts['seconds']:.0f} s, {facts['cpu_seconds']:.0f} s of CPU time",
    ]
    return lines + [f"- below its bar: {words}" for words in facts["below_bars"]]
