"""The experiments view as a person meets it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from processors.runtime.settings import Settings
from processors.tools.experiments.reading import Window as Span
from processors.tools.experiments.run import record_of, result_of
from tests.browser.conftest import Site, Window
from tests.browser.test_page import CONTRASTS, HOSTILE
from tests.fakes.listeners import Listeners, halves
from tests.fakes.serving import NOW
from tests.unit.processors.serving.experiments.test_operations import measured
from tests.unit.processors.tools.experiments.test_measures import observed

pytestmark = [pytest.mark.timeout(300)]
SPAN = Span(NOW, NOW + timedelta(hours=1), timedelta())


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Site:
    """Measures of made-up listeners who click more in the arm ``new``."""
    settings = halves(cold_share=0.5)
    site = open_site(settings=Settings(experiments=settings))
    world = Listeners(settings, users=500, effect=0.1, cold_share={"new": 0.5})
    result = result_of(settings.defined[0], observed(world.events(), SPAN))
    for each in result.measured:
        site.service.tell(record_of(result, each, SPAN, NOW)[1])
    return site


def test_arms_stand_side_by_side(site: Site, window: Window) -> None:
    page = window.page
    page.goto(f"{site.address}/")
    page.get_by_role("link", name="Experiments").click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    section = page.get_by_role("region", name="cold-places")
    expect(section.get_by_role("row")).to_have_count(1 + 2 * 8)
    control, new = (section.get_by_role("row").nth(place) for place in (1, 2))
    expect(control.get_by_role("rowheader")).to_contain_text("click rate")
    expect(control.get_by_role("cell").nth(0)).to_have_text("control control")
    expect(new.get_by_role("cell").nth(0)).to_have_text("new")
    expect(new.get_by_role("cell").nth(3)).to_contain_text("< 0.001 differs")
    expect(new.get_by_role("img")).to_have_count(2)
    expect(section.get_by_role("list", name="Arms").get_by_role("listitem")).to_have_count(2)
    expect(section).to_contain_text("50.0 % of the traffic")
    expect(section.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("link", name="Experiments")).to_have_attribute("aria-current", "page")
    assert window.troubles == []


def test_a_broken_split_is_said_before_any_figure(site: Site, window: Window) -> None:
    site.service.tell(measured("new", experiment=HOSTILE, sample_ratio_p=1e-9))
    page = window.page
    page.goto(f"{site.address}/#/experiments")
    section = page.get_by_role("region", name=HOSTILE)
    expect(section.get_by_role("alert")).to_contain_text("not split as planned (probability 1.0e-9)")
    assert page.locator("img[src=x]").count() == 0
    assert window.troubles == []


def test_another_window_can_be_chosen(site: Site, window: Window) -> None:
    day = measured("new", mean=0.424242, window_begins_at=NOW - timedelta(hours=24))
    site.service.tell(day)
    page = window.page
    page.goto(f"{site.address}/#/experiments")
    rows = page.get_by_role("region", name="cold-places").get_by_role("row")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("42.4 %")
    page.get_by_role("combobox", name="Window").select_option(index=1)
    expect(rows).to_have_count(17)
    site.service.tell(dataclasses.replace(day, mean=0.9))
    page.get_by_role("combobox", name="Window").select_option(index=0)
    expect(rows.nth(1)).to_contain_text("90.0 %")


def test_without_a_measure_it_says_so(open_site: Callable[..., Site], window: Window) -> None:
    site = open_site(settings=Settings(experiments=halves()))
    window.page.goto(f"{site.address}/#/experiments")
    expect(window.page.get_by_text("Not measured yet.")).to_be_visible()
    expect(window.page.get_by_role("table")).to_have_count(0)
    assert window.troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(open_window: Callable[..., Window], site: Site, scheme: str) -> None:
    site.service.tell(measured("new", experiment="broken", sample_ratio_p=1e-9))
    page = open_window(viewport={"width": 360, "height": 740}, color_scheme=scheme).page
    page.goto(f"{site.address}/#/experiments")
    expect(page.get_by_role("table")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(CONTRASTS) == []
