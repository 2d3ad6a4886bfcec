"""The page's files: what is served, under which headers, and that nothing in them needs an exception from these."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from tests.fakes.serving import Service

STATIC = files("processors.serving.page") / "static"
NAMES = sorted(each.name for each in STATIC.iterdir())


async def test_the_page_is_at_the_root() -> None:
    async with Service().client() as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_every_file_it_names_is_there_and_none_comes_from_elsewhere() -> None:
    text = "".join((STATIC / name).read_text() for name in NAMES)
    named = set(re.findall(r'"/page/([^"]+)"', text)) | set(re.findall(r'from "\./([^"]+)"', text))
    assert {"page.css", "main.js", "icon.svg", "api.js"} <= named
    assert named | {"index.html"} == set(NAMES)
    async with Service().client() as client:
        for name in named:
            answer = await client.get(f"/page/{name}")
            assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff"), name
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"']+", text) == []


def test_no_text_ever_becomes_markup_and_nothing_is_inline() -> None:
    scripts = "".join((STATIC / name).read_text() for name in NAMES if name.endswith(".js"))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", scripts
    )
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page) == []
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)


@pytest.mark.parametrize(
    "name", ["nothing.js", "__init__.py", "../__init__.py", "..%2f__init__.py", "%2e%2e/app.py", ""]
)
async def test_no_other_file_is_served(name: str) -> None:
    async with Service().client() as client:
        answer = await client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    async with Service().client() as client:
        first = await client.get("/page/main.js")
        again = await client.get("/page/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["content-type"], again.status_code, again.content) == (
        "text/javascript; charset=utf-8",
        304,
        b"",
    )
