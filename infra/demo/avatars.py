"""Avatars of each outcome, who is in the gallery of public figures, and what is expected of each picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Literal

from infra.demo import faces
from infra.demo.cache import Cache
from infra.demo.drawing import draw_playlist
from infra.demo.errors import DemoError
from infra.demo.portraits import draw_cartoon, write_blurred, write_code, write_dim, write_variant
from models.weights import WeightsError

Outcome = Literal["approved", "rejected", "review"]
FIGURES = {"Barack Obama": ("obama-1", "obama-2"), "Joe Biden": ("biden",)}
"""Person in the gallery -> pictures; another picture of the first is sent as an avatar."""
LIGHT = 0.3
"""Share of the light that is left in the dim portrait: too little to approve, too much to reject."""
RING = 3
"""Accounts that show one face."""
QR_TEXT = "https://example.org/follow-me"


@dataclass(frozen=True)
class Avatar:
    """One avatar.

    Attributes:
        key: Short name; `demo-` and it make the user's id, the same in each run, so that no run adds accounts.
        title: What it shows, for people.
        file: The picture.
        outcome: What must become of it.
        codes: Reason codes of which a rejection or a review must name one.
        ring: Whether its face is that of the other accounts of the ring.
        figure: Whether the outcome follows from the gallery of public figures.
    """

    key: str
    title: str
    file: Path
    outcome: Outcome
    codes: frozenset[str] = frozenset()
    ring: bool = False
    figure: bool = False

    @property
    def user(self) -> str:
        """Id of its user."""
        return f"demo-{self.key}"


def collect_avatars(folder: Path, progress: Callable[[str], None]) -> tuple[Avatar, ...]:
    """Every avatar in the order of sending; archives are fetched the first time.

    Args:
        folder: Where made pictures are kept between runs.
        progress: Told what is being done.

    Raises:
        DemoError: an archive cannot be fetched, or a package is missing.
    """
    progress("fetching pictures of faces")
    try:
        return (*_real(), *_made(Cache(folder)))
    except WeightsError as error:
        raise DemoError(
            f"the pictures of faces cannot be fetched, and the demo's avatars need them: {error}"
        ) from error


def gallery_folder(folder: Path) -> Path:
    """The folder that the gallery is built of, one folder a person.

    Raises:
        DemoError: an archive cannot be fetched.
    """
    root = folder / "public-figures"
    for person, names in FIGURES.items():
        (root / person).mkdir(parents=True, exist_ok=True)
        for picture in (faces.picture(name) for name in names):
            copyfile(picture, root / person / picture.name)
    return root


def _real() -> tuple[Avatar, ...]:
    return (
        Avatar("grace", "Portrait of an officer", faces.picture("hopper"), "approved"),
        Avatar("cat", "Portrait of a cat", faces.picture("cat"), "rejected", frozenset({"avatar-no-face"})),
        Avatar(
            "friends",
            "Six people in one picture",
            faces.picture("six-actors"),
            "rejected",
            frozenset({"avatar-several-people"}),
        ),
        Avatar(
            "president",
            "A president, another picture than the gallery's",
            faces.picture("obama-3"),
            "rejected",
            frozenset({"avatar-public-figure"}),
            figure=True,
        ),
    )


def _made(cache: Cache) -> tuple[Avatar, ...]:
    hopper, astronaut = faces.picture("hopper"), faces.picture("astronaut")
    variants = [
        cache.get(f"astronaut-{number}.jpg", "1", partial(write_variant, astronaut, number=number))
        for number in range(RING)
    ]
    return (
        Avatar(
            "blurred",
            "The officer out of focus (made)",
            cache.get("blurred.jpg", "2", lambda file: write_blurred(hopper, file)),
            "rejected",
            frozenset({"avatar-blurred"}),
        ),
        Avatar(
            "cartoon",
            "A cartoon (drawn)",
            cache.get("cartoon.png", "1", draw_cartoon),
            "rejected",
            frozenset({"avatar-drawing", "avatar-no-face"}),
        ),
        Avatar(
            "code",
            "A QR code (made)",
            cache.get("code.png", f"1 {QR_TEXT}", lambda file: write_code(file, QR_TEXT)),
            "rejected",
            frozenset({"avatar-code"}),
        ),
        Avatar(
            "screen",
            "A screenshot (drawn)",
            cache.get("playlist.png", "1", draw_playlist),
            "rejected",
            frozenset({"avatar-screenshot", "avatar-no-face"}),
        ),
        Avatar(
            "dim",
            "The officer in too little light (made)",
            cache.get("dim.jpg", f"1 {LIGHT}", lambda file: write_dim(hopper, file, LIGHT)),
            "review",
            frozenset({"avatar-dark"}),
        ),
        *(
            Avatar(f"twin-{number + 1}", f"One astronaut, account {number + 1} of {RING}", file, "approved", ring=True)
            for number, file in enumerate(variants)
        ),
    )
