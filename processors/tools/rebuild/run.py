"""One rebuild from its beginning to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection as AnyCollection
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from features import milvus_versions
from features.apply import apply
from features.model_store import ModelStore, Registry
from features.views import (
    ITEM_CONTENT,
    ITEM_PLAYS,
    ITEM_VECTOR,
    USER_AVATAR,
    USER_PROFILE,
    USER_TASTE,
    View,
    recommender_items,
)
from models.recommender_manifest import NAME
from processors.avatar_publication import avatar_publication, avatar_row
from processors.item_indexing import LAYOUTS, Layout, item_indexing
from processors.item_mapping import item_mapping
from processors.play_aggregation import play_aggregation
from processors.runtime.processor import Capability
from processors.runtime.wiring import Wiring
from processors.serving.decoding import Decoder
from processors.tools.rebuild import groups
from processors.tools.rebuild.fingerprints import Difference, Prints, Target, compare
from processors.tools.rebuild.mapped_source import MappedSource
from processors.tools.rebuild.newest import NewestRecords
from processors.tools.rebuild.refill import Advance, Filled, Refill
from processors.tools.rebuild.sources import ItemSource, PlaySource, Source, UserSource
from processors.tools.rebuild.stores import Stores
from processors.user_profile import kept_row, user_profile
from schemas.errors import UnavailableError
from schemas.item import ItemChanged, ItemMapped
from schemas.play import PlayAggregate
from schemas.topics import AVATAR_SETTLED, ITEM_CHANGED, ITEM_MAPPED, PLAY_AGGREGATED, PROFILE_KEPT
from schemas.user import AvatarSettled, ProfileKept

WORKERS_LIMIT_S = 300.0
OF_USERS = (USER_PROFILE, USER_AVATAR)
"""Views of which each row follows from one record of a state."""


@dataclass
class Rebuilt:
    """What a rebuild did.

    Attributes:
        rows: Rows in the stores at the end, by target.
        differences: What differs from before, by target; only where it was compared.
        nothing_before: Targets that held no row before although the topics have some.
        moved: Rows by target that others changed meanwhile, or had still to change; they are not compared.
        failed: Why a key could not be written, by key.
        unreadable: Why a record of a topic could not be read, by key.
        mended: Rows that were put right after the first writing.
        lag: Records by group that lay before workers when it began.
    """

    rows: dict[str, int] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    nothing_before: list[str] = field(default_factory=list)
    moved: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    mended: int = 0
    lag: dict[str, int] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether the stores hold what they held before, where there was something."""
        told = (difference for name, difference in self.differences.items() if name not in self.nothing_before)
        return not any(told) and not self.failed and not self.unreadable


def targets(recommender: str | None = None) -> dict[str, Target]:
    """Everything that can be rebuilt, by name; every version there is.

    Args:
        recommender: Version of the recommender in use; None: there is none, and so no place of items.
    """
    every: list[Target] = [USER_TASTE, ITEM_PLAYS, *OF_USERS]
    for layout in LAYOUTS.values():
        every += [layout.view, *layout.collections]
    if recommender is not None:
        every += _of_recommender(recommender)
    return {target.name: target for target in every}


async def recommender_in_use(wiring: Wiring) -> Registry:
    """What the registry says of the recommender.

    Raises:
        UnavailableError: the object store does not answer.
    """
    return await ModelStore(wiring.objects).registry(NAME)


async def in_use(wiring: Wiring) -> list[str]:
    """Names of the targets that readers get.

    Raises:
        UnavailableError: the object store does not answer.
    """
    layout, version = await _layout_in_use(wiring), (await recommender_in_use(wiring)).in_use
    used: list[Target] = [layout.view, *layout.collections, USER_TASTE, ITEM_PLAYS, *OF_USERS]
    if version is not None:
        used += _of_recommender(version)
    return [each.name for each in used]


async def rebuild(wiring: Wiring, chosen: AnyCollection[str], tell: Advance, *, comparing: bool) -> Rebuilt:
    """Empty the chosen targets and fill them from the topics.

    Args:
        wiring: Settings and stores.
        chosen: Names of targets.
        tell: Takes the progress.
        comparing: Whether to compare the rows with those of before.

    Raises:
        UnavailableError: broker, registry or a store does not answer, workers do not get on, or another version of the
            recommender came into use meanwhile.
    """
    recommender = await recommender_in_use(wiring)
    version = recommender.in_use
    await _prepare(wiring, chosen, recommender)
    stores = Stores(wiring.feature_reader, wiring.feature_writer, wiring.vector_index)
    kafka, found = wiring.settings.kafka, Rebuilt()
    mapping = [] if version is None else [item_mapping]
    done = await _look_at([item_indexing, play_aggregation, user_profile, avatar_publication, *mapping], wiring, found)
    emptied = [target for name, target in targets(version).items() if name in chosen]
    of_plays = [target for target in emptied if target in (USER_TASTE, ITEM_PLAYS)]
    decoder = Decoder(wiring.codec, wiring.registry.fetch)
    catalogue = NewestRecords(kafka, ITEM_CHANGED, ItemChanged, decoder, order=lambda item: item.seq)
    plays = NewestRecords(kafka, PLAY_AGGREGATED, PlayAggregate, decoder)
    profiles = NewestRecords(kafka, PROFILE_KEPT, ProfileKept, decoder)
    avatars = NewestRecords(kafka, AVATAR_SETTLED, AvatarSettled, decoder, order=lambda settled: settled.seq)
    mapped = NewestRecords(kafka, ITEM_MAPPED, ItemMapped, decoder)
    topics = (catalogue, plays, profiles, avatars, mapped)
    try:
        views_too = False
        for layout in LAYOUTS.values():
            of_items = [target for target in emptied if target in (layout.view, *layout.collections)]
            if of_items:
                items = ItemSource(catalogue, layout, wiring.objects, done[item_indexing.group])
                # a row of it follows the topic whatever the worker does, so there is nothing to wait for
                await _one(found, wiring, items, stores, of_items, of_items, None, tell, comparing=comparing)
                views_too = views_too or layout.view in of_items
        if of_plays or views_too:
            # a worker that counted while the items were away has written tastes without vectors
            checked = of_plays if USER_TASTE in of_plays or not views_too else [*of_plays, USER_TASTE]
            taste = PlaySource(plays, wiring.feature_reader, wiring.taste_half_life)
            await _one(found, wiring, taste, stores, of_plays, checked, play_aggregation, tell, comparing=comparing)
        of_users: list[tuple[View, Source, Capability]] = [
            (USER_PROFILE, UserSource(profiles, USER_PROFILE, kept_row), user_profile),
            (USER_AVATAR, UserSource(avatars, USER_AVATAR, avatar_row), avatar_publication),
        ]
        for view, source, worker in of_users:
            if view in emptied:
                await _one(found, wiring, source, stores, [view], [view], worker, tell, comparing=comparing)
        if version is not None and (placed := [each for each in _of_recommender(version) if each in emptied]):
            where = MappedSource(mapped, catalogue, version, recommender_items(version))
            await _one(found, wiring, where, stores, placed, placed, item_mapping, tell, comparing=comparing)
            await _require_in_use(wiring, version)
    finally:
        for each in topics:
            each.close()
    for each in topics:
        found.unreadable |= each.unreadable
    return found


def _of_recommender(version: str) -> list[Target]:
    return [ITEM_VECTOR, recommender_items(version)]


async def _require_in_use(wiring: Wiring, version: str) -> None:
    now = (await recommender_in_use(wiring)).in_use
    if now != version:
        text = f"recommender {now} came into use instead of {version} while it was rebuilt: give the command again"
        raise UnavailableError(text, code="recommender-moved")


async def _look_at(workers: Iterable[Capability], wiring: Wiring, found: Rebuilt) -> dict[str, groups.Places]:
    """How far each group is, by its name; what lies before it is noted."""
    kafka, done = wiring.settings.kafka, {}
    for each in workers:
        until = await asyncio.to_thread(groups.ends, kafka, [topic.name for topic in each.consumes])
        group = await asyncio.to_thread(groups.look, kafka, each.group, until)
        done[each.group] = group.done
        if group.lag:
            found.lag[each.group] = group.lag
    return done


async def _layout_in_use(wiring: Wiring) -> Layout:
    view = await wiring.view_aliases.view(ITEM_CONTENT.alias)
    return next(each for each in LAYOUTS.values() if each.view == view)


async def _prepare(wiring: Wiring, chosen: AnyCollection[str], recommender: Registry) -> None:
    """Views, collections and aliases, even if Milvus was lost as a whole."""
    await asyncio.to_thread(apply, wiring.feast_config, wiring.milvus_config)
    collections = [each for layout in LAYOUTS.values() for each in layout.collections if each.name in chosen]
    await asyncio.to_thread(milvus_versions.make, wiring.milvus_config, collections)
    used = await _layout_in_use(wiring)
    aliased = list(used.collections)
    if (version := recommender.in_use) is not None and recommender_items(version).name in chosen:
        aliased.append(recommender_items(version))
        if recommender.before is not None:
            # workers take out of it what is withdrawn; a rollback fills it
            await asyncio.to_thread(milvus_versions.make, wiring.milvus_config, [recommender_items(recommender.before)])
    await asyncio.to_thread(milvus_versions.make, wiring.milvus_config, aliased)
    await asyncio.to_thread(milvus_versions.move_aliases, wiring.milvus_config, aliased)


async def _one(
    found: Rebuilt,
    wiring: Wiring,
    source: Source,
    stores: Stores,
    emptied: Sequence[Target],
    checked: Sequence[Target],
    waits_for: Capability | None,
    tell: Advance,
    *,
    comparing: bool,
) -> None:
    async def workers_passed() -> None:
        if waits_for is not None:
            consumed = [topic.name for topic in waits_for.consumes]
            await groups.passed(wiring.settings.kafka, waits_for.group, consumed, WORKERS_LIMIT_S)

    tell("reading topics", 0, 0)
    await asyncio.to_thread(source.advance)
    tell("reading stores", 0, 0)
    on_their_way = source.on_their_way()
    before = {target.name: await stores.prints(target) for target in emptied} if comparing else {}
    refill = Refill(source, stores, emptied=emptied, checked=checked, workers_passed=workers_passed, tell=tell)
    done = await refill.run()
    for target, row_id in (place for key in on_their_way for place in source.places(key)):
        done.moved.get(target.name, set()).add(row_id)
    _note(found, done, emptied, before)


def _note(found: Rebuilt, done: Filled, emptied: Sequence[Target], before: dict[str, Prints]) -> None:
    found.failed |= done.failed
    found.mended += done.mended
    for target in emptied:
        name = target.name
        found.rows[name] = len(done.stored[name])
        found.moved[name] = len(done.moved[name])
        if name in before:
            found.differences[name] = compare(target, before[name], done.stored[name], frozenset(done.moved[name]))
            if not before[name] and done.stored[name]:
                found.nothing_before.append(name)
