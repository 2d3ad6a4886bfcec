"""Every route with no key, a wrong one, and one of each scope; the routes come from the router itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI

from infra.local.plan import auth_off
from processors.runtime import service as runtime_service
from processors.runtime.settings import Auth, Settings
from processors.serving.gate import Gate, guarded
from processors.serving.key_file import KeyFile, KeyFileError
from processors.serving.keys import SCOPES, KeyRing
from tests.fakes.serving import Service, item

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
ROUTES = guarded(Service().app)
DOCS = Path(__file__).parents[4] / "docs" / "api-keys.md"
PLAY = {"user_id": "u", "song_id": "s", "played_ms": 1, "duration_ms": 2}


class Guarded:
    """A service that asks for keys, and a key of each scope."""

    def __init__(self, folder: Path) -> None:
        self.file = KeyFile(folder / "keys.json")
        self.ids: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        for scope in SCOPES:
            self.keys[scope], record = self.file.create(scope, (scope,), NOW)
            self.ids[scope] = record.id
        self.gate = Gate(KeyRing(self.file, lambda: NOW))
        self.service = Service(gate=self.gate, probes={"keys": self.gate.probe})

    def headers(self, scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[scope]}"}


@pytest.fixture
def there(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("path", "method"), ROUTES, ids=lambda part: part.strip("/") or "root")
async def test_every_route_with_every_key(there: Guarded, path: str, method: str) -> None:
    scopes = ROUTES[path, method]
    wrong = f"Bearer ovk_{there.ids['operate']}_{'A' * 43}"
    senders = {"nobody": {}, "wrong": {"Authorization": wrong}} | {s: there.headers(s) for s in SCOPES}
    async with there.service.client() as client:
        for who, headers in senders.items():
            answer = await client.request(method, re.sub(r"\{\w+\}", "x", path), headers=headers)
            if not scopes or who in scopes:
                assert answer.status_code < 500, (who, answer.text)
                assert answer.status_code not in (401, 403), (who, answer.text)
                continue
            assert answer.status_code == (403 if who in SCOPES else 401), who
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith('Bearer realm="overture"')
            assert answer.json()["code"] == {"nobody": "key-missing", "wrong": "key-invalid"}.get(who, "scope-missing")
            if who in SCOPES:
                assert f'scope="{" ".join(scopes)}"' in answer.headers["www-authenticate"]


def test_the_documentation_lists_every_route_with_its_scopes() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (\S+)` \| ([a-z, ]+) \|$", DOCS.read_text(), re.MULTILINE)
    listed = {(path, method): () if said == "open" else tuple(said.split(", ")) for method, path, said in rows}
    assert listed == ROUTES


def test_a_route_without_a_scope_keeps_the_service_from_starting() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)

    async def forgotten() -> None:
        return

    app.add_api_route("/v1/forgotten", forgotten, dependencies=Gate(None).needs("read"))
    guarded(app)
    app.add_api_route("/v1/forgotten", forgotten, methods=["DELETE"])
    with pytest.raises(LookupError, match="/v1/forgotten"):
        guarded(app)
    with pytest.raises(ValueError, match="scope"):
        Gate(None).needs()


async def test_what_is_refused_does_nothing(there: Guarded) -> None:
    async with there.service.client() as client:
        for headers in ({}, there.headers("read"), there.headers("operate")):
            await client.post("/v1/plays", json=PLAY, headers=headers)
        assert there.service.publisher.events == []
        answer = await client.post("/v1/plays", json=PLAY, headers=there.headers("ingest"))
    assert answer.status_code == 202
    assert len(there.service.publisher.events) == 1


async def test_the_scheme_is_bearer_once_in_any_case(there: Guarded) -> None:
    key = there.keys["read"]
    there.service.tell(item("a"))
    async with there.service.client() as client:

        async def status(*values: str) -> tuple[int, str]:
            answer = await client.get("/v1/similar/a", headers=[("Authorization", value) for value in values])
            return answer.status_code, answer.json().get("code", "")

        for good in (f"Bearer {key}", f"bearer {key}", f"BEARER  {key}"):
            assert (await status(good))[0] == 200
        for bad in (key, f"Basic {key}", "Bearer", "Bearer ", f"Bearer {key} x", f"Bearer{key}", f"Bearer {key},"):
            assert await status(bad) == (401, "key-invalid")
        assert await status(f"Bearer {key}", f"Bearer {key}") == (401, "key-invalid")


async def test_a_revoked_key_closes_at_once_and_a_new_one_opens(there: Guarded) -> None:
    async with there.service.client() as client:
        assert (await client.get("/metrics", headers=there.headers("operate"))).status_code == 200
        there.file.revoke(there.ids["operate"], NOW)
        answer = await client.get("/metrics", headers=there.headers("operate"))
        assert (answer.status_code, answer.json()["code"]) == (401, "key-revoked")
        text, _ = there.file.create("new", ("operate", "read"), NOW)
        answer = await client.get("/metrics", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 200


async def test_without_its_file_the_gate_stays_shut_and_says_so(there: Guarded) -> None:
    there.file.path.unlink()
    async with there.service.client() as client:
        answer = await client.get("/metrics", headers=there.headers("operate"))
        assert (answer.status_code, answer.json()["code"]) == (503, "keys-unreadable")
        assert str(there.file.path) not in answer.text
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["probes"] == {"keys": {"ok": False, "code": "keys-unreadable"}}


async def test_logs_name_the_key_and_never_hold_it(there: Guarded) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with there.service.client() as client:
            await client.get("/metrics", headers=there.headers("read"))
            there.file.revoke(there.ids["ingest"], NOW)
            await client.post("/v1/plays", json=PLAY, headers=there.headers("ingest"))
            there.service.publisher.away = True
            text, record = there.file.create("new", ("ingest",), NOW)
            await client.post("/v1/plays", json=PLAY, headers={"Authorization": f"Bearer {text}"})
    assert [(e["event"], e.get("key_id")) for e in logs] == [
        ("key lacks the scope", there.ids["read"]),
        ("key refused", there.ids["ingest"]),
        ("dependency away", record.id),
    ]
    for key in (*there.keys.values(), text):
        assert key.split("_", 2)[2] not in str(logs)


async def test_the_document_names_the_scheme_and_each_routes_scopes(there: Guarded) -> None:
    async with there.service.client() as client:
        document = (await client.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scopes = ROUTES[path, method.upper()]
            assert operation.get("security", []) == [{"key": [scope]} for scope in scopes], path
            assert ("401" in operation["responses"]) == ("403" in operation["responses"]) == bool(scopes), path


def test_the_service_does_not_start_without_keys_or_the_setting(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(KeyFileError, match=r"overture keys create.*OVERTURE_AUTH__OFF_FOR_DEVELOPMENT=true") as caught:
        runtime_service.serve(settings)
    assert caught.value.code == "keys-missing"
    settings.keys_path.write_text("{")
    with pytest.raises(KeyFileError, match="no key file"):
        runtime_service.serve(settings)


def test_the_local_stack_needs_no_keys_unless_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().auth.off_for_development
    assert auth_off(Settings())
    assert auth_off(Settings(auth=Auth(keys_file="keys.json")))
    monkeypatch.setenv("OVERTURE_AUTH__OFF_FOR_DEVELOPMENT", "false")
    assert not auth_off(Settings())
