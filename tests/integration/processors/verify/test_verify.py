"""A system that keeps the promise passes; each way to break it is found and named, on the real parts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from features import milvus_scan
from features.ports import FeatureRow
from features.views import COLLECTIONS, ITEM_CONTENT
from processors.commands.verify import verify
from schemas.topics import POST_CREATED
from tests.integration.processors.verify.broken import BROKEN
from tests.integration.processors.verify.world import AT, World, media_id, vector_row

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


async def checked(world: World, tmp_path: Path, *options: str, rest: bool = True) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the command."""
    log = world.write_log(tmp_path / "accepted.jsonl")
    if rest:
        await asyncio.to_thread(world.rest)
    app = typer.Typer()
    app.command()(verify)
    answer = await asyncio.to_thread(CliRunner().invoke, app, ["--log", str(log), "--json", *options])
    assert answer.exit_code in (0, 1), answer.output
    return answer.exit_code, json.loads(answer.stdout)


def offences(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Check -> id -> what is wrong."""
    return {c["name"]: {f["id"]: f["what"] for f in c["first"]} for c in document["checks"] if not c["ok"]}


async def test_a_system_as_promised_passes(world: World, tmp_path: Path) -> None:
    await world.published(20)
    for state in ("rejected", "failed", "deleted", "review"):
        await world.ended(state)
    code, document = await checked(world, tmp_path)
    assert (code, offences(document)) == (0, {})
    assert document["states"] == {"published": 20, "rejected": 1, "failed": 1, "deleted": 1, "review": 1}
    assert document["seconds_to_end"]["max"] == 3.0
    code, document = await checked(world, tmp_path, "--objects", "present")
    assert (code, offences(document)) == (0, {})


async def test_each_broken_promise_is_found_and_nobody_else_blamed(world: World, tmp_path: Path) -> None:
    await world.published(20)
    culprits = [(await plant(world), plant, check, told) for plant, check, told in BROKEN]
    code, document = await checked(world, tmp_path)
    assert code == 1
    found = offences(document)
    for culprit, plant, check, told in culprits:
        assert told in found.get(check, {}).get(culprit, ""), plant.__name__
    assert {who for each in found.values() for who in each} == {culprit for culprit, *_ in culprits}


async def test_rows_are_all_read_once_when_read_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await world.published(20)
    monkeypatch.setattr(milvus_scan, "BATCH", 3)
    rows = [item for item, _ in milvus_scan.scan(world.wiring.milvus_config, "content_joint")]
    assert set(ids) <= set(rows)
    assert len(rows) == len(set(rows))


async def test_an_upload_that_no_client_was_promised(world: World, tmp_path: Path) -> None:
    await world.published(2)
    stranger, _ = (await world.published(1))[0], world.log.pop()
    orphan = media_id()
    await world.wiring.vector_index.upsert("content_joint", [vector_row("content_joint", orphan, 1)])
    feature = media_id()
    await world.wiring.feature_writer.push(ITEM_CONTENT.name, [FeatureRow(feature, AT, {"title": "t"})])
    code, document = await checked(world, tmp_path)
    assert (code, offences(document)) == (0, {})
    code, document = await checked(world, tmp_path, "--topic-scan")
    assert code == 1
    [row] = [c for c in document["checks"] if c["name"] == "no upload is unknown to the log"]
    # other tests of this session have left theirs
    assert row["offences"] >= 3 + 3
    assert row["checked"] > len(COLLECTIONS)
    assert {stranger, orphan, feature} <= {f["id"] for f in row["first"]} or row["offences"] > len(row["first"])


async def test_what_still_moves_is_named(world: World, tmp_path: Path) -> None:
    await world.published(1)
    await asyncio.to_thread(world.rest)
    await world.wiring.publisher.send(POST_CREATED.name, b"k", b"not read yet")
    code, document = await checked(world, tmp_path, "--wait", "1.5", rest=False)
    assert code == 1
    found = offences(document)["the system is at rest"]
    told = f"1 records of {POST_CREATED.name} are not done"
    assert found == {"item-publication": told, "media-analysis": told}
    await asyncio.to_thread(world.rest)


async def test_a_bad_log_is_refused_with_the_line(world: World, tmp_path: Path) -> None:
    log = tmp_path / "bad.jsonl"
    good = {"media_id": media_id(), "accepted_at": "2026-11-21T08:00:00Z"}
    good = {"media_id": media_id(), "accepted_at": "2026-11-21T08:00:00Z"}
    log.write_text(f"{json.dumps(good)}\nnot json\n")
    app = typer.Typer()
    app.command()(verify)
    answer = await asyncio.to_thread(CliRunner().invoke, app, ["--log", str(log)])
    assert "line 2" in str(answer.exception)
