"""`python -m infra.demo.console`: cases for the moderators' console, made by real avatars and a real text.

Starts the local stack if it does not run, builds the demo's gallery of public figures, sends pictures that the rules
leave to people, and prints where to look. Exit code 0: there are cases; 2: there are none, or it could not run.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from functools import partial
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from infra.demo import faces, gallery
from infra.demo.avatars import LIGHT, RING, gallery_folder
from infra.demo.cache import Cache
from infra.demo.client import AvatarStatus, Refusal, Service
from infra.demo.errors import DemoError
from infra.demo.material import Item
from infra.demo.portraits import LONG_SIDE, QUALITY, write_dim, write_variant
from infra.demo.program import overture
from infra.local import stack
from infra.local.errors import StackError
from infra.local.plan import auth_off
from models.weights import WeightsError
from processors.runtime.settings import Settings

TEXT = "This singer is a loser and everybody knows it."
"""The classifier of texts neither passes nor refuses it."""
WIDE = 4
"""Long over short side of a picture that people look at."""
BESIDE = (40, 60, 90)
"""Colour beside the portrait in it."""
BLURS = (2.5, 3.0, 3.5)
"""Standard deviations, pixels at `LONG_SIDE`."""
SETTLED_S = 90.0
POLL_S = 0.5
DAYS = "1"


def main() -> None:
    """Entry point; errors meant for a person are shown without a traceback."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        settings = Settings()
        # the service does not start without a key, where it wants one
        key = "" if auth_off(settings) else asyncio.run(_key())
        if not stack.ledger_of(settings).held():
            stack.up()
        asyncio.run(_fill(settings, key, console))
    except (DemoError, StackError, WeightsError, ValidationError) as error:
        console.print("[bold red]error:[/] ", end="")
        console.print(str(error), markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


async def _fill(settings: Settings, key: str, console: Console) -> None:
    address = f"http://{settings.http.host}:{settings.http.port}"
    folder = settings.data_dir / "demo"
    async with Service(address, key=key) as service:
        if unready := await service.unready_parts():
            raise DemoError(f"{address} is not ready: {', '.join(unready)}; `make status` tells more")
        with console.status("making pictures, building the gallery"):
            portraits = await asyncio.to_thread(_portraits, Cache(folder / "files"))
            await gallery.ensure(gallery_folder(folder), lambda line: console.print(line, markup=False))
        with console.status("waiting for the machine's word") as spinner:
            table = Table("picture", "state", "because", box=None)
            in_review = 0
            for title, file in portraits.items():
                spinner.update(title)
                status = await _judged(service, "console-" + re.sub(r"[^a-z0-9]+", "-", title), file)
                in_review += status.state == "review"
                table.add_row(title, status.state, " ".join(reason.text for reason in status.reasons))
            await _post(service)
        console.print(table)
    if not in_review:
        raise DemoError("every picture was decided by the machine: there is nothing to review")
    console.print(f"\nThe moderators' console: [bold]{address}/review[/]   (press ? there for the keys)")
    if key:
        console.print(f"Log in with this key, valid for {DAYS} day: ", end="")
        console.print(key, markup=False)
    console.print("What became of a picture: GET /v1/avatars/USER. `make down` stops the stack.")


async def _key() -> str:
    scopes = [word for scope in ("ingest", "read", "review") for word in ("--scope", scope)]
    return (await overture("keys", "create", "--name", "console on trial", "--days", DAYS, *scopes)).strip()


async def _judged(service: Service, user: str, file: Path) -> AvatarStatus:
    """Send an avatar and wait for what the machine makes of it."""
    answer = await service.change_avatar(user, file, f"{user}-{time.time_ns()}")
    if isinstance(answer, Refusal):
        raise DemoError(f"{file.name} was refused: {answer.status} {answer.code} {answer.detail}")
    deadline = time.monotonic() + SETTLED_S
    while time.monotonic() < deadline:
        status = await service.avatar(user)
        if status is not None and status.event_id == answer and status.settled:
            return status
        await asyncio.sleep(POLL_S)
    raise DemoError(f"nothing has become of {file.name} in {SETTLED_S:.0f} s; `make status` tells more")


async def _post(service: Service) -> None:
    """A text that a person should look at; the console shows what became of it."""
    item = Item("opinion", "post", "An opinion", text=TEXT, language="en")
    answer = await service.upload(item, "console-critic", f"console-{time.time_ns()}")
    if isinstance(answer, Refusal):
        raise DemoError(f"the text was refused: {answer.status} {answer.code} {answer.detail}")


def _portraits(cache: Cache) -> dict[str, Path]:
    """Title -> picture; most are on the border of one rule each, the last ones show one face."""
    astronaut, officer = faces.picture("astronaut"), faces.picture("hopper")
    made = {
        "too little light": cache.get("dim.jpg", f"1 {LIGHT}", lambda file: write_dim(officer, file, LIGHT)),
        "very wide": cache.get("console-wide.jpg", f"1 {WIDE}", lambda file: _write_wide(astronaut, file)),
    }
    for sigma in BLURS:
        name = f"console-blur-{sigma:g}.jpg"
        made[f"blurred by {sigma:g} px"] = cache.get(name, "1", partial(_write_soft, officer, sigma=sigma))
    for number in range(RING):
        name = f"astronaut-{number}.jpg"
        made[f"one face, account {number + 1}"] = cache.get(name, "1", partial(write_variant, astronaut, number=number))
    return made


def _write_wide(picture: Path, file: Path) -> None:
    portrait = _opened(picture)
    wide = portrait.height * WIDE, portrait.height
    ImageOps.pad(portrait, wide, color=BESIDE).save(file, "JPEG", quality=QUALITY)


def _write_soft(picture: Path, file: Path, sigma: float) -> None:
    portrait = _opened(picture)
    portrait.thumbnail((LONG_SIDE, LONG_SIDE))
    portrait.filter(ImageFilter.GaussianBlur(sigma)).save(file, "JPEG", quality=QUALITY)


def _opened(picture: Path) -> Image.Image:
    """The picture upright, RGB."""
    with Image.open(picture) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


if __name__ == "__main__":
    main()
