"""``overture verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console


def verify(
    log: Annotated[Path, typer.Option("--log", help="Accepted uploads, one JSON object a line.")],
    objects: Annotated[
        Literal["present", "hash"], typer.Option(help="Whether objects are only there, or read and compared.")
    ] = "hash",
    service: Annotated[str, typer.Option(help="Base URL of the HTTP service; by default that of the settings.")] = "",
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with an API key that may read, where the service asks for one.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait until nothing is in work any more.")
    ] = 0.0,
    *,
    topic_scan: Annotated[bool, typer.Option("--topic-scan", help="The log names all uploads: others fail.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that every accepted upload ended once and that all stores agree; exit code 1 if not."""
    from processors.runtime.settings import Settings
    from processors.tools.verify import report
    from processors.tools.verify.verify import Options
    from processors.tools.verify.verify import verify as check

    settings, steps = Settings(), Console(stderr=True)
    if api_key_file is not None and not api_key_file.is_file():
        raise typer.BadParameter(f"{api_key_file} is no file")
    options = Options(
        log,
        topic_scan,
        objects,
        service or f"http://{settings.http.host}:{settings.http.port}",
        api_key_file.read_text().strip() if api_key_file else "",
        wait,
    )
    with steps.status("verify") as status:
        found = check(settings, options, status.update)
    if as_json:
        typer.echo(report.as_json(found).decode())
    else:
        report.show(found, Console())
    raise typer.Exit(0 if found.ok else 1)
