"""A headless Chromium (Debian's package ``chromium``), and the service on parts in memory behind a real HTTP server."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from infra.local.ports import free_port
from tests.fakes.operations import WatchedService

# as root there is no sandbox; the rest keeps it from looking for Google's servers
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_S = 60.0
WAIT_MS = 60_000


@dataclass
class Site:
    """A service in this process that a browser can reach.

    Attributes:
        service: Its parts; tell it things from the test's thread.
        address: Where it listens.
    """

    service: WatchedService
    address: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _server: Any = None

    def start(self) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._server = Server(
            self.service.app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        deadline = time.monotonic() + START_S
        while True:
            try:
                httpx.get(f"{self.address}/healthz", timeout=START_S)
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
            self._thread.join(START_S)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await something on the service's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "there is no chromium; `make system` installs it"
    # only against hanging: the machine may be slow
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS), timeout=WAIT_MS)
        yield started
        started.close()


def sites(service: Callable[..., Any]) -> Iterator[Callable[..., Site]]:
    """Gives what starts a site for ``service(**parts)``; afterwards all are stopped."""
    started: list[Site] = []

    def start(**parts: Any) -> Site:
        site = Site(service(**parts))
        site.start()
        started.append(site)
        return site

    yield start
    for site in started:
        site.stop()


@pytest.fixture
def open_site() -> Iterator[Callable[..., Site]]:
    """Start a site for ``WatchedService(**parts)``."""
    yield from sites(WatchedService)


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Site:
    return open_site()


class Window:
    """A browser window whose complaints are failures.

    Attributes:
        page: Playwright's page.
        troubles: Errors, console errors, dialogs, requests to other places.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("console", lambda said: said.type == "error" and self.troubles.append(f"console: {said.text}"))
        self.page.on("dialog", lambda dialog: (self.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Open a window; arguments as ``Browser.new_context`` has them."""
    contexts: list[BrowserContext] = []

    def start(**options: Any) -> Window:
        contexts.append(browser.new_context(**options))
        return Window(contexts[-1])

    yield start
    for context in contexts:
        context.close()


@pytest.fixture
def window(open_window: Callable[..., Window]) -> Window:
    return open_window()
