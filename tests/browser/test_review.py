"""The moderators' console at ``/review`` as a moderator meets it: by keyboard, in a browser, on the real routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Error, expect

from processors.runtime.settings import Settings
from processors.serving.gate import Gate
from processors.serving.keys import KeyRing
from schemas.review import Vote
from tests.browser.conftest import Site, Window, sites
from tests.browser.console import acted, at, avatar, desk, enter, login, queue, ready, service_of
from tests.browser.test_page import CONTRASTS
from tests.fakes.openid import Provider
from tests.fakes.review import ModeratorKeys, ReviewService, near, request
from tests.fakes.serving import NOW

pytestmark = [pytest.mark.timeout(300)]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`${alert(3)}"
TURNED = "pay \u202eexe.txt\u202c now"
LOADS = """src => new Promise(tell => {
  const image = new Image();
  image.onload = () => tell(true);
  image.onerror = () => tell(false);
  image.src = src;
})"""
BLUR = "node => getComputedStyle(node).filter"


@pytest.fixture
def open_console() -> Iterator[Callable[..., Site]]:
    """Start a site for ``ReviewService(**parts)``."""
    yield from sites(ReviewService)


@pytest.fixture
def site(open_console: Callable[..., Site]) -> Site:
    return open_console()


@pytest.fixture
def window(open_window: Callable[..., Window]) -> Window:
    """A window whose clock goes on by itself, and faster where a test says so."""
    opened = open_window()
    opened.page.clock.install()
    return opened


def test_a_decision_takes_two_keys(site: Site, window: Window) -> None:
    first, second, third = queue(site, "a", "b", "c")
    page = desk(site, window)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    face = page.get_by_role("img", name="Face", exact=True)
    expect(face).to_have_js_property("naturalWidth", 90)
    assert "blur" in face.evaluate(BLUR)
    page.keyboard.press("Space")
    expect(face).to_have_css("filter", "none")
    before = face.get_attribute("src")
    assert page.evaluate(LOADS, before) is True
    page.keyboard.press("r")
    page.keyboard.press("1")
    at(page, second)
    assert "blur" in face.evaluate(BLUR), "the next case is blurred again"
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 decided, median")).to_be_visible()
    at(page, third).keyboard.press("e")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing waits for you.")
    assert acted(page, site, 3) == [
        (first, "reject", ("avatar-public-figure",)),
        (second, "approve", ()),
        (third, "escalate", ()),
    ]
    assert window.troubles == []
    assert {url.split("/")[2] for url in window.requests if not url.startswith("blob:")} == {site.address.split("/")[2]}
    # pictures of what is done with are let go
    assert page.evaluate(LOADS, before) is False


def test_a_decision_can_be_taken_back_for_a_moment(site: Site, window: Window) -> None:
    first, second = queue(site, "a", "b")
    page = desk(site, window)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    at(page, first).keyboard.press("r")
    page.keyboard.press("1")
    at(page, second).keyboard.press("r")
    page.keyboard.press("1")
    assert acted(page, site, 2) == [(each, "reject", ("avatar-public-figure",)) for each in (first, second)]


def test_an_override_is_said_before_it_is_confirmed(open_console: Callable[..., Site], window: Window) -> None:
    keys = ModeratorKeys()
    site = open_console(gate=Gate(KeyRing(keys, lambda: NOW)))
    (case,) = queue(site, "a")
    page = ready(login(site, window, keys.text["ada"]))
    page.keyboard.press("r")
    expect(page.get_by_role("group", name="Reject, because").get_by_role("alert")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_role("alert").filter(has_text="a second moderator agrees")).to_be_visible()
    page.keyboard.press("Enter")
    acted(page, site, 1)
    assert service_of(site).case(case).state == "second"


def test_a_second_look_does_not_see_the_first(open_console: Callable[..., Site], window: Window) -> None:
    keys = ModeratorKeys()
    site = open_console(gate=Gate(KeyRing(keys, lambda: NOW)))
    vote = Vote(moderator="key:somebody", action="approve", note="clearly not her", at=NOW)
    service_of(site).ask(avatar(site, "a"), state="second", votes=(vote,))
    page = login(site, window, keys.text["bob"])
    expect(page.get_by_text("Second look.")).to_be_visible()
    expect(page.get_by_role("main")).not_to_contain_text("clearly not her")
    expect(page.get_by_role("main")).to_contain_text("Machine proposeshidden")
    page.keyboard.press("a")
    expect(page.get_by_role("group", name="Approve").get_by_role("alert")).to_have_count(0)


def test_a_senior_moderator_gets_what_was_escalated(open_console: Callable[..., Site], window: Window) -> None:
    keys = ModeratorKeys()
    site = open_console(gate=Gate(KeyRing(keys, lambda: NOW)))
    vote = Vote(moderator="key:somebody", action="escalate", note="is it her?", at=NOW)
    service_of(site).ask(avatar(site, "a"), state="escalated", votes=(vote,))
    page = login(site, window, keys.text["ada"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing waits for you.")
    page.get_by_role("link", name="Queue").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Escalated")
    expect(page.get_by_role("row").get_by_role("link")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    enter(page, keys.text["sue"])
    page.get_by_role("combobox", name="State").select_option("escalated")
    page.get_by_role("row").get_by_role("link").click()
    ready(page)
    expect(page.get_by_role("complementary")).to_contain_text("is it her?")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    assert acted(page, site, 1)[0][1] == "approve"
    assert service_of(site).acted[0].senior


def test_keys_do_nothing_while_a_note_is_written(site: Site, window: Window) -> None:
    queue(site, "a")
    page = desk(site, window)
    page.keyboard.press("o")
    note = page.get_by_label("Note")
    expect(note).to_be_focused()
    page.keyboard.type("rare nose, see 1")
    expect(note).to_have_value("rare nose, see 1")
    expect(page.get_by_role("group", name="What to do")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.keyboard.press("Shift+Digit2")
    page.keyboard.press("Shift+Digit1")
    page.keyboard.press("0")
    expect(
        page.get_by_role("group", name="Reject, because").get_by_role("button", name="Something covers")
    ).to_be_hidden()
    page.keyboard.press("Enter")
    ((_, action, reasons),) = acted(page, site, 1)
    assert (action, set(reasons)) == ("reject", {"avatar-public-figure", "avatar-no-face"})
    assert service_of(site).acted[0].note == "rare nose, see 1"


def test_hostile_text_stays_text(site: Site, window: Window) -> None:
    service = service_of(site)
    text = f"{HOSTILE} {TURNED} " + "long " * 2000
    upload = {"subject": "media", "capability": HOSTILE, "proposed": "approve", "model_version": HOSTILE}
    service.ask(request("a", "text-blocked", excerpt=text, scores={HOSTILE: 0.5}, **upload))
    service.ask(request("b", subject="ring", members=(HOSTILE, TURNED), nearest=(near(HOSTILE, 0.5),)))
    page = desk(site, window)
    excerpt = page.get_by_label("Text in question")
    expect(excerpt).to_contain_text(HOSTILE)
    expect(excerpt).to_contain_text("pay U+202Eexe.txtU+202C now")
    page.keyboard.press("t")
    assert "blur" in excerpt.evaluate(BLUR)
    page.keyboard.press("Space")
    expect(excerpt).to_have_css("filter", "none")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Accounts").get_by_role("listitem").first).to_have_text(HOSTILE)
    assert page.locator("script").count() == 1
    assert page.locator("img[src=x]").count() == 0
    assert window.troubles == []


@pytest.mark.parametrize(
    ("attempt", "refusal"),
    [
        ("document.body.innerHTML = '<b>x</b>'", "TrustedHTML"),
        ("document.createElement('script').src = '/x.js'", "TrustedScriptURL"),
        ("return fetch('http://127.0.0.1:9/')", "Failed to fetch"),
    ],
)
def test_the_policy_refuses_markup_scripts_and_other_places(
    site: Site, window: Window, attempt: str, refusal: str
) -> None:
    queue(site, "a")
    page = desk(site, window)
    with pytest.raises(Error, match=refusal):
        page.evaluate(f"() => {{ {attempt} }}")


def test_a_login_that_ends_keeps_the_place_and_the_decision(open_console: Callable[..., Site], window: Window) -> None:
    keys = ModeratorKeys()
    site = open_console(gate=Gate(KeyRing(keys, lambda: NOW)))
    first, second = queue(site, "a", "b")
    page = window.page
    page.goto(f"{site.address}/review")
    enter(page, "ovk_wrong")
    expect(page.get_by_role("dialog")).to_contain_text("is not one of this service")
    enter(page, keys.text["app"])
    expect(page.get_by_role("alert")).to_contain_text("none of the scopes")
    page.get_by_role("button", name="Log out").click()
    login(site, window, keys.text["ada"])
    at(page, first)
    while not any(f"{second}/pictures" in url for url in window.requests):
        page.clock.run_for(100)
    keys.revoked.add("ada")
    page.keyboard.press("r")
    page.keyboard.press("1")
    at(page, second).clock.run_for(3000)
    expect(page.get_by_role("dialog")).to_contain_text("was revoked")
    assert service_of(site).acted == []
    keys.revoked.discard("ada")
    enter(page, keys.text["ada"])
    assert acted(page, site, 1) == [(first, "reject", ("avatar-public-figure",))]
    at(page, second)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert not any(text in url for url in window.requests for text in keys.text.values())


def test_nobody_sends_the_decisions_of_somebody_else(open_console: Callable[..., Site], window: Window) -> None:
    keys = ModeratorKeys()
    site = open_console(gate=Gate(KeyRing(keys, lambda: NOW)))
    (case,) = queue(site, "a")
    page = at(login(site, window, keys.text["ada"]), case)
    keys.revoked.add("ada")
    page.keyboard.press("r")
    page.keyboard.press("1")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.clock.run_for(3000)
    enter(page, keys.text["bob"])
    expect(page.get_by_text("Decisions of the login before that were not sent: 1.")).to_be_visible()
    service_of(site).now += timedelta(minutes=6)
    page.clock.run_for(4000)
    at(page, case)
    assert service_of(site).acted == []


def test_a_case_that_is_gone_is_said_and_the_next_one_shown(site: Site, window: Window) -> None:
    first, second, third = queue(site, "a", "b", "c")
    page = desk(site, window)
    service = service_of(site)
    service.tell(replace(service.case(first), seq=2, state="decided", decision="approve"))
    page.keyboard.press("r")
    page.keyboard.press("1")
    page.clock.run_for(3000)
    expect(page.get_by_text("did not count. It has been decided or withdrawn meanwhile.")).to_be_visible()
    at(page, second)
    service.erase(second)
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    at(page, third).clock.run_for(3000)
    expect(page.get_by_text("did not count. It is gone")).to_be_visible()
    page.goto(f"{site.address}/review#/cases/{second}")
    expect(page.get_by_text("It is gone")).to_be_visible()
    at(page, third)
    assert service.acted == []


def test_decisions_wait_for_a_service_that_is_away(site: Site, window: Window) -> None:
    first, second = queue(site, "a", "b")
    page = desk(site, window)
    service = service_of(site)
    service.publisher.away = True
    at(page, first).keyboard.press("r")
    page.keyboard.press("1")
    at(page, second).keyboard.press("r")
    page.keyboard.press("1")
    expect(page.get_by_role("status").filter(has_text="Service away")).to_be_visible()
    expect(page.get_by_text("on the way")).to_be_visible()
    service.publisher.away = False
    assert [each[0] for each in acted(page, site, 2)] == [first, second]
    expect(page.get_by_text("on the way")).to_be_hidden()


def test_what_is_skipped_is_free_for_others_and_what_is_in_work_stays(site: Site, window: Window) -> None:
    first, second = queue(site, "a", "b")
    page = desk(site, window)
    shown = page.get_by_text(f"Case {first[:8]}")
    expect(shown).to_be_visible()
    page.reload()
    expect(shown).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_text(f"Case {second[:8]}")).to_be_visible()
    page.get_by_role("link", name="Queue").click()
    expect(page.get_by_role("row").nth(1)).not_to_contain_text("with you")
    expect(page.get_by_role("row").nth(2)).to_contain_text("with you")
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(shown).to_be_visible()


def test_login_at_an_openid_provider(open_console: Callable[..., Site], window: Window) -> None:
    keys = ModeratorKeys()
    # what the token says is the gate's matter and tested there; here it is a key that it lets in
    handler = type("Handler", (Provider,), {"issued": {}, "token": keys.text["ada"]})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as provider:
        Thread(target=provider.serve_forever, daemon=True).start()
        oidc = {"issuer": f"http://127.0.0.1:{provider.server_port}", "client_id": "console", "token": "access_token"}
        settings = Settings.model_validate({"review": {"oidc": oidc}})
        site = open_console(settings=settings, gate=Gate(KeyRing(keys, lambda: NOW)))
        queue(site, "a")
        page = window.page
        page.goto(f"{site.address}/review#/queue")
        page.get_by_role("button", name="Log in at 127.0.0.1").click()
        expect(page.get_by_role("row").nth(1)).to_contain_text("Waiting")
        assert page.url == f"{site.address}/review#/queue"
        page.evaluate("sessionStorage.clear()")
        page.goto(f"{site.address}/review?code=x&state=forged")
        expect(page.get_by_role("dialog")).to_contain_text("was not begun here")
        provider.shutdown()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(open_window: Callable[..., Window], site: Site, scheme: str) -> None:
    service = service_of(site)
    vote = Vote(moderator="key:somebody", action="escalate", note="?", at=NOW)
    service.ask(avatar(site, "a", "avatar-public-figure", "avatar-turned"), state="escalated", votes=(vote,))
    ring = {"subject": "ring", "members": tuple(f"user-{number}" for number in range(30))}
    service.ask(avatar(site, "b", "fraud-ring", excerpt="A text. " * 50, **ring))
    window = open_window(viewport={"width": 1280, "height": 720}, color_scheme=scheme)
    page = desk(site, window)
    for width, height in ((1280, 720), (820, 1180), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        for view in ("#/", "#/queue"):
            page.goto(f"{site.address}/review{view}")
            expect(page.get_by_role("heading", level=1)).to_be_focused()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
            assert page.evaluate(CONTRASTS) == [], view
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(f"{site.address}/review#/")
    ready(page).keyboard.press("a")
    expect(page.get_by_role("button", name="Approve Enter")).to_be_in_viewport(ratio=1)
    assert page.evaluate(CONTRASTS) == []
    page.keyboard.press("r")
    assert page.evaluate(CONTRASTS) == []
    page.keyboard.press("1")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
