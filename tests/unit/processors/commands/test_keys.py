"""`overture keys` as a person uses it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from processors.commands.keys import app
from processors.serving.key_file import KeyFile, KeyRequestError
from processors.serving.keys import KeyRing


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERTURE_DATA_DIR", str(tmp_path))
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_made_listed_revoked(folder: Path) -> None:
    made = call("create", "--name", "the [red] app", "--scope", "ingest", "--scope", "read", "--days", "90")
    assert made.exit_code == 0
    text = made.stdout.strip()
    record = KeyRing(KeyFile(folder / "keys.json"), lambda: datetime.now(UTC)).find(text)
    assert record.scopes == ("ingest", "read")
    assert record.expires_at is not None
    assert (record.expires_at - record.created_at).days == 90
    assert record.id in made.stderr
    assert text not in made.stderr

    listed = call("list").stdout
    for shown in (record.id, "the [red] app", "ingest read", f"until {record.expires_at:%Y-%m-%d}"):
        assert shown in listed
    assert text not in listed
    assert record.sha256 not in listed

    assert record.id in call("revoke", record.id).stdout
    assert "revoked" in call("list").stdout


def test_an_unknown_scope_or_id_is_refused(folder: Path) -> None:
    refused = call("create", "--name", "a", "--scope", "root")
    assert refused.exit_code == 2
    assert "ingest, read, operate, review" in refused.output
    assert not (folder / "keys.json").exists()
    assert isinstance(call("revoke", "0" * 16).exception, KeyRequestError)
