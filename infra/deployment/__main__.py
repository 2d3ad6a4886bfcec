"""Keeps what others deploy from in step with the code.

``python -m infra.deployment write`` writes the generated file of the Helm chart; ``check`` renders the chart with
Helm and validates every object against its schema (Kubernetes, KEDA), and the compose file against the Compose
Specification.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.deployment import capabilities, chart, compose

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def write() -> None:
    """Write capabilities.yaml of the Helm chart."""
    capabilities.FILE.write_text(capabilities.text())
    Console().print(f"wrote {capabilities.FILE}")


@app.command()
def check(
    helm: Annotated[Path, typer.Option(help="Helm 3.")] = Path(".overture/tools/helm"),
    node: Annotated[Path, typer.Option(help="Folder with node_modules/@kubernetes-models/keda.")] = Path(
        ".overture/tools/keda"
    ),
) -> None:
    """Render and validate; exit code 1 and a line for each problem."""
    problems = compose.problems()
    checked = 0
    for name, values in chart.VARIANTS.items():
        objects = chart.rendered(helm, values)
        checked += len(objects)
        problems += [f"{name}: {problem}" for problem in chart.problems(objects, node)]
    for problem in problems:
        Console().print(problem, soft_wrap=True)
    Console().print(
        f"{checked} objects in {len(chart.VARIANTS)} variants and the compose file: {len(problems)} problems"
    )
    raise typer.Exit(1 if problems else 0)


if __name__ == "__main__":
    app()
