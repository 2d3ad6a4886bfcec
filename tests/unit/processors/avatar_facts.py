"""Facts of users' avatars, for tests of what joins them."""

from __future__ import annotations

from typing import Any

from schemas.common import Decision, ObjectRef, Reason
from schemas.ids import stable_id
from schemas.pipeline import DeadLettered
from schemas.review import ReviewDecided
from schemas.topics import AVATAR_CHANGED, dead_letter_name
from schemas.user import AvatarChanged, AvatarModerated, UserErased
from tests.fakes.runtime import at

BLURRED = Reason(code="avatar-blurred", text="The face is not sharp enough.")
FAMOUS = Reason(code="avatar-public-figure", text="The picture shows a public figure.")


def picture(avatar: str) -> ObjectRef:
    return ObjectRef(key=f"avatars/t/{avatar}/aa", sha256="aa", size_bytes=1, content_type="image/png")


def changed(avatar: str, chosen: float, user: str = "ada") -> AvatarChanged:
    return AvatarChanged(event_id=avatar, occurred_at=at(chosen), user_id=user, object=picture(avatar))


def judged(
    avatar: str, chosen: float, second: float, decision: Decision = "approve", user: str = "ada", **told: Any
) -> AvatarModerated:
    """What moderation says; ``second`` is when it was done."""
    about: dict[str, Any] = {
        "scores": {"face.sharpness": 0.75, "nsfw": 0.125},
        "faces": 1,
        "age_years": 31.5,
        "reasons": () if decision == "approve" else (BLURRED,),
    }
    return AvatarModerated(
        event_id=f"m-{avatar}-{second}",
        source_event_id=avatar,
        occurred_at=at(chosen),
        produced_at=at(second),
        user_id=user,
        object=picture(avatar),
        decision=decision,
        model_version="rules-1",
        **(about | told),
    )


def decided(avatar: str, chosen: float, second: float, decision: Decision, user: str = "ada") -> ReviewDecided:
    """What people say; ``second`` is when they did."""
    case = stable_id("review", avatar, "avatar_moderation")
    return ReviewDecided(
        event_id=f"r-{avatar}-{second}",
        review_id=case,
        subject="avatar",
        subject_id=user,
        source_event_id=avatar,
        occurred_at=at(chosen),
        decided_at=at(second),
        decision=decision,
        reasons=() if decision == "approve" else (FAMOUS,),
        model_version="rules-1",
    )


def erased(second: float, user: str = "ada") -> UserErased:
    return UserErased(event_id=f"x{second}", occurred_at=at(second), user_id=user, requested_by="test")


def dead(second: float, user: str = "ada", **told: Any) -> DeadLettered:
    about = {"capability": "avatar_moderation", "origin_topic": AVATAR_CHANGED.name, "code": "unavailable"}
    about |= told
    return DeadLettered(
        event_id=f"d{second}",
        occurred_at=at(second),
        key=user,
        origin_partition=0,
        origin_offset=0,
        dead_letter_topic=dead_letter_name(about["capability"].replace("_", "-")),
        attempts=6,
        text="no answer",
        **about,
    )
