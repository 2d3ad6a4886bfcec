"""Items of a small demo, without any file of a package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from infra.demo.client import Service
from infra.demo.journal import Journal
from infra.demo.material import LISTENERS, Item
from infra.demo.pace import Pace
from infra.demo.scenario import Scenario
from tests.unit.infra.demo.fake_service import FakeService

QUICK = Pace(
    between_uploads=0,
    between_polls=0.005,
    ready=0.05,
    uploads=0.5,
    labels=0.05,
    taste=0.2,
    withdrawal=0.2,
    avatars=0.5,
    ring=0.1,
)


@pytest.fixture
def items(tmp_path: Path) -> tuple[Item, ...]:
    keys = sorted({key for listener in LISTENERS for key in (*listener.plays, *listener.suits)})
    song = tmp_path / "song.mp3"
    song.write_text("words")
    return (
        *(Item(key, "post", f"title of {key}", "test", text="text", language="en") for key in keys),
        Item("abuse", "post", "title of abuse", text="x", end="rejected", codes=frozenset({"text-blocked"})),
        Item("notes", "audio", "title of notes", file=song, sent_as="song.mp3", end="refused"),
    )


@pytest.fixture
def service() -> FakeService:
    lists = {listener.name: [f"title of {key}" for key in sorted(listener.suits)] for listener in LISTENERS}
    return FakeService(rejected={"title of abuse": "text-blocked"}, lists=lists)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    screen = (tmp_path / "screen.txt").open("w")
    with screen, Journal(Console(file=screen, width=150), tmp_path / "demo" / "last-run.txt") as journal:
        yield journal


@pytest.fixture
def scenario_of(items: tuple[Item, ...], journal: Journal) -> Callable[[Service], Scenario]:
    return lambda client: Scenario(client, items, journal, journal.file.with_name("items.json"), QUICK)
