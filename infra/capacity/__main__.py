"""Prints what a number of users takes, or writes ``docs/capacity.md``: ``python -m infra.capacity --help``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from infra.capacity import page
from infra.capacity.model import Demand, Rates, plan

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def show(
    daily_users: Annotated[float, typer.Option(help="Users active on a day.")] = 1e6,
    plays_a_user: Annotated[float, typer.Option(help="Plays of one user on a day.")] = Demand.plays_a_user,
    reads_a_user: Annotated[float, typer.Option(help="Recommendation requests of one user on a day.")] = (
        Demand.reads_a_user
    ),
    uploaders: Annotated[float, typer.Option(help="Share of users that uploads on a day, 0..1.")] = Demand.uploaders,
    avatars: Annotated[
        float, typer.Option(help="Share of users that chooses an avatar on a day, 0..1.")
    ] = Demand.avatars,
    upload_cpu_s: Annotated[float, typer.Option(help="CPU seconds for one mean upload.")] = page.RATES.upload_cpu_s,
    plays_a_worker_s: Annotated[float, typer.Option(help="Plays one worker counts in a second.")] = (
        page.RATES.plays_a_worker_s
    ),
    upload_reviews: Annotated[float, typer.Option(help="Share of uploads that a person looks at, 0..1.")] = (
        Rates.upload_reviews
    ),
    avatar_reviews: Annotated[float, typer.Option(help="Share of avatars that a person looks at, 0..1.")] = (
        Rates.avatar_reviews
    ),
    decision_s: Annotated[float, typer.Option(help="Seconds of a moderator for one decision.")] = Rates.decision_s,
    utilisation: Annotated[float, typer.Option(help="Share of its time a unit may be busy.")] = Rates.utilisation,
    *,
    write: Annotated[bool, typer.Option(help="Write the page for the usual sizes instead.")] = False,
) -> None:
    """Workers, partitions, storage and cost for a demand."""
    if write:
        page.PAGE.write_text(page.text())
        Console().print(f"wrote {page.PAGE}")
        return
    try:
        demand = Demand(
            daily_users=daily_users,
            plays_a_user=plays_a_user,
            reads_a_user=reads_a_user,
            uploaders=uploaders,
            avatars=avatars,
            known_users=page.KNOWN_SHARE * daily_users,
            items=uploaders * daily_users * page.ITEM_DAYS,
        )
        rates = Rates(
            upload_cpu_s=upload_cpu_s,
            plays_a_worker_s=plays_a_worker_s,
            upload_reviews=upload_reviews,
            avatar_reviews=avatar_reviews,
            decision_s=decision_s,
            utilisation=utilisation,
        )
        found = plan(demand, rates)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for name, value in page.rows(found):
        Console().print(f"{name:<62} {value}", highlight=False)


if __name__ == "__main__":
    app()
