"""A version from the registry over the broker into running processes: in order, once, and after crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from features.model_store import ModelStore, RegistryError, VersionCache
from features.objects import LocalObjects
from models.recommender_bundle import Bundle
from models.recommender_manifest import NAME, Manifest, Measure
from processors.runtime.active_model import TOPIC, ActiveModel, ModelMetrics
from processors.runtime.processor import Emit
from processors.runtime.settings import Models, Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from processors.tools.models_registry.gate import GateError
from processors.tools.models_registry.publication import ForceError, Hook, Hooks, Publication
from processors.tools.models_registry.versions import Versions
from schemas.errors import UnavailableError
from schemas.model import ModelPublished
from tests.bundles import variant

pytestmark = [pytest.mark.real, pytest.mark.timeout(180), pytest.mark.usefixtures("nothing_published")]


@dataclass
class Desk:
    """An operator's place: registry, broker, two versions that are registered and one that is worse."""

    folder: Path
    wiring: Wiring
    versions: Versions
    first: Manifest
    second: Manifest
    worse: Manifest

    def publication(self, publisher: object = None) -> Publication:
        return Publication(self.versions, publisher or self.wiring.publisher)  # type: ignore[arg-type]

    def active(
        self, build: Callable[[Bundle], str] = lambda bundle: bundle.version
    ) -> tuple[ActiveModel[str], CollectorRegistry]:
        shown = CollectorRegistry()
        cache = VersionCache(self.versions.store, self.folder / f"cache-of-a-process-{id(shown)}")
        kafka, registry = self.wiring.settings.kafka, self.wiring.registry
        return ActiveModel(
            kafka, self.wiring.codec, registry.fetch, cache, Models(), build, ModelMetrics(shown)
        ), shown  # fmt: skip

    def sent(self) -> list[ModelPublished]:
        values = [message.value() for message in read_to_end(self.wiring.settings.kafka, [TOPIC])]
        start = max((n for n, value in enumerate(values) if value is None), default=-1) + 1
        return [self.wiring.codec.decode(value, ModelPublished) for value in values[start:]]


@pytest.fixture
async def desk(streams_settings: Settings, tmp_path: Path) -> AsyncIterator[Desk]:
    with closing(Wiring(streams_settings)) as wiring:
        store = ModelStore(LocalObjects(tmp_path / "objects"))
        versions = Versions(store, VersionCache(store, tmp_path / "cache"))
        made = [
            variant(tmp_path / f"bundle-{days}", days, measures=(Measure("warm", "recall@20", mean, mean, mean),))
            for days, mean in ((1, 0.30), (2, 0.31), (3, 0.20))
        ]
        for days in (1, 2, 3):
            await versions.register(tmp_path / f"bundle-{days}", "ada")
        yield Desk(tmp_path, wiring, versions, *made)


class Fails:
    """Publisher whose first events never reach the broker."""

    def __init__(self, inner: object, failures: int) -> None:
        self.inner, self.failures = inner, failures

    async def publish(self, events: list[Emit]) -> None:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("no broker", code="broker-unavailable")
        await self.inner.publish(events)  # type: ignore[attr-defined]


async def until(what: str, condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.1)
    pytest.fail(what)


async def until_uses(model: ActiveModel[str], version: str) -> None:
    await until(version, lambda: model.current is not None and model.current.value == version)


async def test_running_and_later_processes_take_each_version_up(desk: Desk) -> None:
    publication = desk.publication()
    running, shown = desk.active()
    await running.start()
    await until("an empty topic read", lambda: running._settled.is_set())
    await running.probe()
    assert running.current is None
    taken = []
    for version in (desk.first.version, desk.second.version):
        await publication.promote(version, "ada")
        await until_uses(running, version)
        taken.append(running.current)
    assert taken[0].bundle is not taken[1].bundle
    assert taken[1].published.previous == desk.first.version
    assert taken[1].published.collection == desk.second.collection
    assert shown.get_sample_value("overture_model_loads_total", {"model": NAME}) == 2
    labels = {"model": NAME, "version": desk.first.version}
    assert shown.get_sample_value("overture_model_in_use", labels) == 0
    assert shown.get_sample_value("overture_model_in_use", labels | {"version": desk.second.version}) == 1

    later, _ = desk.active()
    await later.start()
    await until("the later process", lambda: later.current is not None)
    assert later.current.value == desk.second.version
    done = await publication.rollback("ada", "too many ballads")
    assert (done.version, done.moved) == (desk.first.version, True)
    for each in (running, later):
        await until_uses(each, desk.first.version)
        await each.stop()
    assert [event.reason for event in desk.sent()] == ["promoted", "promoted", "rolled_back"]
    with pytest.raises(RegistryError, match="no version was in use before"):
        await publication.rollback("ada")


async def test_a_worse_version_needs_force_and_force_a_reason(desk: Desk) -> None:
    publication = desk.publication()
    await publication.promote(desk.first.version, "ada")
    with pytest.raises(GateError, match=r"worse than 0\.3000"):
        await publication.promote(desk.worse.version, "ada")
    with pytest.raises(ForceError):
        await publication.promote(desk.worse.version, "ada", force=True)
    done = await publication.promote(desk.worse.version, "ada", "the licence of the other ends", force=True)
    assert done.findings[0].problem
    events = (await desk.versions.store.registry(NAME)).events
    assert [event.reason for event in events if event.version == desk.worse.version][
        1
    ] == "the licence of the other ends"
    with pytest.raises(RegistryError, match="not registered"):
        await publication.promote("20260101-000000-00000000", "ada")


async def test_a_command_that_died_between_registry_and_event_is_finished_by_its_repetition(desk: Desk) -> None:
    healthy, dying = desk.publication(), desk.publication(Fails(desk.wiring.publisher, 2))
    await healthy.promote(desk.first.version, "ada")
    with pytest.raises(UnavailableError):
        await dying.promote(desk.second.version, "ada")
    seen = await desk.versions.store.registry(NAME)
    assert seen.in_use == desk.second.version
    assert seen.unfinished is not None
    assert [event.version for event in desk.sent()] == [desk.first.version]

    done = await healthy.promote(desk.second.version, "eve")
    assert not done.moved
    assert [event.version for event in desk.sent()] == [desk.first.version, desk.second.version]
    assert (await desk.versions.store.registry(NAME)).unfinished is None

    with pytest.raises(UnavailableError):
        await dying.rollback("ada")
    done = await healthy.rollback("ada")
    assert (done.version, done.moved) == (desk.first.version, False)
    assert (await desk.versions.store.registry(NAME)).in_use == desk.first.version
    assert desk.sent()[-1].version == desk.first.version
    assert len({event.event_id for event in desk.sent()}) == 3


async def test_stores_are_made_ready_before_the_event_and_settled_after_it(desk: Desk) -> None:
    steps: list[tuple[str, str, int]] = []

    def hook(name: str, failures: int = 0) -> Hook:
        left = [failures]

        async def work(bundle: Bundle) -> None:
            steps.append((name, bundle.version, len(desk.sent())))
            if left[0]:
                left[0] -= 1
                raise UnavailableError("milvus is away")

        return work

    kept: list[object] = []

    async def tidy(versions: object) -> None:
        kept.append((versions, (await desk.versions.store.registry(NAME)).unfinished is not None))

    hooks = Hooks(hook("prepare", failures=1), hook("settle", failures=1), tidy)
    publication = Publication(desk.versions, desk.wiring.publisher, hooks)
    version = desk.first.version
    with pytest.raises(UnavailableError):
        await publication.promote(version, "ada")
    assert (await desk.versions.store.registry(NAME)).in_use is None
    with pytest.raises(UnavailableError):
        await publication.promote(version, "ada")
    assert (await desk.versions.store.registry(NAME)).unfinished is not None
    await publication.promote(version, "ada")
    assert (await desk.versions.store.registry(NAME)).unfinished is None
    assert steps == [("prepare", version, 0), ("prepare", version, 0), ("settle", version, 1), ("settle", version, 2)]
    await publication.promote(desk.second.version, "ada")
    # before it is on record as done, so that giving the command again would do this, too
    assert kept == [([version], True), ([desk.second.version, version], True)]


async def test_a_version_that_does_not_suit_what_is_published_is_promoted_by_force_only(desk: Desk) -> None:
    async def admit(bundle: Bundle) -> None:
        raise GateError(f"{bundle.version} knows other content")

    publication = Publication(desk.versions, desk.wiring.publisher, Hooks(admit=admit))
    with pytest.raises(GateError, match="knows other content"):
        await publication.promote(desk.first.version, "ada")
    assert (await desk.versions.store.registry(NAME)).in_use is None
    assert (await publication.promote(desk.first.version, "ada", "on trial", force=True)).moved
    assert (await publication.promote(desk.first.version, "ada")).moved is False, "what is in use stays so"


async def test_of_two_promotions_at_once_one_wins_and_the_last_event_is_his(desk: Desk) -> None:
    done = await asyncio.gather(
        desk.publication().promote(desk.first.version, "ada"),
        desk.publication().promote(desk.second.version, "eve"),
        return_exceptions=True,
    )
    registry = await desk.versions.store.registry(NAME)
    assert registry.unfinished is None
    assert desk.sent()[-1].version == registry.in_use
    for each in done:
        assert not isinstance(each, BaseException) or (
            isinstance(each, RegistryError) and each.code == "registry-moved"
        )


async def test_an_event_sent_too_late_is_followed_by_that_of_the_later_move(desk: Desk) -> None:
    class Overtaken:
        """Its first event waits until somebody else has promoted another version."""

        overtaken = False

        async def publish(self, events: list[Emit]) -> None:
            if not self.overtaken:
                self.overtaken = True
                await desk.publication().promote(desk.second.version, "eve")
            await desk.wiring.publisher.publish(events)

    await desk.publication(Overtaken()).promote(desk.first.version, "ada")
    sent = [event.version for event in desk.sent()]
    assert sent == [desk.second.version, desk.first.version, desk.second.version]
    assert (await desk.versions.store.registry(NAME)).in_use == desk.second.version


@pytest.mark.expects_errors
async def test_a_version_that_cannot_be_loaded_leaves_the_old_one_until_it_can(desk: Desk) -> None:
    publication = desk.publication()
    refused = {desk.second.version}

    def build(bundle: Bundle) -> str:
        if bundle.version in refused:
            raise UnavailableError("its collection is not filled", code="collection-missing")
        return bundle.version

    running, shown = desk.active(build)
    await running.start()
    await publication.promote(desk.first.version, "ada")
    await until_uses(running, desk.first.version)

    def failures(code: str) -> float:
        return shown.get_sample_value("overture_model_load_failures_total", {"model": NAME, "code": code}) or 0.0

    await publication.promote(desk.second.version, "ada")
    await until("two failures", lambda: failures("collection-missing") >= 2)
    assert running.current.value == desk.first.version
    refused.clear()
    await until_uses(running, desk.second.version)

    # damaged in the object store after it was published
    broken = desk.folder / "objects" / "models" / NAME / desk.first.version / "ranker.onnx"
    whole = broken.read_bytes()
    await publication.rollback("ada")
    await until_uses(running, desk.first.version)
    later, later_shown = desk.active()
    broken.write_bytes(b"damaged")
    await later.start()
    await until(
        "the damage",
        lambda: (later_shown.get_sample_value(
            "overture_model_load_failures_total", {"model": NAME, "code": "bundle-unusable"}
        ) or 0) >= 1,
    )  # fmt: skip
    assert later.current is None
    await later.probe()
    broken.write_bytes(whole)
    await until("the repair", lambda: later.current is not None)
    for each in (running, later):
        await each.stop()


@pytest.mark.expects_errors
async def test_an_unreadable_event_stops_nothing(desk: Desk) -> None:
    running, _ = desk.active()
    await running.start()
    await desk.publication().promote(desk.first.version, "ada")
    await until_uses(running, desk.first.version)
    await desk.wiring.publisher.send(TOPIC, NAME.encode(), b"nonsense")
    await desk.publication().promote(desk.second.version, "ada")
    await until_uses(running, desk.second.version)
    await running.stop()
