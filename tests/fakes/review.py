"""A service whose review cases a test makes, and settles as ``review_settlement`` would."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from models.review_queue import act
from processors.runtime.processor import Emit
from processors.serving.keys import KeyRecord, Scope, digest, new_key
from schemas.common import Likeness, ObjectRef, Reason
from schemas.errors import REJECTION_CODES
from schemas.review import ReviewActed, ReviewCase, ReviewRequested
from tests.fakes.operations import WatchedService
from tests.fakes.serving import NOW, MemoryPublisher


class ReviewService(WatchedService):
    """What moderators do takes effect at once.

    Attributes:
        acted: What moderators did, in order.
    """

    def __post_init__(self) -> None:
        self.publisher = _Settling(self)
        self.acted: list[ReviewActed] = []
        super().__post_init__()

    def ask(self, request: ReviewRequested, **changes: Any) -> str:
        """A case that waits, unless ``changes`` say otherwise; its id."""
        known: dict[str, Any] = {"seq": 1, "state": "waiting", "changed_at": NOW}
        self.tell(ReviewCase(review_id=request.review_id, request=request, **(known | changes)))
        return request.review_id

    def erase(self, review_id: str) -> None:
        """The case as it is once its owner was erased."""
        case = self.case(review_id)
        self.tell(dataclasses.replace(case, seq=case.seq + 1, state="withdrawn", request=None))

    def case(self, review_id: str) -> ReviewCase:
        case = self.cases.get(review_id)
        assert case is not None
        return case

    async def image(self, data: bytes, name: str) -> ObjectRef:
        """A picture that a case may name."""
        return await self.objects.put(f"derived/{name}.webp", data, "image/webp")


class _Settling(MemoryPublisher):
    def __init__(self, service: ReviewService) -> None:
        super().__init__()
        self._service = service

    async def publish(self, events: Iterable[Emit]) -> None:
        taken = list(events)
        await super().publish(taken)
        for event in taken:
            if isinstance(event.record, ReviewActed):
                self._service.acted.append(event.record)
                settled = act(self._service.case(event.record.review_id), event.record)
                assert settled is not None
                self._service.tell(settled.case)


def request(name: str, *codes: str, **changes: Any) -> ReviewRequested:
    """A request about an avatar that the machine would reject, unless ``changes`` say otherwise.

    Args:
        name: The same name gives the same case; later names are less urgent where they sort later.
        codes: Why a person is asked.
        changes: Fields of the request.
    """
    known: dict[str, Any] = {
        "subject": "avatar",
        "subject_id": f"user-{name}",
        "owner": f"user-{name}",
        "capability": "avatar_moderation",
        "proposed": "reject",
        "uncertainty": 0.8,
        "reach": 120,
        "model_version": "faces-1+rules-2",
        # the order of the names is that of the queue
        "occurred_at": NOW - timedelta(hours=1) + timedelta(minutes=ord(name[0]) - ord("a")),
        "produced_at": NOW - timedelta(hours=1),
    }
    return ReviewRequested(
        event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"event {name}")),
        source_event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"source {name}")),
        review_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        reasons=tuple(Reason(code=code, text=REJECTION_CODES[code]) for code in codes),
        **(known | changes),
    )


def near(person: str, likeness: float, picture: ObjectRef | None = None) -> Likeness:
    return Likeness(person=person, likeness=likeness, picture=picture)


class ModeratorKeys:
    """Keys of two moderators, of a senior one, and of a program that may not review.

    Attributes:
        text: Name -> the key.
        revoked: Names whose keys open nothing any more.
    """

    SCOPES: ClassVar[dict[str, tuple[Scope, ...]]] = {
        "ada": ("review",),
        "bob": ("review",),
        "sue": ("review", "operate"),
        "app": ("ingest",),
    }

    def __init__(self) -> None:
        made = {name: new_key(frozenset()) for name in self.SCOPES}
        self.text = {name: text for name, (_, text) in made.items()}
        self._ids = {name: number for name, (number, _) in made.items()}
        self.revoked: set[str] = set()

    def stamp(self) -> tuple[int, ...]:
        return (len(self.revoked),)

    def read(self) -> tuple[KeyRecord, ...]:
        return tuple(
            KeyRecord(
                id=self._ids[name],
                name=name,
                scopes=scopes,
                sha256=digest(self.text[name]),
                created_at=NOW,
                revoked_at=NOW if name in self.revoked else None,
            )
            for name, scopes in self.SCOPES.items()
        )
