"""What holds for the service as a whole: problems, health, metrics, its document, its life."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass

import pytest
import structlog

from processors.serving import health, index_keeper
from processors.serving.entry import lifespan_of
from schemas.errors import BugError, UnavailableError
from schemas.topics import ITEM_CHANGED
from tests.fakes.serving import MemoryFeatures, Service, item


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/", 405, "method-not-allowed"),
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/v1/plays/", 404, "not-found"),
        ("GET", "/v1/plays", 405, "method-not-allowed"),
        ("PUT", "/v1/media/x", 405, "method-not-allowed"),
        ("BREW", "/healthz", 405, "method-not-allowed"),
    ],
)
async def test_no_such_route(method: str, path: str, status: int, code: str) -> None:
    async with Service().client() as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    if status == 405:
        assert answer.headers["allow"]


class BrokenFeatures(MemoryFeatures):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def read(self, view: str, entity_ids: object) -> list:
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError("password=hunter2"), BugError("password=hunter2")])
async def test_unexpected_errors_are_recorded_not_told(error: Exception) -> None:
    service = Service(features=BrokenFeatures(error))
    with structlog.testing.capture_logs() as logs:
        async with service.client() as client:
            answer = await client.get("/v1/features/user_taste_v1/u")
    assert answer.status_code == 500
    document = answer.json()
    assert document["code"] == "internal"
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    (entry,) = [e for e in logs if e["log_level"] == "error"]
    assert entry["instance"] == document["instance"]
    assert entry["exc_info"] is error


async def test_health_and_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT_S", 0.01)

    async def good() -> None:
        return

    async def away() -> None:
        raise UnavailableError("10.0.0.1 refused", code="redis-unavailable")

    async def stuck() -> None:
        await asyncio.sleep(60)

    async with Service(probes={"broker": good}).client() as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "probes": {"broker": {"ok": True}}})
    async with Service(probes={"broker": good, "redis": away, "slow": stuck}).client() as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "probes": {
            "broker": {"ok": True},
            "redis": {"ok": False, "code": "redis-unavailable"},
            "slow": {"ok": False, "code": "probe-timeout"},
        },
    }


async def test_metrics_have_templates_never_ids() -> None:
    service = Service()
    service.tell(item("a"))
    async with service.client() as client:
        await client.get("/v1/media/secret-id-1")
        await client.get("/v1/media/secret-id-2")
        await client.get("/secret-id-3")
        await client.request("SECRET-ID-4", "/healthz")
        await client.get("/v1/recommendations", params={"user": "secret-id-5"})
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "secret-id" not in answer.text.lower()
    assert 'overture_http_requests_total{method="GET",route="/v1/media/{media_id}",status="404"} 2.0' in answer.text
    assert 'route="unmatched"' in answer.text
    assert 'overture_http_request_seconds_count{method="GET",route="/v1/recommendations"} 1.0' in answer.text
    assert "overture_snapshot_items 1.0" in answer.text
    assert "overture_snapshot_age_seconds" in answer.text
    assert "overture_http_requests_in_flight 1.0" in answer.text


WITHOUT_BODY = ("/lease", "/release")


async def test_the_document_has_an_example_and_problems_for_every_route() -> None:
    async with Service().client() as client:
        document = (await client.get("/openapi.json")).json()
    assert "Problem" in document["components"]["schemas"]
    operations = [(p, m, o) for p, methods in document["paths"].items() for m, o in methods.items()]
    assert {(p, m) for p, m, _ in operations} == {
        ("/v1/uploads", "post"),
        ("/v1/avatars", "post"),
        ("/v1/avatars/{user}", "get"),
        ("/v1/plays", "post"),
        ("/v1/interactions", "post"),
        ("/v1/users/{user}/profile", "put"),
        ("/v1/media/{media_id}", "get"),
        ("/v1/media/{media_id}", "delete"),
        ("/v1/media/{media_id}/events", "get"),
        ("/v1/media/{media_id}/thumbnail", "get"),
        ("/v1/review/config", "get"),
        ("/v1/review/me", "get"),
        ("/v1/review/cases", "get"),
        ("/v1/review/next", "post"),
        ("/v1/review/cases/{review_id}", "get"),
        ("/v1/review/cases/{review_id}/pictures/{number}", "get"),
        ("/v1/review/cases/{review_id}/nearest/{number}", "get"),
        ("/v1/review/cases/{review_id}/actions", "post"),
        ("/v1/review/cases/{review_id}/lease", "post"),
        ("/v1/review/cases/{review_id}/release", "post"),
        ("/v1/operations/overview", "get"),
        ("/v1/operations/items", "get"),
        ("/v1/operations/items/{media_id}", "get"),
        ("/v1/operations/experiments", "get"),
        ("/v1/recommendations", "get"),
        ("/v1/recall", "post"),
        ("/v1/rank", "post"),
        ("/v1/explanations/{item}", "get"),
        ("/v1/similar/{item}", "get"),
        ("/v1/features/{view}/{entity}", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }
    for path, method, operation in operations:
        where = f"{method} {path}"
        status, success = next((s, a) for s, a in operation["responses"].items() if s.startswith("2"))
        assert status == "204" or any("example" in content for content in success["content"].values()), where
        assert operation.get("description"), where
        for status, answer in operation["responses"].items():
            if status.startswith("4"):
                assert list(answer["content"]) == ["application/problem+json"], where
        if method == "post" and not path.endswith(WITHOUT_BODY):
            assert all("example" in c for c in operation["requestBody"]["content"].values()), where
    for reference in set(_references(document)):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [r for value in node.values() for r in _references(value)]
    return [r for value in node for r in _references(value)] if isinstance(node, list) else []


@dataclass
class Running:
    name: str
    story: list[str]
    broken: bool = False

    async def start(self) -> None:
        self.story.append(f"+{self.name}")
        if self.broken:
            raise UnavailableError("cannot start")

    async def stop(self) -> None:
        self.story.append(f"-{self.name}")


async def test_background_starts_in_order_and_stops_in_reverse() -> None:
    story: list[str] = []
    service = Service(background=(Running("a", story), Running("b", story)))
    async with lifespan_of(service.parts)(service.app):
        assert story == ["+a", "+b"]
    assert story == ["+a", "+b", "-b", "-a"]
    assert service.status._closed


async def test_what_was_started_is_stopped_when_the_next_fails() -> None:
    story: list[str] = []
    service = Service(background=(Running("a", story), Running("b", story, broken=True)))
    with pytest.raises(UnavailableError):
        async with lifespan_of(service.parts)(service.app):
            raise AssertionError
    assert story == ["+a", "+b", "-b", "-a"]


async def test_reads_and_changes_at_the_same_time() -> None:
    """A change runs in another thread while requests read; no answer may mix two items."""
    service = Service()
    for n in range(50):
        service.tell(item(f"i{n}", (1, n, 0, 0), kind="audio" if n % 2 else "video"))
    stop = asyncio.Event()

    def change() -> None:
        seq = 1
        while not stop.is_set():
            seq += 1
            for n in range(50):
                gone = item(f"i{n}", (), change="withdrawn", seq=2 * seq)
                back = item(f"i{n}", (1, n, 0, 0), kind="audio" if n % 2 else "video", seq=2 * seq + 1)
                for record in (gone, back):
                    service.catalogue.apply(ITEM_CHANGED.name, record.item_id, service.codec.encode(record))

    changing = asyncio.create_task(asyncio.to_thread(change))
    async with service.client() as client:
        for _ in range(100):
            answer = await client.get("/v1/recommendations", params={"user": "u", "limit": 50})
            found = json.loads(answer.content)["items"]
            assert len({i["item_id"] for i in found}) == len(found)
            for i in found:
                assert i["kind"] == ("audio" if int(i["item_id"][1:]) % 2 else "video")
    stop.set()
    await changing


async def test_a_stop_signal_ends_streams_and_still_reaches_the_server() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        service = Service()
        async with lifespan_of(service.parts)(service.app):
            states = service.status.watch("m")
            waiting = asyncio.create_task(anext(states, None))
            await asyncio.sleep(0)
            signal.raise_signal(signal.SIGTERM)
            assert await asyncio.wait_for(waiting, 20) is None
        assert heard == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert len(heard) == 2
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_the_index_is_kept_up_while_the_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_keeper, "IDLE_S", 0.005)
    service = Service()
    service.catalogue._content._exact_below = 10
    async with lifespan_of(service.parts)(service.app):
        for n in range(30):
            service.tell(item(f"i{n}", (1, n, 0, 0)))
        async with asyncio.timeout(20):
            while service.catalogue._content._stale.any():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    service.features.taste("u", (1, 0, 0, 0))
    async with service.client() as client:
        answer = await client.get("/v1/recommendations", params={"user": "u", "limit": 1})
    assert answer.json()["items"][0]["item_id"] == "i0"


@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")
async def test_the_documentation_needs_no_internet() -> None:
    service = Service()
    async with service.client() as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert "//cdn" not in page.text
        assert (await client.get("/swagger/swagger-ui-bundle.js")).status_code == 200
