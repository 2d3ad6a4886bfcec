"""The whole corpus through the running system: every verdict right, nobody harmed, nothing leaked, nobody called."""

from __future__ import annotations

import socket
import sys
import time
import uuid
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import REJECTION_CODES
from tests.hostile import outputs
from tests.hostile.listener import Listener
from tests.hostile.test_sandbox import MOST_BYTES, MOST_S
from tests.hostile.watch import Life, Watch, descendants
from tests.media import make_hostile as make
from tests.media.corpus import corpus
from tests.media.make_hostile import Case
from tests.media.scripts import Bait, names
from tests.media.verdicts import ANY

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

TERMINAL = {"published", "rejected", "failed", "deleted", "review"}
KINDS = {"video": cycle(["video"]), "audio": cycle(["audio"]), "picture": cycle(["post", "score", "screenshot"])}
BY_CONTENT = {"media-too-short", "media-silent", "text-blocked", "image-nsfw"}
"""Reasons of the moderation that follows the sandbox: the file itself was good."""
AT_THE_EDGE = {"media-empty", "media-unreadable", "media-type", "media-hostile"}
"""Verdicts that the service may speak by itself, from a file's first bytes."""
LONG_TEXT = ("The rain falls on the harbour and the boats are quiet. " * 100)[:5000]


def plant(folder: Path, outside: Path, marker: str) -> tuple[set[Path], Bait]:
    """The secret as a film and as a text: outside, beside the objects, and among them."""
    film = make.clip(7.0, tags={"title": marker, "comment": marker})
    planted = set()
    for place in (outside, folder, folder / "objects"):
        for name, data in (("secret.mp4", film), ("secret.txt", marker.encode())):
            place.mkdir(exist_ok=True)
            (place / name).write_bytes(data)
            planted.add(place / name)
    secrets = tuple(str(path) for path in sorted(planted) if path.suffix == ".mp4")
    return planted, Bait(secrets, "../../secret.mp4", 0)


def send(system: Any, kind: str, name: str, data: bytes, **fields: str) -> Any:
    return system.api.post(
        "/v1/uploads",
        data={"kind": kind, "uploader": "mallory", **fields},
        files={"file": (name, data)},
        headers={"Idempotency-Key": uuid.uuid4().hex},
    )


def ended(system: Any, ids: dict[str, str]) -> tuple[dict[str, Any], list[bytes]]:
    deadline = time.monotonic() + 1200
    found: dict[str, Any] = {}
    answers = []
    while len(found) < len(ids):
        assert time.monotonic() < deadline, f"never ended: {sorted(set(ids) - set(found))}"
        for name in set(ids) - set(found):
            answer = system.api.get(f"/v1/media/{ids[name]}")
            if answer.json()["state"] in TERMINAL:
                found[name] = answer.json()
                answers.append(answer.content)
        time.sleep(0.5)
    return found, answers


def right(case: Case, media: dict[str, Any]) -> bool:
    codes = {reason["code"] for reason in media["reasons"]}
    if media["state"] == "failed":
        return False
    if case.code == ANY:
        return codes <= set(REJECTION_CODES)
    if case.code:
        return media["state"] == "rejected" and codes == {case.code}
    return media["state"] in ("published", "review") or (bool(codes) and codes <= BY_CONTENT)


def fork_server(worker: int) -> int:
    def program(pid: int) -> bytes:
        return Path(f"/proc/{pid}/cmdline").read_bytes()

    (found,) = [pid for pid in descendants(worker) if b"models.media.zygote" in program(pid) and pid_of(pid) == worker]
    return found


def pid_of(child: int) -> int:
    """Parent of a process."""
    return int(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[1])


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def test_the_corpus_harms_nobody(system: Any, tmp_path: Path) -> None:
    marker, control = f"zq{uuid.uuid4().hex}qz", f"zq{uuid.uuid4().hex}qz"
    planted, bait = plant(system.settings.data_dir, tmp_path, marker)
    before = {name: worker.pid for name, worker in system.workers.items()}
    cases: dict[str, Case] = {}
    ids: dict[str, str] = {}
    refused: dict[str, int] = {}
    answers: list[bytes] = []
    began = time.monotonic()

    def take(case: Case, file_name: str) -> None:
        answer = send(system, next(KINDS[case.kind]), file_name, case.make())
        answers.append(answer.content)
        cases[case.name] = case
        if answer.status_code == 202:
            ids[case.name] = answer.json()["media_id"]
        else:
            assert answer.headers["content-type"].startswith("application/problem+json")
            refused[case.name] = answer.status_code

    with Listener() as listener, Watch(fork_server(before["worker-media"])) as watch:
        bait = Bait(bait.secrets, bait.sibling, listener.port)
        for family in corpus(bait).values():
            for case in family:
                take(case, f"../../etc/{case.name}")
        for number, name in enumerate(names(bait)):
            take(Case(f"name-{number}", "picture", "", lambda: make.picture("PNG")), name)
        tagged = make.clip(1.0, tags={"title": control})
        take(Case("control", "video", "", lambda: tagged), "control.mp4")
        long = send(system, "post", "p.png", make.picture("PNG"), text=LONG_TEXT)
        assert long.status_code == 202, long.text
        ids["long-text"] = long.json()["media_id"]
        cases["long-text"] = Case("long-text", "picture", "", lambda: b"")
        results, said = ended(system, ids)
        answers += said
        answers.append(system.api.get("/v1/recommendations", params={"user": "u", "limit": 200}).content)
        assert listener.calls == []
        socket.create_connection(("127.0.0.1", listener.port)).close()  # and it would have noticed
        while not listener.calls:
            time.sleep(0.01)

    wrong = [(n, cases[n].code, m["state"], m["reasons"]) for n, m in results.items() if not right(cases[n], m)]
    wrong += [(n, cases[n].code, s, []) for n, s in refused.items() if s >= 500 or cases[n].code not in AT_THE_EDGE]
    report(cases, refused, results, list(watch.lives.values()), time.monotonic() - began)
    for name, worker in system.workers.items():
        sys.stdout.write(f"{name}: {resident(worker.pid)} MiB at most\n")
    assert wrong == []
    assert {name: worker.pid for name, worker in system.workers.items() if worker.running} == before
    assert max(life.peak_bytes for life in watch.lives.values()) < MOST_BYTES
    assert max(life.seconds for life in watch.lives.values()) < MOST_S
    look_for(system, marker.encode(), control.encode(), planted, answers)


def look_for(system: Any, marker: bytes, control: bytes, planted: set[Path], answers: list[bytes]) -> None:
    """The marker is nowhere; what was uploaded as a title is found by the same search."""
    written = [
        *outputs.topics(system.settings.kafka),
        *outputs.stores(system),
        *outputs.files(system.settings.data_dir, planted),
        *(("answer", answer) for answer in answers),
    ]
    assert [place for place, data in written if marker in data] == []
    places = [place for place, data in written if control in data]
    assert any("/objects/" in place for place in places), "the search sees objects"
    assert any(place.startswith("media.") for place in places), "the search sees topics"


def report(
    cases: dict[str, Case], refused: dict[str, int], results: dict[str, Any], lives: list[Life], seconds: float
) -> None:
    states = [media["state"] for media in results.values()]
    counts = {state: states.count(state) for state in sorted(set(states))}
    peak, longest = max(life.peak_bytes for life in lives) // 2**20, max(life.seconds for life in lives)
    sys.stdout.write(f"\n{len(cases)} files in {seconds:.0f} s: {len(refused)} refused at the edge, {counts}\n")
    sys.stdout.write(f"{len(lives)} processes, {peak} MiB and {longest:.1f} s at most\n")
