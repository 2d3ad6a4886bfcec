"""``overture features reembed``."""

from __future__ import annotations

import typer
from rich.console import Console


def features_reembed() -> None:
    """Embed published items of another content version anew, from their events. Workers may go on meanwhile."""
    import asyncio

    from processors.runtime import logs
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring
    from processors.tools.rebuild.report import progress
    from processors.tools.reembed import Reembedded, reembed

    settings, out = Settings(), Console()
    logs.configure(settings.worker)
    wiring = Wiring(settings)

    async def work() -> Reembedded:
        async with wiring.redis:
            with progress(Console(stderr=True)) as tell:
                return await reembed(wiring, tell)

    try:
        found = asyncio.run(work())
    finally:
        wiring.close()
    out.print(f"{len(found.done)} items embedded anew, {found.current} were of {found.version} already")
    for item, reason in found.failed.items():
        out.print(f"    {item}: {reason}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if found.failed else 0)
