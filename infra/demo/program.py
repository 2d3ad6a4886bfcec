"""The program `overture` of this environment."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from infra.demo.errors import DemoError

PROGRAM = Path(sys.executable).with_name("overture")


async def overture(*arguments: str) -> str:
    """What a command prints.

    Raises:
        DemoError: it fails; the message is its own.
    """
    running = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaint = await running.communicate()
    if running.returncode:
        raise DemoError(f"overture {' '.join(arguments)}: {(complaint or said).decode(errors='replace').strip()}")
    return said.decode()
