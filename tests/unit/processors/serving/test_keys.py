"""Keys, the file that keeps their hashes, and the ring that reads it again."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processors.serving.key_file import KeyFile, KeyFileError, KeyRequestError
from processors.serving.keys import KeyRefusedError, KeyRing, digest, key_id

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data" / "keys.json")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def refusal(ring: KeyRing, text: str) -> str:
    with pytest.raises(KeyRefusedError) as caught:
        ring.find(text)
    return caught.value.code


def test_a_key_is_found_again_and_its_secret_is_nowhere(file: KeyFile) -> None:
    text, record = file.create("the app", ("read", "ingest", "read"), NOW)
    assert key_id(text) == record.id
    assert record.scopes == ("ingest", "read")
    assert KeyRing(file, Clock()).find(text) == record
    kept = file.path.read_text()
    assert record.id in kept
    assert digest(text) in kept
    assert text not in kept
    assert text.split("_", 2)[2] not in kept
    assert digest(text) not in repr(record)


def test_the_file_is_its_owners_alone_and_no_other_is_left_beside_it(file: KeyFile) -> None:
    mask = os.umask(0)
    try:
        file.create("a", ("read",), NOW)
        file.create("b", ("read",), NOW)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert {each.name for each in file.path.parent.iterdir()} == {"keys.json", "keys.json.lock"}


def test_what_is_not_exactly_the_key_is_refused(file: KeyFile) -> None:
    text, record = file.create("a", ("read",), NOW)
    other, _ = file.create("b", ("read",), NOW)
    ring = KeyRing(file, Clock())
    last = "A" if text[-1] != "A" else "B"
    wrong = (
        "",
        "ovk_",
        text[:-1],
        text + "A",
        text[:-1] + last,
        text.upper(),
        text + "\n",
        f"ovk_{record.id}_{other.split('_', 2)[2]}",
        f"ovk_{'0' * 16}_{'A' * 43}",
        record.sha256,
        "é" * 64,
    )
    assert [refusal(ring, each) for each in wrong] == ["key-invalid"] * len(wrong)


def test_expired_and_revoked_are_told_to_who_knows_the_secret(file: KeyFile) -> None:
    clock = Clock()
    text, _ = file.create("a", ("read",), NOW, NOW + timedelta(hours=1))
    gone, record = file.create("b", ("read",), NOW)
    ring = KeyRing(file, clock)
    assert ring.find(text).name == "a"
    clock.now = NOW + timedelta(hours=1)
    assert refusal(ring, text) == "key-expired"
    assert ring.find(gone)
    file.revoke(record.id, clock.now)
    assert refusal(ring, gone) == "key-revoked"
    assert refusal(ring, f"ovk_{record.id}_{'A' * 43}") == "key-invalid"
    again = file.revoke(record.id, clock.now + timedelta(days=1))
    assert again.revoked_at == clock.now


def test_the_ring_reads_only_what_has_changed(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = file.create("a", ("read",), NOW)
    ring = KeyRing(file, Clock())
    reads: list[Path] = []
    read = KeyFile.read
    monkeypatch.setattr(KeyFile, "read", lambda self: (reads.append(self.path), read(self))[1])
    for _ in range(5):
        ring.find(text)
    assert len(reads) == 1
    other, _ = file.create("b", ("read",), NOW)
    reads.clear()
    ring.find(other)
    ring.find(text)
    assert len(reads) == 1


@pytest.mark.parametrize("damage", ["gone", "empty", "json", "writable", "twins", "strange"])
def test_a_broken_file_lets_nobody_in_until_it_is_mended(file: KeyFile, damage: str) -> None:
    text, record = file.create("a", ("read",), NOW)
    ring = KeyRing(file, Clock())
    ring.refresh()
    good = file.path.read_bytes()
    document = json.loads(good)
    match damage:
        case "gone":
            file.path.unlink()
        case "empty":
            file.path.write_bytes(b"")
        case "json":
            file.path.write_bytes(good[:-5])
        case "writable":
            file.path.chmod(0o620)
        case "twins":
            file.path.write_text(json.dumps(document | {"keys": document["keys"] * 2}))
        case "strange":
            document["keys"][0]["scopes"] = ["root"]
            file.path.write_text(json.dumps(document))
    for _ in range(2):
        with pytest.raises(KeyFileError, match=r"keys\.json") as caught:
            ring.find(text)
        assert record.sha256 not in str(caught.value)
    file.path.write_bytes(good)
    file.path.chmod(0o600)
    assert ring.find(text) == record


def test_a_key_that_makes_no_sense_is_not_made(file: KeyFile) -> None:
    for name, scopes, until in (
        ("", ("read",), None),
        ("x" * 101, ("read",), None),
        ("a\nb", ("read",), None),
        ("a", (), None),
        ("a", ("read",), NOW),
        ("a", ("read",), datetime(2027, 1, 1)),
    ):
        with pytest.raises(KeyRequestError):
            file.create(name, scopes, NOW, until)
    assert not file.path.exists()
    file.create("a", ("read",), NOW)
    with pytest.raises(KeyRequestError, match="ffff"):
        file.revoke("ffff", NOW)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match=r"keys\.json"):
        KeyFile(tmp_path / "file" / "keys.json").create("a", ("read",), NOW)


def test_keys_made_at_the_same_time_are_all_there(file: KeyFile) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: KeyFile(file.path).create(str(n), ("read",), NOW)[1], range(40)))
    assert {key.id for key in file.read()} == {key.id for key in made}
