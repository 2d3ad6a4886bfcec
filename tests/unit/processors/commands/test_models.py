"""What ``overture models`` shows while it works."""

from __future__ import annotations

from rich.progress import Progress

from processors.commands.models import _teller


def test_a_step_has_one_bar_however_often_it_tells() -> None:
    progress = Progress(disable=True)
    tell = _teller(progress)
    for done in (1, 2, 3):
        tell("placing", done, 3)
    tell("settling", 1, 5)
    assert [(task.description, task.completed, task.total) for task in progress.tasks] == [
        ("placing", 3, 3),
        ("settling", 1, 5),
    ]
