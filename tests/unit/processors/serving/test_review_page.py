"""The console's files: what is served, under which headers, and that nothing in them needs an exception from these."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import ValidationError

from processors.runtime.review_settings import Oidc
from processors.serving.page import PageRoutes
from processors.serving.review_page import ReviewPageRoutes

STATIC = files("processors.serving.review_page") / "static"
NAMES = sorted(each.name for each in STATIC.iterdir())


def client(issuer: str = "", *connect: str) -> AsyncClient:
    app = FastAPI()
    app.include_router(PageRoutes().router)
    app.include_router(ReviewPageRoutes(Oidc(issuer=issuer, client_id="console", connect=list(connect))).router)
    return AsyncClient(transport=ASGITransport(app), base_url="http://service")


@pytest.mark.parametrize(
    ("issuer", "asked"),
    [
        ("", "connect-src 'self';"),
        ("https://id.example/realms/music", "connect-src 'self' https://id.example;"),
        ("http://127.0.0.1:8080/", "connect-src 'self' http://127.0.0.1:8080;"),
        ("http://[::1]:8080", "connect-src 'self' http://[::1]:8080;"),
        ("https://name:word@id.example", "connect-src 'self' https://id.example;"),
    ],
)
async def test_the_console_may_ask_its_own_origin_and_the_issuer(issuer: str, asked: str) -> None:
    async with client(issuer) as http:
        answer = await http.get("/review")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert asked in policy
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_console_may_ask_the_further_origins_of_a_provider() -> None:
    async with client("https://id.example/music", "https://token.example", "https://id.example") as http:
        policy = (await http.get("/review")).headers["content-security-policy"]
    assert "connect-src 'self' https://id.example https://token.example;" in policy


@pytest.mark.parametrize("origin", ["http://id.example", "https://id.example/path", "https://a:b@id.example", "*", ""])
def test_what_is_no_safe_origin_is_not_asked(origin: str) -> None:
    with pytest.raises(ValidationError, match="must be an origin"):
        Oidc(connect=[origin])


async def test_every_file_it_names_is_there_and_none_comes_from_elsewhere() -> None:
    text = "".join((STATIC / name).read_text() for name in NAMES)
    named = set(re.findall(r'"/review/([^"]+)"', text)) | set(re.findall(r'from "\./([^"]+)"', text))
    assert named | {"index.html"} == set(NAMES)
    shared = set(re.findall(r'"(/page/[^"]+)"', text))
    assert "/page/dom.js" in shared
    async with client() as http:
        for path in {f"/review/{name}" for name in named} | shared:
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff"), path
    assert re.findall(r"https?://[^\s\"'`$]+", text) == []


def test_no_text_ever_becomes_markup_and_nothing_is_inline() -> None:
    scripts = "".join((STATIC / name).read_text() for name in NAMES if name.endswith(".js"))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|localStorage", scripts
    )
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page) == []
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)
