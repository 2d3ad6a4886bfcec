"""The service's API in memory: every upload ends at its third status, recall follows publication."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
STAGES = (
    ("media_analysis", "analysed"),
    ("content_moderation", "approve"),
    ("content_embedding", "embedded"),
    ("item_publication", "published"),
    ("content_classification", "classified"),
)


@dataclass
class Upload:
    media_id: str
    kind: str
    title: str
    state: str
    reason: str = ""

    def document(self) -> dict[str, Any]:
        stages = STAGES if self.state in ("published", "deleted") else STAGES[:2]
        timeline = [{"stage": "upload", "state": "received", "at": START.isoformat()}]
        for number, (stage, state) in enumerate(stages, 1):
            timeline.append({"stage": stage, "state": state, "at": (START + timedelta(seconds=number)).isoformat()})
        return {
            "media_id": self.media_id,
            "kind": self.kind,
            "state": self.state,
            "title": self.title,
            "reasons": [{"code": self.reason, "text": "Because."}] if self.reason else [],
            "labels": [{"name": "piano", "score": 0.9}] if self.state == "published" else [],
            "timeline": timeline,
            "accepted_at": START.isoformat(),
            "seq": 3,
        }


@dataclass
class FakeService:
    """Answers as the real one does.

    Attributes:
        rejected: Title -> reason code.
        in_review: Titles on which a person has to look.
        unavailable: How many of the next uploads get 503 first.
        keeps_withdrawn: Whether recall goes on holding withdrawn items.
        lists: User name without the run's id -> titles recommended first.
        version: Of the recommender in use; empty: none.
        outcomes: User -> state and reason code of the avatar; users not named are approved.
        rings: Members of each ring that is a case of review; None: the key may not see cases.
        parts: What the recommender's explanations name as parts of an item's content.
    """

    rejected: dict[str, str] = field(default_factory=dict)
    in_review: set[str] = field(default_factory=set)
    unavailable: int = 0
    keeps_withdrawn: bool = False
    lists: dict[str, list[str]] = field(default_factory=dict)
    version: str = ""
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    rings: list[list[str]] | None = field(default_factory=list)
    avatars: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=lambda: {"audio": 0.8})
    uploads: dict[str, Upload] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    plays: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/readyz":
            return httpx.Response(200, json={"ready": True, "probes": {}})
        if path == "/v1/uploads":
            return self._upload(request)
        if path.startswith("/v1/avatars"):
            return self._avatar(request, path)
        if path.startswith("/v1/review/cases"):
            return self._cases(request, path)
        if path.startswith("/v1/media/"):
            return self._media(request, path.split("/")[3], events=path.endswith("/events"))
        if path == "/v1/plays":
            plays = json.loads(request.content)
            self.plays += plays
            return httpx.Response(202, json={"accepted": len(plays)})
        if path == "/v1/recall":
            return self._items([u.media_id for u in self.uploads.values() if self._recallable(u)])
        if path == "/v1/recommendations":
            return self._recommendations(request.url.params["user"])
        if path.startswith("/v1/explanations/"):
            near = [{"item_id": item, "likeness": 0.5} for item in self.uploads if item not in path]
            why = {"score": 0.7, "boundary": 0.2, "cold": True, "source": "content", "parts": self.parts}
            return httpx.Response(200, json=why | {"neighbours": near, "played": near[:1]})
        if path.startswith("/v1/features/user_taste_v1/"):
            user = path.rsplit("/", 1)[1]
            return httpx.Response(200, json={"values": {"plays": sum(p["user_id"] == user for p in self.plays)}})
        return httpx.Response(404, json={"status": 404, "code": "not-found"})

    def _upload(self, request: httpx.Request) -> httpx.Response:
        if self.unavailable:
            self.unavailable -= 1
            return httpx.Response(503, headers={"Retry-After": "0"}, json={"status": 503, "code": "away"})
        body = request.content
        if b'filename="song.mp3"' in body:
            self.refused += 1
            return httpx.Response(415, json={"status": 415, "code": "media-type", "detail": "No accepted type."})
        key = request.headers["Idempotency-Key"]
        media_id = self.keys.setdefault(key, str(uuid.uuid5(uuid.NAMESPACE_OID, key)))
        title = _field(body, "title")
        reason = self.rejected.get(title, "")
        state = "review" if title in self.in_review else "rejected" if reason else "published"
        upload = Upload(media_id, _field(body, "kind"), title, state, reason)
        self.uploads.setdefault(media_id, upload)
        return httpx.Response(202, json={"media_id": media_id, "state": "received"})

    def _avatar(self, request: httpx.Request, path: str) -> httpx.Response:
        if request.method == "GET":
            shown = self.avatars.get(path.rsplit("/", 1)[1])
            if shown is None:
                return httpx.Response(404, json={"status": 404, "code": "avatar-unknown"})
            before, shown["state"], shown["reasons"] = dict(shown), shown["next"], shown["why"]
            return httpx.Response(200, json=before)
        user = _field(request.content, "user")
        event_id = str(uuid.uuid5(uuid.NAMESPACE_OID, request.headers["Idempotency-Key"]))
        state, code = self.outcomes.get(user, ("approved", ""))
        self.avatars[user] = {"event_id": event_id, "state": "received", "decided_by": "machine", "reasons": []} | {
            "next": state,
            "why": [{"code": code, "text": "Because."}] if code else [],
        }
        return httpx.Response(202, json={"event_id": event_id, "user": user, "state": "received"})

    def _cases(self, request: httpx.Request, path: str) -> httpx.Response:
        if self.rings is None:
            return httpx.Response(403, json={"status": 403, "code": "scope-missing"})
        cases = [
            {"review_id": f"ring-{number}", "state": "waiting", "members": members, "scores": {"ring": 0.9}}
            for number, members in enumerate(self.rings)
        ]
        if path == "/v1/review/cases":
            waiting = [] if "state" in request.url.params else cases
            return httpx.Response(200, json={"cases": [case | {"members": []} for case in waiting], "counts": {}})
        return httpx.Response(200, json=next(case for case in cases if case["review_id"] == path.rsplit("/", 1)[1]))

    def _media(self, request: httpx.Request, media_id: str, *, events: bool) -> httpx.Response:
        upload = self.uploads.get(media_id)
        if upload is None:
            return httpx.Response(404, json={"status": 404, "code": "media-unknown"})
        if request.method == "DELETE":
            upload.state = "deleted"
            return httpx.Response(202, json={"media_id": media_id, "state": "withdrawing"})
        if not events:
            return httpx.Response(200, json=upload.document())
        first = {**upload.document(), "state": "processing", "timeline": upload.document()["timeline"][:2]}
        text = "".join(
            f"id: {number}\r\nevent: status\r\ndata: {json.dumps(document)}\r\n\r\n"
            for number, document in enumerate((first, upload.document()), 2)
        )
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, text=text)

    def _recallable(self, upload: Upload) -> bool:
        return upload.state == "published" or (upload.state == "deleted" and self.keeps_withdrawn)

    def _recommendations(self, user: str) -> httpx.Response:
        played = {play["song_id"] for play in self.plays if play["user_id"] == user}
        wanted = self.lists.get(user.split("-")[0], [])
        rows = [u for u in self.uploads.values() if self._recallable(u) and u.media_id not in played]
        rows.sort(key=lambda u: wanted.index(u.title) if u.title in wanted else len(wanted))
        return self._items([u.media_id for u in rows])

    def _items(self, ids: list[str]) -> httpx.Response:
        reason = "mapped" if self.version else "taste"
        items = [
            {"item_id": item, "kind": self.uploads[item].kind, "score": 1.0, "cold": True, "reason": reason}
            for item in ids
        ]
        return httpx.Response(200, json={"items": items, "degraded": [], "model_version": self.version})


def _field(body: bytes, name: str) -> str:
    found = re.search(rf'name="{name}"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--'.encode(), body, re.DOTALL)
    return found.group(1).decode() if found else ""
