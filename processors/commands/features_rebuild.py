"""``overture features rebuild``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console


def features_rebuild(
    view: Annotated[
        list[str] | None, typer.Option("--view", help="View or collection, with its version; by default all in use.")
    ] = None,
    *,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare every row with that of before; exit code 1 on a difference.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Empty features and vectors and fill them again from the topics. Workers may go on meanwhile."""
    import asyncio

    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring
    from processors.tools.rebuild import report
    from processors.tools.rebuild.run import in_use, rebuild, recommender_in_use, targets

    out, wiring = Console(), Wiring(Settings())

    async def work() -> bool:
        async with wiring.redis:
            return await empty_and_fill()

    async def empty_and_fill() -> bool:
        every = targets((await recommender_in_use(wiring)).in_use)
        chosen = view or await in_use(wiring)
        if unknown := [name for name in chosen if name not in every]:
            raise typer.BadParameter(f"no view or collection {', '.join(unknown)}; there are {', '.join(every)}")
        out.print(f"will be emptied and filled again: {', '.join(chosen)}")
        if not yes:
            typer.confirm("Until it is done, readers find less. Go on?", abort=True)
        with report.progress(Console(stderr=True)) as tell:
            found = await rebuild(wiring, chosen, tell, comparing=compare)
        report.show(found, out)
        return found.equal

    try:
        equal = asyncio.run(work())
    finally:
        wiring.close()
    raise typer.Exit(0 if equal else 1)
