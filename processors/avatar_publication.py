"""Joins what is known of a user's newest avatar and says where it stands; the only writer of its state.

consumes  user.avatar.changed.v1, user.avatar.moderated.v1, review.item.decided.v1, user.account.erased.v1,
          dead-lettered
produces  user.avatar.settled.v1 (its state), review.action.taken.v1 (what nobody needs to decide any more)
stores    Feast `user_avatar_v1`; objects: removes what was made of an erased user's avatar after its erasure

The merge is idempotent and gives the same state whatever the order in which facts arrive: the avatar chosen last
counts, what people decided of it goes before what the machine did, and either before a failure.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from features.ownership import sweep_avatars
from features.ports import FeatureReader, FeatureRow, FeatureWriter, ObjectStore
from features.views import USER_AVATAR
from processors.runtime.processor import Emit, Milestone, State, capability
from schemas.common import Decision, Reason
from schemas.errors import REJECTION_CODES
from schemas.ids import stable_id
from schemas.pipeline import DeadLettered
from schemas.review import ReviewActed, ReviewDecided
from schemas.topics import (
    AVATAR_CHANGED,
    AVATAR_MODERATED,
    AVATAR_SETTLED,
    DEAD_LETTERED,
    REVIEW_ACTED,
    REVIEW_DECIDED,
    USER_ERASED,
)
from schemas.user import AvatarChanged, AvatarModerated, AvatarSettled, AvatarState, UserErased

Fact = AvatarChanged | AvatarModerated | ReviewDecided | UserErased | DeadLettered
FAILURE_TEXT = "The picture could not be judged because of a fault on our side; we are looking into it."
MODERATOR = "system:avatar_publication"
NEEDED = frozenset({"avatar_moderation", "avatar_publication"})
"""Capabilities whose failure leaves an avatar without a verdict."""
STATES: dict[Decision, AvatarState] = {
    "none": "received",
    "approve": "approved",
    "reject": "rejected",
    "review": "review",
}
SHARPNESS = "face.sharpness"
TICK = timedelta(milliseconds=1)


@capability(
    consumes=(AVATAR_CHANGED, AVATAR_MODERATED, REVIEW_DECIDED, USER_ERASED, DEAD_LETTERED),
    produces=(AVATAR_SETTLED, REVIEW_ACTED),
    state=AVATAR_SETTLED,
)
async def avatar_publication(
    event: Fact, *, state: State, feature_reader: FeatureReader, feature_writer: FeatureWriter, objects: ObjectStore
) -> list[Emit]:
    """Joins what is known of a user's newest avatar and says where it stands."""
    user = user_of(event)
    if user is None:
        return []
    before = state.get(user)
    old = before if isinstance(before, AvatarSettled) else blank(user, event)
    new = merge(old, event)
    if isinstance(event, UserErased) or (isinstance(event, AvatarModerated) and _erased(new, event.occurred_at)):
        # moderation may have stored a crop after the erasure had removed all there was
        await sweep_avatars(objects, user, keep=new.source_event_id)
    emits = [Emit(REVIEW_ACTED, each.review_id, each) for each in settled_reviews(old, new, event)]
    if new is not old:
        # before the state that says so: what a crash leaves out is then written again
        await _write_features(new, feature_reader, feature_writer)
        # after the reviews: once the state is known, nothing tells any more which of them ended with it
        emits.append(Emit(AVATAR_SETTLED, user, new, stage=1, milestone=_milestone(old, new)))
    return emits


def user_of(fact: Fact) -> str | None:
    """Whose avatar a fact concerns; None: nobody's."""
    match fact:
        case ReviewDecided():
            return fact.subject_id if fact.subject == "avatar" else None
        case DeadLettered():
            concerns = fact.origin_topic in (AVATAR_CHANGED.name, AVATAR_MODERATED.name) and fact.capability in NEEDED
            # a key that was no UTF-8 names no user of ours
            return fact.key if concerns and fact.key and "\ufffd" not in fact.key else None
        case _:
            return fact.user_id


def blank(user: str, fact: Fact) -> AvatarSettled:
    """What is known of a user's avatar before the first fact."""
    return AvatarSettled(user_id=user, seq=0, changed_at=fact.occurred_at, state="unknown")


def merge(old: AvatarSettled, fact: Fact) -> AvatarSettled:
    """``old`` with ``fact`` in it; ``old`` itself if that changes nothing.

    Avatars are ordered by when they were chosen, then by event id; facts of another than the newest, and of any from
    before the erasure, change nothing. ``seq`` grows by one with each change, ``changed_at`` at least by a millisecond.
    """
    merged = _merged(old, fact)
    if merged == old:
        return old
    if merged.decided_by == "nobody":
        merged = replace(merged, state=_undecided(merged), reasons=())
        if merged.state == "failed":
            merged = replace(merged, reasons=(Reason(code=merged.failure, text=FAILURE_TEXT),))
    times = (merged.chosen_at, merged.judged_at, merged.decided_at, merged.failed_at, merged.erased_at)
    changed_at = max(time for time in times if time is not None)
    return replace(
        merged,
        seq=old.seq + 1,
        changed_at=max(changed_at, old.changed_at + TICK) if old.seq else changed_at,
    )


def settled_reviews(old: AvatarSettled, new: AvatarSettled, fact: Fact) -> list[ReviewActed]:
    """What the review is to be told of cases that are moot: of an avatar that was replaced, erased or judged anew."""
    asked = {old.review_id} if old.state == "review" else set()
    if isinstance(fact, AvatarModerated) and fact.decision == "review":
        asked.add(review_id(fact.source_event_id))
    if new.state == "review" or new.decided_by == "person":
        asked.discard(new.review_id)
    return [_moot(each, new) for each in sorted(asked)]


def review_id(source_event_id: str) -> str:
    """Id of the review that avatar_moderation asks for."""
    return stable_id("review", source_event_id, "avatar_moderation")


def avatar_row(settled: AvatarSettled) -> FeatureRow | None:
    """Row of `user_avatar_v1`; None where no avatar is known."""
    if not settled.source_event_id:
        return None
    judged = settled.judged_at is not None
    return FeatureRow(
        settled.user_id,
        settled.changed_at,
        {
            "event_id": settled.source_event_id,
            "decision": settled.state,
            "decided_by": settled.decided_by,
            "reasons": [reason.code for reason in settled.reasons],
            "faces": settled.faces if judged else None,
            "sharpness": settled.scores.get(SHARPNESS),
            "age_years": settled.age_years,
            "female": settled.female,
            "model_version": settled.model_version if judged else None,
        },
    )


def sentence(code: str) -> str:
    """What a user is told of a reason code."""
    return REJECTION_CODES.get(code, FAILURE_TEXT)


async def _write_features(new: AvatarSettled, reader: FeatureReader, writer: FeatureWriter) -> None:
    row = avatar_row(new)
    [stored] = await reader.read(USER_AVATAR.name, [new.user_id])
    # a crash may have lost the state that a stored row was made of, and its facts may since have come in another order
    if row is None or (stored is not None and stored.at >= row.at):
        await writer.delete(USER_AVATAR.name, [new.user_id])
    if row is not None:
        await writer.push(USER_AVATAR.name, [row])


def _merged(old: AvatarSettled, fact: Fact) -> AvatarSettled:
    match fact:
        case UserErased():
            return _with_erasure(old, fact)
        case DeadLettered():
            return _with_failure(old, fact)
        case AvatarChanged():
            base = _about(old, fact.occurred_at, fact.event_id)
            return old if base is None else replace(base, object=fact.object)
        case AvatarModerated():
            base = _about(old, fact.occurred_at, fact.source_event_id)
            return old if base is None else _with_verdict(base, fact)
        case ReviewDecided():
            base = _about(old, fact.occurred_at, fact.source_event_id)
            return old if base is None else _with_decision(base, fact)


def _about(old: AvatarSettled, chosen_at: datetime, event_id: str) -> AvatarSettled | None:
    """What is known of an avatar; None if it is not the newest or was erased."""
    if _erased(old, chosen_at):
        return None
    if old.chosen_at is not None and (chosen_at, event_id) <= (old.chosen_at, old.source_event_id):
        return old if event_id == old.source_event_id else None
    return replace(_without_avatar(old), source_event_id=event_id, chosen_at=chosen_at)


def _without_avatar(old: AvatarSettled) -> AvatarSettled:
    """What concerns the user and not one avatar: place in the log, failure, erasure."""
    return AvatarSettled(
        user_id=old.user_id,
        seq=old.seq,
        changed_at=old.changed_at,
        state=old.state,
        failed_at=old.failed_at,
        failure=old.failure,
        erased_at=old.erased_at,
    )


def _with_verdict(base: AvatarSettled, fact: AvatarModerated) -> AvatarSettled:
    if base.judged_at is not None and fact.produced_at <= base.judged_at:
        return base
    judged = replace(
        base,
        judged_at=fact.produced_at,
        object=fact.object,
        scores=fact.scores,
        faces=fact.faces,
        age_years=fact.age_years,
        female=fact.female,
        model_version=fact.model_version,
    )
    if base.decided_by == "person":
        return judged
    return replace(
        judged,
        state=STATES[fact.decision],
        decided_by="machine",
        reasons=fact.reasons,
        review_id=review_id(fact.source_event_id) if fact.decision == "review" else "",
    )


def _with_decision(base: AvatarSettled, fact: ReviewDecided) -> AvatarSettled:
    if base.decided_at is not None and (fact.decided_at, fact.review_id) <= (base.decided_at, base.review_id):
        return base
    return replace(
        base,
        decided_at=fact.decided_at,
        state=STATES[fact.decision],
        decided_by="person",
        reasons=fact.reasons,
        review_id=fact.review_id,
    )


def _with_erasure(old: AvatarSettled, fact: UserErased) -> AvatarSettled:
    if _erased(old, fact.occurred_at):
        return old
    gone = old.chosen_at is None or old.chosen_at <= fact.occurred_at
    kept = replace(_without_avatar(old) if gone else old, erased_at=fact.occurred_at)
    if kept.failed_at is not None and kept.failed_at <= fact.occurred_at:
        return replace(kept, failed_at=None, failure="")
    return kept


def _with_failure(old: AvatarSettled, fact: DeadLettered) -> AvatarSettled:
    if _erased(old, fact.occurred_at):
        return old
    if old.failed_at is not None and (fact.occurred_at, fact.code) <= (old.failed_at, old.failure):
        return old
    return replace(old, failed_at=fact.occurred_at, failure=fact.code)


def _undecided(settled: AvatarSettled) -> AvatarState:
    """State of an avatar of which neither the machine nor a person has said anything."""
    if settled.chosen_at is None:
        if settled.erased_at is not None:
            return "erased"
        return "failed" if settled.failed_at is not None else "unknown"
    failed = settled.failed_at is not None and settled.failed_at >= settled.chosen_at
    return "failed" if failed else "received"


def _erased(settled: AvatarSettled, at: datetime) -> bool:
    return settled.erased_at is not None and at <= settled.erased_at


def _moot(case: str, new: AvatarSettled) -> ReviewActed:
    return ReviewActed(
        event_id=stable_id("review-moot", case),
        occurred_at=new.changed_at,
        review_id=case,
        moderator=MODERATOR,
        action="withdraw",
    )


def _milestone(old: AvatarSettled, new: AvatarSettled) -> Milestone | None:
    """The machine's first verdict on an avatar: what its user waits for."""
    if new.chosen_at is None or new.judged_at is None or new.decided_by != "machine":
        return None
    again = old.source_event_id == new.source_event_id and old.judged_at is not None
    return None if again else Milestone("avatar", new.chosen_at)
