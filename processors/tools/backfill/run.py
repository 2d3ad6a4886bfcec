"""The steps of a backfill, each of which may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from features import milvus_versions
from features.apply import apply_views
from processors.item_indexing import LAYOUTS
from processors.runtime import topics_admin
from processors.runtime.kafka import client_config
from processors.runtime.processor import Capability
from processors.runtime.wiring import Wiring
from processors.runtime.worker import Worker
from processors.serving.decoding import Decoder
from processors.tools.backfill.versions import BackfillError, collections, is_used, version_of, versions_of, views
from processors.tools.rebuild import groups
from processors.tools.rebuild.newest import NewestRecords
from processors.tools.rebuild.refill import Advance, Filled, Refill
from processors.tools.rebuild.sources import ItemSource
from processors.tools.rebuild.stores import Stores
from schemas.errors import UnavailableError
from schemas.item import ItemChanged
from schemas.topics import ITEM_CHANGED

POLL_S = 1.0
DAY_S = 24 * 3600.0
TIMEOUT_S = 20.0


async def backfill(wiring: Wiring, name: str, version: int, tell: Advance, *, switching: bool) -> Filled:
    """Fill a version from its topics, go over it, and perhaps give it to readers.

    A worker of this version runs here meanwhile; others of it may run beside. The old version's go on.

    Args:
        wiring: Settings and stores.
        name: Capability.
        version: Version to fill.
        tell: Takes the progress.
        switching: Whether readers get it at the end.

    Raises:
        BackfillError: there is no such version, or items could not be written and it was to be switched.
        UnavailableError: broker, registry or a store does not answer.
    """
    capability = version_of(name, version)
    await _prepare(wiring, capability)
    async with _working(wiring, capability) as worker:
        await _caught_up(wiring, capability, worker, tell)
        filled = await _gone_over(wiring, capability, tell)
        if switching:
            if filled.failed:
                raise BackfillError(f"{len(filled.failed)} items have no rows in version {version}: readers stay")
            await switch(wiring, capability)
    return filled


async def switch(wiring: Wiring, capability: Capability) -> None:
    """Give readers this version: Milvus' aliases first, then the views', which are the truth."""
    await asyncio.to_thread(milvus_versions.move_aliases, wiring.milvus_config, collections(capability))
    for view in views(capability):
        await wiring.view_aliases.move(view.alias, view)


async def drop_others(wiring: Wiring, name: str) -> list[int]:
    """Remove what the versions have that readers do not get: rows, collections, groups, topics of their own.

    Dead letters stay.

    Raises:
        BackfillError: workers of such a version are running, or readers get none.
        UnavailableError: broker or a store does not answer.
    """
    versions = versions_of(name)
    used = [version for version, each in versions.items() if await is_used(wiring, each)]
    if len(used) != 1:
        raise BackfillError(f"readers get {len(used)} versions of {name}: switch first")
    others = {version: each for version, each in versions.items() if version not in used}
    for version, capability in others.items():
        group = await asyncio.to_thread(groups.look, wiring.settings.kafka, capability.group, {})
        if group.members:
            raise BackfillError(f"{group.members} workers of version {version} are running: stop them first")
    stores = Stores(wiring.feature_reader, wiring.feature_writer, wiring.vector_index)
    for capability in others.values():
        for view in views(capability):
            await stores.delete(view, [each async for each in wiring.feature_reader.scan_ids(view.name)])
        await asyncio.to_thread(milvus_versions.drop, wiring.milvus_config, collections(capability))
        await asyncio.to_thread(_drop_streams, wiring, capability)
    return sorted(others)


async def _prepare(wiring: Wiring, capability: Capability) -> None:
    await asyncio.to_thread(apply_views, wiring.feast_config)
    await asyncio.to_thread(milvus_versions.make, wiring.milvus_config, collections(capability))
    await asyncio.to_thread(topics_admin.apply, wiring.settings.kafka, wiring.registry, [capability])


@asynccontextmanager
async def _working(wiring: Wiring, capability: Capability) -> AsyncIterator[Worker]:
    worker = Worker(wiring.runner(capability), wiring.settings)
    await worker.runner.warm()
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(wiring.settings.worker.stop_grace_s)


async def _caught_up(wiring: Wiring, capability: Capability, worker: Worker, tell: Advance) -> None:
    """Until the group has done what lay there at the start; what comes after is the next step's."""
    kafka = wiring.settings.kafka
    until = await asyncio.to_thread(groups.ends, kafka, [topic.name for topic in capability.consumes])
    died = asyncio.ensure_future(worker.app.wait_until_stopped())
    first = 0
    try:
        while lag := (await asyncio.to_thread(groups.look, kafka, capability.group, until)).lag:
            first = max(first, lag)
            tell("replaying", first - lag, first)
            await asyncio.wait([died], timeout=POLL_S)
            if died.done():
                raise UnavailableError(f"the worker of {capability.group} ended", code="worker-ended")
    finally:
        died.cancel()


async def _gone_over(wiring: Wiring, capability: Capability, tell: Advance) -> Filled:
    """Compare the new stores with the topics, row by row, until they agree."""
    kafka = wiring.settings.kafka
    decoder = Decoder(wiring.codec, wiring.registry.fetch)
    records = NewestRecords(kafka, ITEM_CHANGED, ItemChanged, decoder, order=lambda item: item.seq)
    try:
        source = ItemSource(records, LAYOUTS[capability.version], wiring.objects)
        await asyncio.to_thread(source.advance)

        async def workers_passed() -> None:
            await groups.passed(kafka, capability.group, [topic.name for topic in capability.consumes], DAY_S)

        stores = Stores(wiring.feature_reader, wiring.feature_writer, wiring.vector_index)
        refill = Refill(source, stores, emptied=(), checked=source.targets, workers_passed=workers_passed, tell=tell)
        return await refill.run()
    finally:
        records.close()


def _drop_streams(wiring: Wiring, capability: Capability) -> None:
    admin = AdminClient(client_config(wiring.settings.kafka))
    futures = [*admin.delete_consumer_groups([capability.group], request_timeout=TIMEOUT_S).values()]
    if capability.version > 1:
        own = [name for name, _ in capability.retry_topics]
        own += [capability.state.name] if capability.state else []
        futures += admin.delete_topics(own, operation_timeout=TIMEOUT_S).values()
    gone = {KafkaError.GROUP_ID_NOT_FOUND, KafkaError.UNKNOWN_TOPIC_OR_PART}
    for future in futures:
        try:
            future.result(timeout=TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in gone:
                raise UnavailableError(f"{capability.group}: {error}", code="broker-unavailable") from error
