"""Hostile and odd honest files through the running system: a clear 4xx, or a terminal state with a reason."""

from __future__ import annotations

import importlib.util
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]
TERMINAL = {"published", "rejected", "failed", "deleted", "review"}
KINDS = {"video": "video", "audio": "audio", "picture": "post"}
SHORT = "media-too-short"
SPAM = "subtitled.mkv"
"""Honest as a file, but its subtitles sell followers: words inside a file are judged too."""


def cases() -> Any:
    path = Path(__file__).parents[1] / "media" / "make_hostile.py"
    spec = importlib.util.spec_from_file_location("make_hostile", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def send(system: Any, case: Any) -> Any:
    return system.api.post(
        "/v1/uploads",
        data={"kind": KINDS[case.kind], "uploader": "mallory"},
        files={"file": (f"../../etc/{case.name}", case.make())},
        headers={"Idempotency-Key": uuid.uuid4().hex},
    )


def outcomes(system: Any, ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + 240
    ended: dict[str, dict[str, Any]] = {}
    while len(ended) < len(ids):
        assert time.monotonic() < deadline, f"never ended: {sorted(set(ids) - set(ended))}"
        for name in set(ids) - set(ended):
            media = system.api.get(f"/v1/media/{ids[name]}").json()
            if media["state"] in TERMINAL:
                ended[name] = media
        time.sleep(0.3)
    return ended


def test_hostile_files_are_refused_or_rejected_and_harm_nobody(system: Any) -> None:
    before = {name: worker.pid for name, worker in system.workers.items()}
    accepted = {}
    for case in cases().HOSTILE:
        answer = send(system, case)
        if answer.status_code == 202:
            accepted[case.name] = answer.json()["media_id"]
        else:
            assert 400 <= answer.status_code < 500, (case.name, answer.status_code, answer.text)
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert answer.json()["detail"]
    assert len(accepted) > 10, "most hostile files look right from outside and must reach the sandbox"
    for name, media in outcomes(system, accepted).items():
        assert media["state"] == "rejected", (name, media)
        assert media["reasons"][0]["text"], (name, media)
    assert {name: worker.pid for name, worker in system.workers.items() if worker.running} == before


def test_odd_but_honest_files_pass(system: Any) -> None:
    ids = {}
    for case in cases().HONEST:
        answer = send(system, case)
        assert answer.status_code == 202, (case.name, answer.text)
        ids[case.name] = answer.json()["media_id"]
    for name, media in outcomes(system, ids).items():
        if name == SPAM:
            assert [reason["code"] for reason in media["reasons"]] == ["text-blocked"], media
            continue
        too_short = {reason["code"] for reason in media["reasons"]} == {SHORT}
        assert media["state"] in ("published", "review") or too_short, (name, media)
