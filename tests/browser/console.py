"""What a moderator does at the console, for its tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Page, expect

from models.media.facts import complete
from models.media.thumbnail import thumbnail
from schemas.review import ReviewRequested
from tests.browser.conftest import Site, Window
from tests.fakes.review import ReviewService, near, request


def service_of(site: Site) -> ReviewService:
    assert isinstance(site.service, ReviewService)
    return site.service


def avatar(site: Site, name: str, *codes: str, **changes: Any) -> ReviewRequested:
    """A request about an avatar with two pictures and a public figure beside it."""
    noise = np.random.default_rng(ord(name[0])).integers(0, 255, (1, 120, 90, 3), dtype=np.uint8)
    data = thumbnail(complete({"frames": noise})) or b""
    pictures = tuple(site.run(service_of(site).image(data, f"{name}-{part}")) for part in ("crop", "preview"))
    scores = {"celebrity": 0.62, "celebrity.threshold": 0.55, "face.sharpness": 0.8, "face.side_px": 212.0}
    known = {"pictures": pictures, "nearest": (near("Ada Example", 0.62, pictures[0]),), "scores": scores}
    return request(name, *(codes or ("avatar-public-figure",)), **(known | changes))


def queue(site: Site, *names: str) -> list[str]:
    """Avatars in this order; their ids."""
    return [service_of(site).ask(avatar(site, name)) for name in names]


def desk(site: Site, window: Window) -> Page:
    """The console, a case before it."""
    window.page.goto(f"{site.address}/review")
    return ready(window.page)


def ready(page: Page) -> Page:
    """The page, a case before it."""
    expect(page.get_by_role("group", name="What to do")).to_be_visible()
    return page


def at(page: Page, case: str) -> Page:
    """The page, this case before it."""
    expect(page.get_by_text(f"Case {case[:8]}")).to_be_visible()
    return ready(page)


def acted(page: Page, site: Site, number: int) -> list[tuple[str, str, tuple[str, ...]]]:
    """What reached the service, once it is so much."""
    while len(service_of(site).acted) < number:
        page.clock.run_for(500)
    return [(each.review_id, each.action, each.reasons) for each in service_of(site).acted]


def login(site: Site, window: Window, key: str) -> Page:
    """The console after a login by key."""
    window.page.goto(f"{site.address}/review")
    enter(window.page, key)
    expect(window.page.get_by_role("dialog")).to_be_hidden()
    return window.page


def enter(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_label("API key").press("Enter")
