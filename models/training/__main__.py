"""``python -m models.training text-moderation|content-classification|face-occlusion|picture-kind [--debug]``."""

from __future__ import annotations

import importlib
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Trains the project's own small networks.")
console = Console()

Debug = Annotated[bool, typer.Option("--debug", help="Run in seconds, write to a temporary folder.")]


@app.command("text-moderation")
def text_moderation(debug: Debug = False) -> None:
    """The classifier beside the word lists (some five minutes on one core)."""
    _train("models.training.text_moderation", debug)


@app.command("content-classification")
def content_classification(debug: Debug = False) -> None:
    """The classifier over sound, picture and text (some ten minutes on one core)."""
    _train("models.training.content_classification", debug)


@app.command("face-occlusion")
def face_occlusion(debug: Debug = False) -> None:
    """Which cells of a face are covered (some four minutes on one core)."""
    _train("models.training.face_occlusion", debug)


@app.command("picture-kind")
def picture_kind(debug: Debug = False) -> None:
    """Photograph, drawing, screenshot, statue or screen (some three minutes on one core)."""
    _train("models.training.picture_kind", debug)


def _train(module: str, debug: bool) -> None:
    training = importlib.import_module(module)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        config = training.Config.debug(Path(folder), Path(folder)) if debug else training.Config()
        encoding = progress.add_task("encoding", total=None)
        passes = progress.add_task("training", total=config.fit.epochs)

        def watch(epoch: int, train: float, validation: float) -> None:
            words = f"training, loss {train:.3f}, validation {validation:.3f}"
            progress.update(passes, completed=epoch + 1, description=words)

        card = training.run(config, lambda count: progress.advance(encoding, count), watch)
        evaluation = json.loads((card.folder / "evaluation.json").read_text(encoding="utf-8"))
    console.print_json(data=evaluation)
    console.print(f"{card.label}: {card.size_bytes} bytes, {card.folder}")


if __name__ == "__main__":
    app()
