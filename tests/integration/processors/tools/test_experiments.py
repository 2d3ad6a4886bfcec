"""Experiments over a real broker: lists logged by the service's log, measured by the command, seen by the page."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from processors.commands.experiments import app
from processors.runtime.experiment_settings import Experiments
from processors.runtime.processor import Emit
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from processors.serving.decoding import Decoder
from processors.serving.experiments.served_log import ServedLog, ServedMetrics
from processors.tools.experiments.off_policy import NotEstimableError
from schemas.common import Exposure
from schemas.interaction import ItemInteracted
from schemas.play import SongPlayed
from schemas.recommendation import ExperimentMeasured, ListServed
from schemas.record import Record
from schemas.topics import EXPERIMENT_MEASURED, ITEM_INTERACTED, SONG_PLAYED
from tests.fakes.listeners import Listeners, halves
from tests.fakes.serving import NOW
from tests.unit.processors.tools.experiments import test_off_policy as drawn

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
EARLIER = NOW - timedelta(hours=2)
LATER = NOW + timedelta(hours=4)


@pytest.fixture
def wiring(streams_settings: Settings) -> Iterator[Wiring]:
    with closing(Wiring(streams_settings)) as made:
        yield made


async def write(wiring: Wiring, events: Iterable[Record]) -> None:
    """Lists as the service logs them, the rest as its clients' events are published."""
    registry = CollectorRegistry()
    log = ServedLog(wiring.publisher, ServedMetrics(registry), 100_000)
    others, lists = [], 0
    for event in events:
        match event:
            case ListServed():
                log.note(event)
                lists += 1
            case SongPlayed():
                others.append(Emit(SONG_PLAYED, event.user_id, event))
            case ItemInteracted():
                others.append(Emit(ITEM_INTERACTED, event.user_id, event))
    await log.start()
    await wiring.publisher.publish(others)
    for _ in range(6000):
        if registry.get_sample_value("overture_served_lists_total", {"outcome": "written"}) == lists:
            break
        await asyncio.sleep(0.02)
    await log.stop()
    assert registry.get_sample_value("overture_served_lists_total", {"outcome": "written"}) == lists


@pytest.fixture
def run(streams_settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """The command with these settings."""

    def call(experiments: Experiments, *words: str) -> Result:
        for name, value in {
            "DATA_DIR": streams_settings.data_dir,
            "KAFKA__BOOTSTRAP": streams_settings.kafka.bootstrap,
            "REGISTRY__URL": streams_settings.registry.url,
            "EXPERIMENTS__DEFINED": json.dumps(
                [each.model_dump(mode="json", exclude_none=True) for each in experiments.defined]
            ),
        }.items():
            monkeypatch.setenv(f"OVERTURE_{name}", str(value))
        monkeypatch.setenv("COLUMNS", "200")
        return CliRunner().invoke(app, list(words))

    return call


def published(wiring: Wiring, experiment: str) -> dict[str, ExperimentMeasured]:
    decoder = Decoder(wiring.codec, wiring.registry.fetch)
    found = {}
    for message in read_to_end(wiring.settings.kafka, [EXPERIMENT_MEASURED.name]):
        record = decoder.decode(message.value(), ExperimentMeasured)
        if record.experiment == experiment:
            found[(message.key() or b"").decode()] = record
    return found


async def test_a_known_effect_is_found_and_told(wiring: Wiring, run) -> None:
    settings = halves("known-effect", cold_share=0.5)
    world = Listeners(settings, users=400, effect=0.12, cold_share={"new": 0.5}, prefix="effect")
    events = list(world.events())
    await write(wiring, events)
    await write(wiring, events[:200])  # a log may be written twice

    async def again() -> dict[str, ExperimentMeasured]:
        result = await asyncio.to_thread(run, settings, "measure", "--until", "2026-11-21T09:00", "--window", "1h")
        assert result.exit_code == 0, result.output
        assert "known-effect" in result.output
        assert " repeated" in result.output
        assert "16 measures published" in result.output
        return published(wiring, "known-effect")

    found = await again()
    assert len(found) == 16
    click = found["known-effect/new/click-rate/2026-11-21T08:00:00.000+00:00/2026-11-21T09:00:00.000+00:00"]
    assert click.difference_low < 0.12 < click.difference_high
    assert click.p_value < 1e-6
    assert click.low < click.mean < click.high
    assert click.sample_ratio_p > 0.001
    assert (click.layer, click.control, click.window_begins_at) == ("mechanism", "control", NOW)
    assert sum(each.users for each in found.values() if each.measure == "click-rate") == 400
    ids = {key: each.event_id for key, each in found.items()}
    assert {key: each.event_id for key, each in (await again()).items()} == ids


async def test_equal_arms_make_no_alarm(wiring: Wiring, run) -> None:
    settings = halves("equal-arms", "rank")
    await write(wiring, Listeners(settings, users=250, begin=EARLIER, prefix="equal").events())
    words = ("--until", "2026-11-21T07:00", "--window", "1h")
    result = await asyncio.to_thread(run, settings, "measure", *words, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "published" not in result.output
    assert published(wiring, "equal-arms") == {}
    check = await asyncio.to_thread(run, settings, "aa-check", *words, "--splits", "60")
    assert check.exit_code == 0, check.output
    assert "BROKEN" not in check.output
    assert "click-rate: false alarms" in check.output
    refused = await asyncio.to_thread(run, settings, "off-policy", "score", *words)
    assert isinstance(refused.exception, NotEstimableError)
    assert "every propensity is 1" in str(refused.exception)


async def test_another_order_is_estimated_from_what_was_drawn(wiring: Wiring, run, tmp_path) -> None:
    lists, earned = drawn.world(np.random.default_rng(9), 150)
    exposed = [dataclasses.replace(each, occurred_at=LATER) for each in lists]
    users = {each.request_id: each.user_id for each in exposed}
    clicks = [
        ItemInteracted(
            event_id=f"{request}-{item}",
            occurred_at=LATER,
            user_id=users[request],
            item_id=item,
            action="clicked",
            exposure=Exposure(request_id=request),
        )
        for request, item in earned
    ]
    await write(wiring, [*exposed, *clicks])
    file = tmp_path / "scores.json"
    file.write_text(json.dumps({f"i-{item}": float(drawn.APPEAL[item]) for item in range(drawn.COLD)}))
    words = ("off-policy", str(file), "--until", "2026-11-21T13:00", "--window", "1h")
    result = await asyncio.to_thread(run, Experiments(), *words)
    assert result.exit_code == 0, result.output
    assert "300 blocks" in result.output
    assert "doubly robust" in result.output


def test_experiments_are_listed(run) -> None:
    result = run(halves("listed", cold_share=0.5), "list")
    assert "control (control)" in result.output
    assert "cold_share=0.5" in result.output
    assert "no experiment is defined" in run(Experiments(), "list").output


@pytest.mark.parametrize("words", [("--window", "soon"), ("--window", "0h"), ("--grace", "x"), ("--every", "y")])
def test_lengths_that_are_none_are_refused(run, words: tuple[str, str]) -> None:
    assert run(Experiments(), "measure", *words).exit_code != 0
