"""A version into use and back: registry first, then the event that services follow.

Each step can be repeated. What a crash left between the registry and the event is finished by giving the command
again: the registry knows that the move was not completed (`Registry.unfinished`), and the event of a move has always
the same id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from features.model_store import Registry, RegistryError, RegistryEvent, now
from models.recommender_bundle import Bundle
from models.recommender_manifest import NAME
from processors.runtime.processor import Emit, Publisher
from processors.tools.models_registry import gate
from processors.tools.models_registry.gate import Finding
from processors.tools.models_registry.versions import Versions, append_unless_moved
from schemas import topics
from schemas.errors import AppError
from schemas.ids import stable_id
from schemas.model import ModelPublished

Hook = Callable[[Bundle], Awaitable[None]]
"""Does something for a version; may be called again for the same one."""


class ForceError(AppError):
    """The gate was to be passed over without saying why."""

    code = "reason-missing"
    http_status = 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has done.

    Attributes:
        version: Version in use now.
        previous: Version in use before.
        moved: Whether the registry changed; False where only the event was sent (again).
        findings: What the gate said.
    """

    version: str
    previous: str | None
    moved: bool
    findings: tuple[Finding, ...] = ()


Tidy = Callable[[Sequence[str]], Awaitable[object]]
"""Takes the versions of which stores keep something: the one in use, and the one before if there was one."""


async def nothing_to_do(_of: object) -> None:
    """For versions that no store holds anything of."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the stores need around a move.

    Attributes:
        prepare: Before the move, for example to fill the version's vector collection.
        settle: After everybody was told, for example to go over what changed meanwhile.
        tidy: When all stores follow the move; what other versions have there may go.
        admit: Before a promotion that is not forced; raises where the version does not suit what is published.
    """

    prepare: Hook = nothing_to_do
    settle: Hook = nothing_to_do
    tidy: Tidy = nothing_to_do
    admit: Hook = nothing_to_do


NO_HOOKS = Hooks()


class Publication:
    """Promotes and rolls back versions of the recommender."""

    def __init__(self, versions: Versions, publisher: Publisher, hooks: Hooks = NO_HOOKS) -> None:
        self._versions = versions
        self._store = versions.store
        self._publisher = publisher
        self._hooks = hooks

    async def promote(self, version: str, by: str, reason: str = "", *, force: bool = False) -> Outcome:
        """Put a version in use. If it is already, its event is sent once more.

        Args:
            version: A registered version.
            by: Who does it.
            reason: Why.
            force: Whether the gate's refusal is only noted; needs a reason.

        Raises:
            RegistryError: no such version, or somebody has changed the registry meanwhile.
            BundleError: its files are not usable.
            GateError: it is worse than the one in use, or does not suit what is published.
            ForceError: ``force`` without a reason.
            UnavailableError: a store or the broker does not answer; give the command again.
        """
        if force and not reason.strip():
            raise ForceError("to pass the gate over, say why: the reason stays in the registry")
        seen = await self._store.registry(NAME)
        if version not in seen.versions:
            raise RegistryError(f"{version} is not registered", code="model-version-missing")
        if seen.in_use == version:
            await self._complete(again=True)
            return Outcome(version, seen.last_move.previous if seen.last_move else None, moved=False)
        bundle = await self._versions.open(version)
        present = None if seen.in_use is None else await self._versions.manifest(seen.in_use)
        check = gate.compare if force else gate.require
        findings = tuple(check(bundle.manifest, present))
        if not force:
            await self._hooks.admit(bundle)
        await self._move(seen, bundle, RegistryEvent(kind="promoted", version=version, at=now(), by=by, reason=reason))
        return Outcome(version, seen.in_use, moved=True, findings=findings)

    async def rollback(self, by: str, reason: str = "") -> Outcome:
        """Put the version in use again that was before. A rollback that was cut off is finished instead.

        Raises:
            RegistryError: there was none before, or somebody has changed the registry meanwhile.
            BundleError: its files are not usable.
            UnavailableError: a store or the broker does not answer; give the command again.
        """
        seen = await self._store.registry(NAME)
        unfinished = seen.unfinished
        if unfinished is not None and unfinished.kind == "rolled_back":
            await self._complete()
            return Outcome(unfinished.version, unfinished.previous, moved=False)
        if seen.before is None:
            raise RegistryError("no version was in use before", code="nothing-before")
        bundle = await self._versions.open(seen.before)
        event = RegistryEvent(kind="rolled_back", version=seen.before, at=now(), by=by, reason=reason)
        await self._move(seen, bundle, event)
        return Outcome(seen.before, seen.in_use, moved=True)

    async def _move(self, seen: Registry, bundle: Bundle, event: RegistryEvent) -> None:
        await self._hooks.prepare(bundle)
        await self._store.append(seen, replace(event, previous=seen.in_use))
        await self._complete()

    async def _complete(self, *, again: bool = False) -> None:
        """Send the event of the last move and settle it, until the one that was sent is the last.

        Two who move at once may send in another order than they moved; whoever finds that a later move happened
        sends that one's event after his own, so that the last event is always the last move's.
        """
        told = 0
        while True:
            seen = await self._store.registry(NAME)
            move = seen.last_move
            if move is None:
                return
            if told != move.number and (told or again or seen.unfinished is not None):
                await self._publisher.publish([await self._event(move)])
                await self._hooks.settle(await self._versions.open(move.version))
                await self._hooks.tidy([each for each in (move.version, move.previous) if each is not None])
                told = move.number
                continue
            if seen.unfinished is None:
                return
            done = RegistryEvent(kind="completed", version=move.version, at=now(), by=move.by, of=move.number)
            await append_unless_moved(self._store, seen, done)

    async def _event(self, move: RegistryEvent) -> Emit:
        manifest = await self._versions.manifest(move.version)
        record = ModelPublished(
            event_id=stable_id("model-published", NAME, str(move.number)),
            occurred_at=move.at,
            name=NAME,
            version=move.version,
            previous=move.previous,
            reason="rolled_back" if move.kind == "rolled_back" else "promoted",
            collection=manifest.collection,
            manifest=await self._store.manifest_ref(NAME, move.version),
            published_by=move.by,
        )
        return Emit(topics.MODEL_PUBLISHED, NAME, record)
