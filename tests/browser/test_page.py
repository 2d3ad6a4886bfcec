"""The page at ``/`` as a person meets it: in a browser, by keyboard and by what it says of itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Error, expect

from models.media.facts import complete
from models.media.thumbnail import thumbnail
from processors.catalogue import BY_NAME
from processors.serving.gate import Gate
from processors.serving.keys import KeyRecord, KeyRing, digest, new_key
from schemas.common import Label, Reason
from tests.browser.conftest import Site, Window
from tests.fakes.operations import MemoryBroker, upload
from tests.fakes.serving import NOW, item

pytestmark = [pytest.mark.timeout(300)]
ONE, TWO, THREE, FOUR = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("one", "two", "three", "four"))
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`${alert(3)}"
LABELS = (Label(name=HOSTILE, score=0.9),)
REASONS = (Reason(code="text-blocked", text=HOSTILE),)


def filled(site: Site) -> Site:
    """Four uploads: published with a hostile title, rejected with a picture, in progress, published."""
    noise = np.random.default_rng(1).integers(0, 255, (1, 90, 160, 3), dtype=np.uint8)
    picture = site.run(site.service.picture(thumbnail(complete({"frames": noise})) or b""))
    service = site.service
    service.tell(upload(ONE, title=HOSTILE, uploader=HOSTILE, labels=LABELS, thumbnail=picture))
    service.tell(item(ONE))
    service.tell(upload(TWO, "rejected", -1, title="Not for all", reasons=REASONS, thumbnail=picture))
    service.tell(upload(THREE, "processing", -2, title="On its way"))
    service.tell(upload(FOUR, second=-3, title="A title that is too long for the one line that it has on a phone"))
    service.tell(item(FOUR))
    return site


def test_the_overview_shows_what_is_known(site: Site, window: Window) -> None:
    source = BY_NAME["media_analysis"].consumes[0].name
    site.service.broker.ends = {(source, 0): 7}
    page = window.page
    page.goto(f"{filled(site).address}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".card").nth(1)).to_contain_text("rejected")
    expect(page.get_by_role("status")).to_have_text("Live")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="media_analysis"))
    expect(row.get_by_role("cell").nth(2)).to_have_text("7")
    expect(page.get_by_role("rowheader", name=source)).to_be_visible()
    expect(page.get_by_role("columnheader", name="Backlog")).to_be_visible()
    assert window.troubles == []
    assert {url.split("/")[2] for url in window.requests if not url.startswith("blob:")} == {site.address.split("/")[2]}


def test_hostile_text_stays_text(site: Site, window: Window) -> None:
    page = window.page
    page.goto(f"{filled(site).address}/")
    link = page.get_by_role("link", name=HOSTILE, exact=True).first
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    page.goto(f"{site.address}/#/items/{TWO}")
    expect(page.locator(".reasons").first).to_contain_text(HOSTILE)
    page.goto(f"{site.address}/#/items/{HOSTILE}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Unknown upload")
    assert page.locator("script").count() == 1
    assert page.locator("img[src=x]").count() == 0
    assert [trouble for trouble in window.troubles if "404" not in trouble] == []


@pytest.mark.parametrize(
    ("attempt", "refusal"),
    [
        ("document.body.innerHTML = '<b>x</b>'", "TrustedHTML"),
        ("document.body.setAttribute('onclick', 'ran()')", "TrustedScript"),
        ("document.createElement('script').src = '/x.js'", "TrustedScriptURL"),
    ],
)
def test_the_policy_refuses_markup_and_scripts_made_of_text(
    site: Site, window: Window, attempt: str, refusal: str
) -> None:
    window.page.goto(f"{site.address}/")
    expect(window.page.get_by_role("status")).to_have_text("Live")
    with pytest.raises(Error, match=refusal):
        window.page.evaluate(f"() => {{ {attempt} }}")


def test_pictures_of_what_was_not_approved_are_shown_only_when_asked_for(site: Site, window: Window) -> None:
    page = window.page
    page.goto(f"{filled(site).address}/")
    shown = page.locator(".card").nth(0).locator("img")
    expect(shown).to_have_js_property("naturalWidth", 160)
    rejected = page.locator(".card").nth(1)
    expect(rejected.get_by_role("button", name="Show the picture of “Not for all”, rejected")).to_be_visible()
    assert not any(TWO in url and url.endswith("/thumbnail") for url in window.requests)
    rejected.get_by_role("button").press("Enter")
    expect(rejected.locator("img")).to_have_js_property("naturalWidth", 160)
    site.service.tell(upload(THREE, "review", -2, seq=9, title="To be seen"))
    expect(page.locator(".card").nth(2)).to_contain_text("review")
    expect(rejected.locator("img")).to_be_visible()
    assert window.troubles == []


def test_one_upload_by_a_link_to_it(site: Site, window: Window) -> None:
    page = window.page
    page.goto(f"{filled(site).address}/#/items/{THREE}")
    expect(page.get_by_role("heading", level=1)).to_have_text("On its way")
    steps = page.get_by_role("region", name="Timeline").get_by_role("listitem")
    expect(steps).to_have_count(2)
    expect(steps.nth(1)).to_contain_text("took 2.00 s")
    site.service.tell(upload(THREE, "published", -2, seq=9, title="On its way"))
    expect(steps).to_have_count(6)
    page.get_by_role("link", name="← Overview").click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("textbox", name="Upload id").fill(f" {ONE} ")
    page.get_by_role("textbox", name="Upload id").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    assert page.url.endswith(f"#/items/{ONE}")
    assert window.troubles == []


def test_new_uploads_appear_and_keep_the_focus_where_it_is(site: Site, window: Window) -> None:
    page = window.page
    page.goto(f"{filled(site).address}/")
    link = page.get_by_role("link", name="On its way")
    link.focus()
    site.service.tell(upload(str(uuid.uuid4()), "processing", 5, title="Brand new"))
    expect(page.locator(".card").first).to_contain_text("Brand new")
    expect(link).to_be_focused()
    page.get_by_role("combobox", name="State").select_option("rejected")
    expect(page.locator(".card")).to_have_count(1)


def test_a_broker_that_is_away_is_said(open_site: Callable[..., Site], window: Window) -> None:
    site = open_site(broker=MemoryBroker(away=True))
    page = window.page
    page.goto(f"{site.address}/")
    expect(page.get_by_role("status")).to_have_text("Broker away")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    site.service.broker.away = False
    site.service.broker.clock += 10
    expect(page.get_by_role("status")).to_have_text("Live")
    expect(page.get_by_role("alert")).to_be_hidden()
    site.stop()
    expect(page.get_by_role("status")).to_have_text("Service away")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(open_window: Callable[..., Window], site: Site, scheme: str) -> None:
    window = open_window(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = window.page
    page.goto(f"{filled(site).address}/")
    expect(page.locator(".card")).to_have_count(4)
    for view in ("", f"#/items/{ONE}"):
        page.goto(f"{site.address}/{view}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
        assert page.evaluate(CONTRASTS) == [], view


CONTRASTS = """() => {
  const channel = (v) => (v /= 255, v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${walker.currentNode.data.trim()} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
"""Texts whose contrast to their ground is under 4.5 (WCAG 2.2, 1.4.3)."""


def test_nothing_is_asked_while_nobody_looks(site: Site, window: Window) -> None:
    page = window.page
    page.clock.install()
    page.goto(f"{site.address}/")
    expect(page.get_by_role("status")).to_have_text("Live")
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {get: () => window.away ?? false, configurable: true});"
        " window.away = true; document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.wait_for_load_state("networkidle")
    before = len(window.requests)
    page.clock.run_for(60_000)
    assert len(window.requests) == before
    with page.expect_response("**/v1/operations/overview"):
        page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")


class Keys:
    """Two keys: one opens what the page reads, one does not."""

    def __init__(self) -> None:
        (self.right_id, self.right), (self.other_id, self.other) = new_key(frozenset()), new_key(frozenset())

    def stamp(self) -> tuple[int, ...]:
        return (1,)

    def read(self) -> tuple[KeyRecord, ...]:
        given = ((self.right_id, self.right, "operate"), (self.other_id, self.other, "ingest"))
        return tuple(
            KeyRecord(id=number, name=scope, scopes=(scope,), sha256=digest(text), created_at=NOW)
            for number, text, scope in given
        )


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(open_site: Callable[..., Site], window: Window) -> None:
    keys = Keys()
    site = filled(open_site(gate=Gate(KeyRing(keys, lambda: NOW))))
    page = window.page
    page.goto(f"{site.address}/")
    field = page.get_by_label("Key with the scope operate")
    expect(field).to_be_focused()
    expect(page.locator(".card")).to_have_count(0)
    field.fill("ovk_wrong")
    field.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("is not one of this service")
    field.fill(keys.right)
    field.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".card img").first).to_have_js_property("naturalWidth", 160)
    page.reload()
    expect(page.locator(".card")).to_have_count(4)
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    assert not any(keys.right in url for url in window.requests)
    page.get_by_role("button", name="Forget the key").click()
    expect(field).to_be_visible()
    field.fill(keys.other)
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("none of the scopes")
