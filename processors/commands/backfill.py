"""``overture backfill``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from processors.runtime.wiring import Wiring

out = Console()


def backfill(
    capability: Annotated[str, typer.Argument(help="Capability, for example item_indexing.")],
    to: Annotated[int | None, typer.Option("--to", min=1, help="Version to fill from the topics.")] = None,
    *,
    switch: Annotated[bool, typer.Option("--switch", help="Then give readers this version.")] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Remove the versions that readers do not get.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before something is removed.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show the versions. So does no option at all.")] = False,
) -> None:
    """Fill a new version of a capability's stores beside the old one, and switch readers to it or back."""
    import asyncio

    from processors.runtime import logs
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring

    if switch and to is None:
        raise typer.BadParameter("--switch needs --to")
    settings = Settings()
    logs.configure(settings.worker)
    wiring = Wiring(settings)

    async def work() -> None:
        async with wiring.redis:
            if to is not None:
                await _fill(wiring, capability, to, switching=switch)
            if drop_old:
                await _drop(wiring, capability, yes=yes)
            if status or not (to or drop_old):
                await _show(wiring, capability)

    try:
        asyncio.run(work())
    finally:
        wiring.close()


async def _fill(wiring: Wiring, name: str, version: int, *, switching: bool) -> None:
    from processors.tools.backfill.run import backfill as fill
    from processors.tools.backfill.versions import standing
    from processors.tools.rebuild.report import progress

    with progress(Console(stderr=True)) as tell:
        filled = await fill(wiring, name, version, tell, switching=switching)
    counts = ", ".join(f"{name} {len(rows)}" for name, rows in filled.stored.items())
    out.print(f"version {version} holds what the topics say: {counts} rows; {filled.mended} mended")
    for key, reason in filled.failed.items():
        out.print(f"    {key}: {reason}", markup=False, soft_wrap=True)
    if switching:
        out.print(f"readers get version {version}")
    [now] = [each for each in await standing(wiring, name) if each.version == version]
    if not now.group.members:
        out.print(f"no worker of version {version} is running: start `overture run {name}@{version}`")
    if filled.failed:
        raise typer.Exit(1)


async def _drop(wiring: Wiring, name: str, *, yes: bool) -> None:
    from processors.tools.backfill.run import drop_others

    if not yes:
        typer.confirm("The versions that readers do not get will be removed. Go on?", abort=True)
    dropped = await drop_others(wiring, name)
    out.print(f"removed: {', '.join(f'version {version}' for version in dropped) or 'nothing'}")


async def _show(wiring: Wiring, name: str) -> None:
    from rich.table import Table

    from processors.tools.backfill.versions import standing

    table = Table("version", "readers", "group", "workers", "lag", "rows")
    for each in await standing(wiring, name):
        rows = ", ".join(f"{name} {'not made' if count is None else count}" for name, count in each.rows.items())
        members, lag = str(each.group.members), str(each.group.lag)
        table.add_row(str(each.version), "get it" if each.in_use else "", each.group.name, members, lag, rows)
    out.print(table)
