"""Example bodies of the review routes, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

ID = "6a0d1a34-9f6e-5d0c-8f5b-2a6f0e6f4a11"
CONFIG: dict[str, Any] = {
    "login_required": True,
    "oidc": None,
    "lease_s": 300,
    "reasons": {"ring": [{"code": "fraud-ring", "text": "Several accounts show the same face."}]},
}
ME = {"moderator": "key:0123456789abcdef", "senior": False}
_SUMMARY: dict[str, Any] = {
    "review_id": ID,
    "subject": "avatar",
    "state": "waiting",
    "reasons": [{"code": "avatar-public-figure", "text": "The picture shows a public figure."}],
    "uncertainty": 0.83,
    "reach": 120,
    "age_s": 341.2,
    "priority": 0.91,
    "changed_at": "2026-11-21T08:00:00Z",
    "decision": "none",
}
CASES: dict[str, Any] = {
    "cases": [_SUMMARY | {"leased_by": None}],
    "counts": {"waiting": 12, "second": 1, "escalated": 0, "decided": 40, "withdrawn": 2},
}
CASE: dict[str, Any] = _SUMMARY | {
    "seq": 3,
    "subject_id": "u-17",
    "owner": "u-17",
    "capability": "avatar_moderation",
    "proposed": "reject",
    "scores": {"celebrity": 0.62},
    "occurred_at": "2026-11-21T08:00:00Z",
    "requested_at": "2026-11-21T08:00:01Z",
    "model_version": "1",
    "excerpt": "",
    "members": [],
    "pictures": [{"url": f"/v1/review/cases/{ID}/pictures/0", "content_type": "image/webp", "size_bytes": 8123}],
    "nearest": [
        {
            "person": "Ada Example",
            "likeness": 0.62,
            "distance": 0.8718,
            "picture": f"/v1/review/cases/{ID}/nearest/0",
        }
    ],
    "votes": [],
    "lease": {"by": "me", "until": "2026-11-21T08:10:41Z"},
    "means": {
        "approve": {"allowed": True, "state": "second", "needs_second": True, "why": ""},
        "reject": {"allowed": True, "state": "decided", "needs_second": False, "why": ""},
        "escalate": {"allowed": True, "state": "escalated", "needs_second": False, "why": ""},
    },
}
ACTION: dict[str, Any] = {"action": "reject", "reasons": ["avatar-public-figure"], "note": ""}
ACCEPTED: dict[str, Any] = {
    "review_id": ID,
    "event_id": "c1f0c2b8-5d0b-5a55-9a3e-4d0f3b1c9a7e",
    "state": "decided",
    "seq": 3,
}
