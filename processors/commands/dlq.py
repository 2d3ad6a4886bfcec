"""``overture dlq``: events that were given up."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring
    from processors.tools.dlq.replay import Plan
    from processors.tools.dlq.selection import Selection

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay, purge.")
out = Console(highlight=False)

Places = Annotated[list[str] | None, typer.Argument(help="Letters: topic/partition/offset as `list` shows it.")]
CapabilityName = Annotated[str | None, typer.Option("--capability", help="Capability that gave up.")]
Code = Annotated[str | None, typer.Option("--code", help="Error code.")]
Since = Annotated[str | None, typer.Option("--since", help="Given up since: 90s, 30m, 2h, 7d, 4w, or a time (UTC).")]
Key = Annotated[str | None, typer.Option("--key", help="Key of the event, for example a media id.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Most letters, the oldest first.")]
By = Annotated[str, typer.Option("--by", help="Who does this, for the audit record.", show_default="the OS user")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the audit record.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("list")
def list_letters(
    capability: CapabilityName = None,
    code: Code = None,
    since: Since = None,
    key: Key = None,
    limit: Limit = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Purged ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List dead letters, the oldest first."""
    from processors.catalogue import CAPABILITIES
    from processors.tools.dlq import audit, reading, showing

    selection = _selection(None, capability, code, since, key, limit)
    with _wiring() as wiring:
        kafka, log = wiring.settings.kafka, audit.read(wiring.settings.kafka, wiring.registry)
        letters = reading.scan(
            kafka, selection, CAPABILITIES, wanted=lambda each: everything or log.state(each) != "purged"
        )
    shown = letters[:limit]
    if as_json:
        for letter in shown:
            typer.echo(showing.as_json(letter, log))
        return
    if shown:
        showing.table(shown, log, datetime.now(UTC), out)
    out.print(f"{len(letters)} letters" + (f", the {limit} oldest shown" if len(shown) < len(letters) else ""))


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="topic/partition/offset as `list` shows it.")], *, as_json: Json = False
) -> None:
    """Show one letter: headers, decoded value, what was done with it."""
    from processors.tools.dlq import audit, reading, showing
    from processors.tools.dlq.values import Decoder

    with _wiring() as wiring:
        stored = reading.one(wiring.settings.kafka, place)
        facts = showing.story(stored, audit.read(wiring.settings.kafka, wiring.registry), Decoder(wiring.registry))
    if as_json:
        typer.echo(showing.story_json(facts))
    else:
        showing.print_story(facts, out)


@app.command()
def replay(
    places: Places = None,
    capability: CapabilityName = None,
    code: Code = None,
    since: Since = None,
    key: Key = None,
    limit: Limit = None,
    rate: Annotated[float, typer.Option("--rate", min=0.01, help="Most letters a second.")] = 50.0,
    by: By = "",
    reason: Reason = "",
    *,
    again: Annotated[bool, typer.Option("--again", help="Those that were replayed before, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Send letters back to the capability that gave them up; exit code 1 if one named by its place was not sent."""
    from processors.catalogue import CAPABILITIES
    from processors.tools.dlq import replay as tool

    selection = _named(_selection(places, capability, code, since, key, limit))
    with _wiring() as wiring:
        chosen = tool.plan(wiring.settings.kafka, wiring.registry, CAPABILITIES, selection, again=again)
        _print_refused(chosen)
        if dry_run:
            for each in chosen.planned:
                _line(f"would send {each.letter.place} ({each.letter.code}, {each.letter.key_text}) to {each.topic}")
            _line(f"{len(chosen.planned)} would be sent, {len(chosen.refused)} refused")
        else:
            sent = asyncio.run(_replay(wiring, chosen, by, reason, rate))
            _line(f"{sent} sent, {len(chosen.refused)} refused")
    raise typer.Exit(1 if selection.places and (chosen.refused or chosen.missing) else 0)


@app.command()
def purge(
    places: Places = None,
    capability: CapabilityName = None,
    code: Code = None,
    since: Since = None,
    key: Key = None,
    limit: Limit = None,
    by: By = "",
    reason: Reason = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it nothing is purged.")] = False,
) -> None:
    """Put letters away for good: never listed or replayed again, and gone from Kafka as far as it can delete."""
    from processors.catalogue import CAPABILITIES
    from processors.tools.dlq import purge as tool

    selection = _named(_selection(places, capability, code, since, key, limit))
    with _wiring() as wiring:
        settings: Settings = wiring.settings
        letters = tool.plan(settings.kafka, wiring.registry, CAPABILITIES, selection)
        if not yes:
            for letter in letters:
                _line(f"would purge {letter.place} ({letter.code}, {letter.key_text})")
            _line(f"{len(letters)} would be purged; --yes does it")
            raise typer.Exit(1)
        done = asyncio.run(
            tool.run(
                settings.kafka,
                wiring.registry,
                wiring.publisher,
                wiring.codec,
                letters,
                by=by or getpass.getuser(),
                reason=reason,
            )
        )
    _line(f"{done.hidden} purged; {done.gone} are gone from Kafka, {done.kept} wait there for retention")


async def _replay(wiring: Wiring, chosen: Plan, by: str, reason: str, rate: float) -> int:
    from processors.tools.dlq.replay import Replayer

    replayer = Replayer(wiring.settings.kafka, wiring.publisher, wiring.codec, wiring.attempts)
    try:
        return await replayer.run(
            chosen,
            by=by or getpass.getuser(),
            reason=reason,
            rate=rate,
            sent=lambda each, to: _line(f"sent {each.letter.place} to {to}"),
        )
    finally:
        await wiring.redis.aclose()


@contextmanager
def _wiring() -> Iterator[Wiring]:
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring

    with closing(Wiring(Settings())) as wiring:
        yield wiring


def _selection(
    places: list[str] | None,
    capability: str | None,
    code: str | None,
    since: str | None,
    key: str | None,
    limit: int | None,
) -> Selection:
    from processors.tools.dlq import selection
    from processors.tools.dlq.letters import Place

    return selection.Selection(
        capability=capability,
        code=code,
        since=None if since is None else selection.since(since, datetime.now(UTC)),
        key=key,
        places=tuple(Place.parse(each) for each in places or ()),
        limit=limit,
    )


def _named(selection: Selection) -> Selection:
    """Nobody means every letter of every capability by saying nothing."""
    if not selection.names_anything:
        raise typer.BadParameter("name letters by their places or by a filter, for example --capability")
    return selection


def _print_refused(chosen: Plan) -> None:
    for refused in chosen.refused:
        _line(f"refused {refused.letter.place}: {refused.reason} ({refused.code})")
    for place in chosen.missing:
        _line(f"refused {place}: no such letter (letter-gone)")


def _line(text: str) -> None:
    out.print(text, soft_wrap=True, markup=False)
