"""Where a user's avatar stands: ``GET /v1/avatars/{user}``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Response

from features import ownership
from features.views import USER_AVATAR
from processors.avatar_publication import sentence
from processors.serving.documentation import responses
from processors.serving.fields import ID_PATTERN
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from processors.serving.receipts import Receipts
from schemas.user import AvatarChanged

EXAMPLE: dict[str, Any] = {
    "user": "u-1",
    "event_id": "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77",
    "state": "rejected",
    "decided_by": "machine",
    "reasons": [{"code": "avatar-blurred", "text": "The face is not sharp enough."}],
    "changed_at": "2026-11-21T08:00:01Z",
}


class AvatarRoutes:
    """``GET /v1/avatars/{user}``."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self.router = APIRouter(tags=["media"])
        self.router.add_api_route(
            "/v1/avatars/{user}",
            self.read,
            methods=["GET"],
            response_class=Response,
            dependencies=parts.gate.needs("read", "ingest", "operate"),
            responses=responses(EXAMPLE, 404, 422, 503),
        )

    async def read(self, user: Annotated[str, Path(pattern=ID_PATTERN)]) -> Response:
        """Where the newest avatar of a user stands, and why.

        `state`: received, approved, rejected, review, failed. `event_id` is the one that the upload of the avatar was
        answered with: while it names an older avatar, the new one has only just arrived.
        """
        # the features are written before the state that they tell of, so nothing knows it sooner
        [row] = await self._parts.features.read(USER_AVATAR.name, [user])
        if row is not None:
            values = row.values
            reasons = [{"code": code, "text": sentence(code)} for code in values.get("reasons") or ()]
            return _answer(user, values["event_id"], values["decision"], values["decided_by"], reasons, row.at)
        accepted = await self._accepted(user)
        if accepted is None:
            raise ProblemError(404, "avatar-unknown", "This user has no avatar.")
        return _answer(user, accepted.event_id, "received", "nobody", [], accepted.occurred_at)

    async def _accepted(self, user: str) -> AvatarChanged | None:
        """The newest avatar that was accepted; no capability has worked on it yet."""
        objects = self._parts.objects
        receipts = Receipts(objects, AvatarChanged, ownership.avatar_receipts(user))
        found = [await receipts.find(each) async for each in ownership.avatars(objects, user, self._parts.now())]
        events = [event for event in found if event is not None]
        return max(events, key=lambda event: (event.occurred_at, event.event_id), default=None)


def _answer(
    user: str, event_id: str, state: str, decided_by: str, reasons: list[dict[str, str]], at: datetime
) -> Response:
    document = {
        "user": user,
        "event_id": event_id,
        "state": state,
        "decided_by": decided_by,
        "reasons": reasons,
        "changed_at": at,
    }
    return Response(orjson.dumps(document, option=orjson.OPT_UTC_Z), media_type="application/json")
