"""A service with a review queue, and moderators who call it."""

from __future__ import annotations

import hashlib
import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from processors.review_settlement import review_settlement
from processors.runtime.processor import Received
from processors.serving.gate import Gate
from processors.serving.key_file import KeyFile
from processors.serving.keys import KeyRing, Scope
from processors.serving.review.oidc import TokenVerifier
from schemas.common import Likeness, ObjectRef, Reason
from schemas.record import Record
from schemas.review import ReviewActed, ReviewCase, ReviewRequested
from schemas.topics import REVIEW_ACTED, REVIEW_CASE
from tests.fakes.runtime import MemoryState
from tests.fakes.serving import NOW, Service

MODERATORS: dict[str, tuple[Scope, ...]] = {
    "ada": ("review",),
    "bob": ("review",),
    "eve": ("review",),
    "sue": ("review", "operate"),
}
BLURRED = Reason(code="avatar-blurred", text="The face is not sharp enough.")


def picture(data: bytes, content_type: str = "image/webp") -> ObjectRef:
    digest = hashlib.sha256(data).hexdigest()
    return ObjectRef(key=f"avatars/{digest}", sha256=digest, size_bytes=len(data), content_type=content_type)


def request(number: str, age_s: float = 60, **changes: Any) -> ReviewRequested:
    sent = NOW - timedelta(seconds=age_s)
    known: dict[str, Any] = {
        "event_id": f"q-{number}",
        "review_id": number,
        "subject": "avatar",
        "subject_id": f"user-{number}",
        "owner": f"user-{number}",
        "source_event_id": f"s-{number}",
        "occurred_at": sent,
        "produced_at": sent + timedelta(seconds=1),
        "capability": "avatar_moderation",
        "proposed": "reject",
        "reasons": (BLURRED,),
        "scores": {"face.sharpness": 0.3},
        "uncertainty": 0.5,
        "pictures": (picture(b"crop"),),
        "nearest": (Likeness(person="Ada Example", likeness=0.62, picture=picture(b"near", "image/jpeg")),),
        "model_version": "1",
    }
    return ReviewRequested(**(known | changes))


class Queue:
    """The service, a key of each moderator, and the capability that settles what they say."""

    def __init__(self, folder: Path, tokens: TokenVerifier | None = None, **parts: Any) -> None:
        file = KeyFile(folder / "keys.json")
        made = {name: file.create(name, scopes, NOW) for name, scopes in MODERATORS.items()}
        self.keys = {name: key for name, (key, _) in made.items()}
        self.names = {name: f"key:{record.id}" for name, (_, record) in made.items()}
        self.service = Service(gate=Gate(KeyRing(file, lambda: NOW), tokens), **parts)
        self.state = MemoryState()
        self.read = 0
        self._numbers = itertools.count()
        for data in (b"crop", b"near"):
            self.service.objects.data[picture(data).key] = data

    async def settle(self, *records: Record) -> None:
        """Work on ``records`` and on what moderators have sent since, and let the service hear of it."""
        sent = [emit.record for emit in self.service.publisher.events[self.read :] if emit.topic == REVIEW_ACTED]
        self.read = len(self.service.publisher.events)
        facts = [*records, *(record for record in sent if record is not None)]
        events: list[Received[Any]] = [Received(fact, "t", 0, n) for n, fact in enumerate(facts)]
        emits = await review_settlement.handler(events, state=self.state, review_kept=timedelta(days=36))
        self.state.apply(emits, REVIEW_CASE)
        for emit in emits:
            if isinstance(emit.record, ReviewCase):
                self.service.tell(emit.record)

    async def call(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """``who`` asks for ``/v1/review`` and ``path``."""
        key = {"Authorization": f"Bearer {self.keys.get(who, who)}"} if who else {}
        async with self.service.client() as client:
            return await client.request(method, f"/v1/review{path}", json=body, headers=key | headers)

    async def act(
        self, who: str, number: str, action: str, *reasons: str, key: str = "", **more: Any
    ) -> httpx.Response:
        body = {"action": action, "reasons": list(reasons)} | more
        headers = {"Idempotency-Key": key or f"k{next(self._numbers)}"}
        return await self.call(who, "POST", f"/cases/{number}/actions", body, **headers)

    async def next(self, who: str, **body: Any) -> str:
        """Review id of the case that ``who`` is given; empty: none."""
        answer = await self.call(who, "POST", "/next", body)
        assert answer.status_code in (200, 204), answer.text
        return str(answer.json()["review_id"]) if answer.status_code == 200 else ""

    @property
    def acted(self) -> list[ReviewActed]:
        return [e.record for e in self.service.publisher.events if isinstance(e.record, ReviewActed)]
