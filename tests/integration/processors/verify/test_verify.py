"""A system that keeps the promise passes; each way to break it is found and named, on the real parts."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from features.ports import FeatureRow
from features.views import COLLECTIONS, ITEM_CONTENT
from processors.commands.verify import verify
from processors.item_publication import catalogue_change
from processors.runtime.processor import Emit
from schemas.media import MediaStatus
from schemas.topics import ITEM_CHANGED, MEDIA_STATUS, POST_CREATED
from tests.integration.processors.verify.world import AT, World, media_id, status, vector_row

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


async def no_vector(world: World) -> str:
    [one] = await world.published()
    await world.wiring.vector_index.delete("content_text", [one])
    return one


async def orphan_vector(world: World) -> str:
    one = await world.ended("rejected")
    await world.wiring.vector_index.upsert("content_joint", [vector_row("content_joint", one, 5)])
    return one


async def late_vector(world: World) -> str:
    [one] = await world.published()
    await world.wiring.vector_index.delete("content_joint", [one])
    await world.wiring.vector_index.upsert("content_joint", [vector_row("content_joint", one, 4)])
    return one


async def no_features(world: World) -> str:
    [one] = await world.published()
    await world.wiring.feature_writer.delete(ITEM_CONTENT.name, [one])
    return one


async def orphan_features(world: World) -> str:
    one = await world.ended("deleted")
    await world.wiring.feature_writer.push(ITEM_CONTENT.name, [FeatureRow(one, AT, {"title": "left behind"})])
    return one


async def other_time(world: World) -> str:
    [one] = await world.published()
    at = AT + timedelta(seconds=9)
    await world.wiring.feature_writer.push(ITEM_CONTENT.name, [FeatureRow(one, at, {"title": "now"})])
    return one


async def other_bytes(world: World) -> str:
    [one] = await world.published()
    await world.wiring.objects.put(f"uploads/{one}", one.upper().encode(), "text/plain")
    return one


async def no_object(world: World) -> str:
    [one] = await world.published()
    await world.wiring.objects.delete(f"derived/items/{one}/e.safetensors")
    return one


async def never_ends(world: World) -> str:
    return await world.ended("processing", expected="published")


async def lost(world: World) -> str:
    one = media_id()
    world.log.append({"media_id": one, "accepted_at": AT.isoformat()})
    return one


async def unlike_expected(world: World) -> str:
    return await world.ended("rejected", expected="published")


async def two_ends(world: World) -> str:
    return await world.ended("rejected", states=("received", "published"))


async def back_from_deletion(world: World) -> str:
    [one] = await world.published(states=("received", "deleted"))
    return one


async def fenced_off_writer(world: World) -> str:
    [one] = await world.published()
    older = MediaStatus(media_id=one, kind="post", state="processing", seq=2, changed_at=AT)
    await world.send([Emit(MEDIA_STATUS, one, older)])
    return one


async def withdrawn_in_the_catalogue(world: World) -> str:
    [one] = await world.published()
    upload = await world.wiring.objects.put("uploads/x", b"x", "x")
    gone = catalogue_change(dataclasses.replace(status(one, upload, upload), state="deleted", seq=6))
    assert gone
    await world.send([Emit(ITEM_CHANGED, one, gone)])
    return one


async def in_the_catalogue_alone(world: World) -> str:
    one = await world.ended("rejected")
    upload = await world.wiring.objects.put("uploads/x", b"x", "x")
    change = catalogue_change(status(one, upload, upload))
    assert change
    await world.send([Emit(ITEM_CHANGED, one, change)])
    return one


async def failed_without_letter(world: World) -> str:
    one = await world.ended("failed")
    world.log[-1]["expected"] = "failed"
    other = await world.ended("rejected")
    await world.dead_letter(other)
    return other if other != one else one


async def announced_without_letter(world: World) -> str:
    one = await world.ended("failed")
    await world.dead_letter(one, letter=False)
    return one


Plant = Callable[[World], Awaitable[str]]


BROKEN: tuple[tuple[Plant, str, str], ...] = (
    (no_vector, "vectors: each once, nowhere else", "content_text lacks it"),
    (orphan_vector, "vectors: each once, nowhere else", "is rejected, but content_joint has it"),
    (late_vector, "vectors: each once, nowhere else", "content_joint has seq 4"),
    (no_features, "features: event time of the change", "has no features"),
    (orphan_features, "features: event time of the change", "is deleted, but has features"),
    (other_time, "features: event time of the change", "features are of"),
    (other_bytes, "objects are there, with their bytes", "are not those"),
    (no_object, "objects are there, with their bytes", "is not there"),
    (never_ends, "each has come to an end", "is processing"),
    (lost, "every accepted upload is known", "lost"),
    (unlike_expected, "each ends once, as it should", "is rejected, not published"),
    (two_ends, "nothing follows an end but deletion", "published, then rejected"),
    (back_from_deletion, "nothing follows an end but deletion", "deleted, then published"),
    (fenced_off_writer, "no status goes back", "seq 2 was written after 5"),
    (withdrawn_in_the_catalogue, "recall finds the published alone", "does not know it"),
    (in_the_catalogue_alone, "recall finds the published alone", "answers with it"),
    (failed_without_letter, "dead letters are the failed ones", "of which its status knows nothing"),
    (announced_without_letter, "dead letters are the failed ones", "lacks the announced letter"),
)


async def test_each_broken_promise_is_found_and_nobody_else_blamed(world: World, tmp_path: Path) -> None:
    await world.published(20)
    culprits = [(await plant(world), plant, check, told) for plant, check, told in BROKEN]
    code, document = await checked(world, tmp_path)
    assert code == 1
    found = offences(document)
    for culprit, plant, check, told in culprits:
        assert told in found.get(check, {}).get(culprit, ""), plant.__name__
    assert {who for each in found.values() for who in each} == {culprit for culprit, *_ in culprits}


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
