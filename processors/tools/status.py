"""Shows one upload's way, as the service tells it."""

from __future__ import annotations

import httpx
from rich.console import Console
from rich.table import Table

from processors.runtime.settings import Settings
from schemas.errors import AppError, UnavailableError


class UnknownMediaError(AppError):
    """No upload has that id."""

    code = "media-unknown"
    http_status = 404


class RefusedError(AppError):
    """The service does not let this key in."""

    code = "key-refused"
    http_status = 401


def show(settings: Settings, media_id: str, console: Console) -> None:
    """Print state, reasons, labels and timeline.

    Raises:
        UnknownMediaError: no upload has that id.
        RefusedError: the service wants another API key.
        UnavailableError: the service does not answer.
    """
    url = f"http://{settings.http.host}:{settings.http.port}/v1/media/{media_id}"
    try:
        answer = httpx.get(url, headers=_credentials(settings), timeout=10)
    except httpx.TransportError as error:
        raise UnavailableError(f"the service at {url} does not answer: {error}") from error
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise UnknownMediaError(f"no upload has the id {media_id}")
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise RefusedError(f"{answer.json()['detail']} OVERTURE_AUTH__CLIENT_KEY is what this command sends.")
    if answer.is_error:
        raise UnavailableError(f"the service answered {answer.status_code}: {answer.text[:300]}")
    media = answer.json()
    console.print(f"[bold]{media['media_id']}[/] {media['kind']}: [bold]{media['state']}[/]")
    for reason in media["reasons"]:
        console.print(f"  {reason['code']}: {reason['text']}")
    if media["labels"]:
        console.print("  labels: " + ", ".join(f"{each['name']} {each['score']:.2f}" for each in media["labels"]))
    table = Table("stage", "state", "at", box=None)
    for entry in media["timeline"]:
        table.add_row(entry["stage"], entry["state"], entry["at"])
    console.print(table)


def _credentials(settings: Settings) -> dict[str, str]:
    key = settings.auth.client_key
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
