"""``overture erase``: forget a user, and show what is left."""

from __future__ import annotations

from typing import Annotated

import typer


def erase(
    user: Annotated[str, typer.Argument(help="User id.")],
    scan_for: Annotated[
        list[str] | None, typer.Option("--scan-for", help="A text to look for afterwards; may be repeated.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who asks; goes into the event.")] = "operator",
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the workers.")] = 600.0,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be forgotten.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget a user: uploads with all made of them, avatars, taste; then look for traces.

    Exit code 1: something remains. It may be ended at any time: what was asked for is done by the workers.
    """
    import asyncio

    from rich.console import Console

    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring
    from processors.tools.erase.session import Choices, run_erasure

    if any(not text for text in scan_for or ()):
        raise typer.BadParameter("--scan-for needs a text")

    def agreed(question: str) -> bool:
        return yes or typer.confirm(question)

    wiring = Wiring(Settings())
    try:
        choices = Choices(user, tuple(scan_for or ()), by, wait, dry_run)
        clean = asyncio.run(run_erasure(wiring, choices, agreed, Console(highlight=False, soft_wrap=True)))
    finally:
        wiring.close()
    raise typer.Exit(0 if clean else 1)
