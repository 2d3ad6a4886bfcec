"""Every way to break the promise: what does it to whom, which check tells, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta

from features.ports import FeatureRow
from features.views import ITEM_CONTENT
from processors.item_publication import catalogue_change
from processors.runtime.processor import Emit
from schemas.media import MediaStatus
from schemas.topics import ITEM_CHANGED, MEDIA_STATUS
from tests.integration.processors.verify.world import AT, World, media_id, status, vector_row


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
