"""Keeps what users tell of themselves, newest first to be believed, and forgets it with them.

consumes  user.profile.changed.v1, user.account.erased.v1
produces  user.profile.changed.v1 (puts its newest record right), user.profile.kept.v1 (its state)
stores    Feast `user_profile_v1`

Compaction keeps the record of a user that was written last, which need not be the newest: an erasure is read before the
profile that precedes it, or a profile comes late. So whatever is read and is not what the user said last is
followed by that; after an erasure, by a profile that says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from features.ports import FeatureRow, FeatureWriter
from features.views import USER_PROFILE
from processors.runtime.processor import Emit, Received, State, capability
from schemas.ids import stable_id
from schemas.topics import PROFILE_CHANGED, PROFILE_KEPT, USER_ERASED
from schemas.user import ProfileChanged, ProfileKept, UserErased


@capability(
    consumes=(PROFILE_CHANGED, USER_ERASED), produces=(PROFILE_CHANGED, PROFILE_KEPT), state=PROFILE_KEPT, batch=True
)
async def user_profile(
    events: Sequence[Received[ProfileChanged | UserErased]], *, state: State, feature_writer: FeatureWriter
) -> list[Emit]:
    """Keeps the newest profile of each user for readers of features."""
    kept: dict[str, ProfileKept] = {}
    corrections: dict[str, ProfileChanged] = {}
    for record in (received.record for received in events):
        user = record.user_id
        before = kept.get(user) or _known(state, user)
        kept[user] = (
            after_profile(before, record) if isinstance(record, ProfileChanged) else after_erasure(before, record)
        )
        right = newest(kept[user])
        if isinstance(record, UserErased) and kept[user] == before:
            continue  # heard again: the topic was put right when it came first
        if right is not None and record.event_id != right.event_id:
            corrections[user] = right
        else:
            corrections.pop(user, None)
    # features are written before the state that says so: what a crash leaves out is then written again
    gone = [user for user, each in kept.items() if each.profile is None]
    if gone:
        await feature_writer.delete(USER_PROFILE.name, gone)
    told = [each.profile for each in kept.values() if each.profile is not None]
    if told:
        await feature_writer.push(USER_PROFILE.name, [profile_row(profile) for profile in told])
    emits = [Emit(PROFILE_CHANGED, user, profile) for user, profile in corrections.items()]
    return emits + [Emit(PROFILE_KEPT, user, each, stage=1) for user, each in kept.items()]


def after_profile(before: ProfileKept, profile: ProfileChanged) -> ProfileKept:
    """What is kept once a profile was heard: it, unless it is not newer than what is kept or than an erasure."""
    known = before.profile
    if before.erased_at is not None and profile.occurred_at <= before.erased_at:
        return before
    if known is not None and profile.occurred_at <= known.occurred_at:
        return before
    return replace(before, profile=profile)


def after_erasure(before: ProfileKept, erasure: UserErased) -> ProfileKept:
    """What is kept once an erasure was heard: what was told after it."""
    if before.erased_at is not None and erasure.occurred_at <= before.erased_at:
        return before
    known = before.profile
    kept = known if known is not None and known.occurred_at > erasure.occurred_at else None
    return replace(before, profile=kept, erased_at=erasure.occurred_at)


def newest(kept: ProfileKept) -> ProfileChanged | None:
    """What the topic should end with for this user; None if nothing was ever heard."""
    if kept.profile is not None or kept.erased_at is None:
        return kept.profile
    event_id = stable_id("profile-erased", kept.user_id, kept.erased_at.isoformat())
    return ProfileChanged(event_id=event_id, occurred_at=kept.erased_at, user_id=kept.user_id)


def profile_row(profile: ProfileChanged) -> FeatureRow:
    """Row of `user_profile_v1`."""
    return FeatureRow(
        profile.user_id,
        profile.occurred_at,
        {
            "birth_year": profile.birth_year,
            "gender": profile.gender,
            "occupation": profile.occupation,
            "language": profile.language or "",
        },
    )


def kept_row(kept: ProfileKept) -> FeatureRow | None:
    """Row of what is kept; None of an erased user."""
    return None if kept.profile is None else profile_row(kept.profile)


def _known(state: State, user: str) -> ProfileKept:
    found = state.get(user)
    return found if isinstance(found, ProfileKept) else ProfileKept(user_id=user)
