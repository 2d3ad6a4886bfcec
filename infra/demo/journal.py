"""What happened, on the screen and in a plain text file for reports of faults."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType

WIDTH = 150


class Journal:
    """Writes everything to a text file, and to the console what is not shown there in another way.

    Args:
        console: The screen.
        file: Replaced at the start.
    """

    def __init__(self, console: Console, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.console = console
        self.file = file
        self._stream = file.open("w", encoding="utf-8")
        self._plain = Console(file=self._stream, width=WIDTH, no_color=True, force_terminal=False, highlight=False)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._plain.print(f"demo of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is not None:
            self.note(f"ended by {type(error).__name__}: {error}")
        self._stream.close()

    def note(self, line: str) -> None:
        """Write an event with its time; the screen gets it only where no live table can show it."""
        text = f"{time.monotonic() - self._started:7.2f} s  {line}"
        self._plain.print(text, markup=False, soft_wrap=True)
        self._stream.flush()
        if not self.console.is_terminal:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, *shown: RenderableType) -> None:
        """Write something to both."""
        for one in shown:
            self._plain.print(one)
            self.console.print(one)
        self._stream.flush()
