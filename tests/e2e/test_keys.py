"""API keys on the service as it is deployed: its own process, asked over HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.plan import HttpService
from infra.local.ports import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
PLAYS = [{"user_id": "u", "item_id": "i", "duration_ms": 1000, "played_ms": 1000, "idempotency_key": "play-1"}]


def keys(*words: str) -> str:
    """Standard output of ``overture keys``."""
    command = [sys.executable, "-m", "processors", "keys", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()


@pytest.fixture
def guarded(system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a second service of the same system, which asks for keys."""
    port = free_port()
    monkeypatch.setenv("OVERTURE_HTTP__PORT", str(port))
    service = HttpService(port, tmp_path / "http.log", auth_off=False)
    keys("create", "--name", "first", "--scope", "operate")
    service.start()
    try:
        service.wait_ready()
        yield service.address()
    finally:
        service.stop()


def test_each_key_opens_what_its_scopes_name_and_no_more(guarded: str, tmp_path: Path) -> None:
    ingest = keys("create", "--name", "app", "--scope", "ingest")
    read = keys("create", "--name", "recommender", "--scope", "read")
    with httpx.Client(base_url=guarded, timeout=30) as api:

        def status(method: str, path: str, key: str | None = None, **more: Any) -> tuple[int, str | None]:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            answer = api.request(method, path, headers=headers, **more)
            return answer.status_code, answer.json().get("code")

        recall = {"json": {"user": "u", "limit": 5}}
        assert status("POST", "/v1/recall", **recall) == (401, "key-missing")
        assert status("POST", "/v1/recall", read[:-1] + "x", **recall) == (401, "key-invalid")
        assert status("POST", "/v1/recall", ingest, **recall) == (403, "scope-missing")
        assert status("POST", "/v1/recall", read, **recall) == (200, None)
        assert status("POST", "/v1/plays", read, json=PLAYS)[0] == 403
        # past the gate: what is wrong now is the body
        assert status("POST", "/v1/plays", ingest, json={"nonsense": 1})[0] == 422

        number = next(line.split()[0] for line in keys("list").splitlines() if "recommender" in line)
        keys("revoke", number)
        assert status("POST", "/v1/recall", read, **recall) == (401, "key-revoked")
    # nothing that is written down tells a key
    told = (tmp_path / "http.log").read_text()
    assert ingest not in told
    assert read not in told
