"""``overture keys``: who may call the HTTP service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from processors.runtime.settings import Settings

if TYPE_CHECKING:
    from processors.serving.keys import KeyRecord

app = typer.Typer(no_args_is_help=True, help="API keys of the HTTP service; a running one sees changes at once.")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Who uses it, for people.")],
    scope: Annotated[list[str], typer.Option(help="ingest, read, operate or review; may come several times.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="Days until it expires; never if left out.")
    ] = None,
) -> None:
    """Make a key and print it; it is shown this once and kept nowhere."""
    from processors.serving.key_file import KeyFile
    from processors.serving.keys import SCOPES

    if unknown := [each for each in scope if each not in SCOPES]:
        raise typer.BadParameter(f"no scope {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    file, now = KeyFile(Settings().keys_path), _now()
    expires_at = None if days is None else now + timedelta(days=days)
    text, record = file.create(name, tuple(s for s in SCOPES if s in scope), now, expires_at)
    until = f"until {record.expires_at:%Y-%m-%d %H:%M} UTC" if record.expires_at else "for ever"
    err.print(f"key {record.id} in {file.path}: {', '.join(record.scopes)}, {until}. Its text, shown this once:")
    typer.echo(text)


@app.command("list")
def list_keys() -> None:
    """Show every key that was made, without its secret."""
    from processors.serving.key_file import KeyFile

    table = Table(box=None)
    for title in ("id", "state", "created", "scopes"):
        table.add_column(title, no_wrap=True)
    table.add_column("name", overflow="fold", min_width=12)
    for key in KeyFile(Settings().keys_path).read():
        table.add_row(key.id, _state(key), f"{key.created_at:%Y-%m-%d}", " ".join(key.scopes), Text(key.name))
    out.print(table)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="As `overture keys list` shows it.")]) -> None:
    """Withdraw a key; the next request with it is refused."""
    from processors.serving.key_file import KeyFile

    key = KeyFile(Settings().keys_path).revoke(key_id, _now())
    out.print(f"key {key.id} is revoked since {key.revoked_at:%Y-%m-%d %H:%M} UTC")


def _state(key: KeyRecord) -> str:
    state = key.state(_now())
    if state == "active":
        return f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "for ever"
    return f"{state} {key.revoked_at or key.expires_at:%Y-%m-%d}"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
