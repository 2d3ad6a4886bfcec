"""What has to be true at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from infra.demo.tracks import Heard, Portrait, Run, Track

UNPLAYED_SHARE = 1 / 3
REFUSED_STATUS = 415


def failures(run: Run) -> list[str]:
    """Each expectation that does not hold, as a sentence; empty when all hold."""
    return [
        *(line for track in run.tracks.values() for line in _item(track)),
        *_shares(run),
        *(line for heard in run.heard for line in _listener(heard, run)),
        *_difference(run),
        *_learned(run),
        *_withdrawal(run),
        *avatar_failures(run),
    ]


def avatar_failures(run: Run) -> list[str]:
    """Those that concern avatars."""
    return [*(line for portrait in run.portraits for line in _avatar(portrait)), *_ring(run)]


def _item(track: Track) -> Iterator[str]:
    item = track.item
    if item.end == "refused":
        if track.refusal is None:
            yield f"{item.title}: was accepted, {REFUSED_STATUS} was expected"
        elif track.refusal.status != REFUSED_STATUS:
            yield f"{item.title}: refused with {track.refusal.status}, {REFUSED_STATUS} was expected"
        return
    if track.refusal is not None:
        yield f"{item.title}: refused with {track.refusal.status} {track.refusal.code}: {track.refusal.detail}"
    elif track.media is None or not track.media.settled:
        yield f"{item.title}: no end in time, it is {track.state}"
    elif track.state != item.end and not (item.end == "published" and track.state == "deleted"):
        codes = ", ".join(reason.code for reason in track.reasons) or "no reason"
        yield f"{item.title}: {track.state} ({codes}), {item.end} was expected"
    elif item.end == "rejected":
        yield from _reason(track)
    elif track.recallable_s is None:
        yield f"{item.title}: published, but never recallable"
    if track.recalled_wrongly:
        yield f"{item.title}: was in an answer of recall although it was not published"


def _reason(track: Track) -> Iterator[str]:
    codes = {reason.code for reason in track.reasons}
    if not codes or not all(reason.text for reason in track.reasons):
        yield f"{track.item.title}: rejected without a reason"
    elif not codes & track.item.codes:
        expected = " or ".join(sorted(track.item.codes))
        yield f"{track.item.title}: rejected for {', '.join(sorted(codes))}, {expected} was expected"


def _shares(run: Run) -> Iterator[str]:
    published = [track.item.key for track in run.published]
    unplayed = [key for key in published if key not in run.played]
    if not published or len(unplayed) < UNPLAYED_SHARE * len(published):
        yield f"{len(unplayed)} of {len(published)} published items are unplayed, a third was expected"


def _listener(heard: Heard, run: Run) -> Iterator[str]:
    name = heard.listener.name
    if heard.reflected_s is None:
        degraded = f" (degraded: {', '.join(heard.answer.degraded)})" if heard.answer.degraded else ""
        yield f"{name}: no recommendation follows the plays in time{degraded}"
        return
    tracks = run.by_media_id()
    offered = [(tracks[found.item_id].item.key, found) for found in heard.answer.items if found.item_id in tracks]
    unplayed = [key for key, found in offered if found.cold and key not in run.played]
    if not unplayed:
        yield f"{name}: no unplayed item marked as cold among {len(heard.answer.items)} recommendations"
    elif unplayed[0] not in heard.listener.suits:
        suits = ", ".join(sorted(heard.listener.suits))
        expected = f"one of {suits} was expected"
        yield f"{name} likes {heard.listener.likes}: the best unplayed item is {unplayed[0]}, {expected}"
    banned = [track.item.title for track in _banned(run) if track.media_id in {f.item_id for f in heard.answer.items}]
    yield from (f"{name}: {title} is recommended although it was not published" for title in banned)


def _banned(run: Run) -> Iterable[Track]:
    return (track for track in run.tracks.values() if track.media_id and track.item.end != "published")


def _difference(run: Run) -> Iterator[str]:
    firsts = [tuple(found.item_id for found in heard.answer.items) for heard in run.heard if heard.answer.items]
    if len(firsts) > 1 and len(set(firsts)) == 1:
        yield "every listener gets the same list"


def _learned(run: Run) -> Iterator[str]:
    """A recommender in use places an unplayed item, and says why."""
    used = {heard.answer.model_version for heard in run.heard} - {""}
    explained = [(heard.explained, heard.explanation) for heard in run.heard if heard.explanation is not None]
    if used and not explained:
        yield f"{', '.join(sorted(used))} is in use, yet it placed no unplayed item by its content"
    tracks = run.by_media_id()
    for media_id, why in explained:
        if not why.parts or not why.neighbours:
            yield f"{tracks[media_id].item.title}: the reason of its place names no part of its content or no neighbour"


def _withdrawal(run: Run) -> Iterator[str]:
    withdrawal = run.withdrawal
    if withdrawal is None:
        yield "nothing was withdrawn"
        return
    if withdrawal.gone_s is None:
        yield f"{withdrawal.track.item.title}: withdrawn, but still in answers"
    if withdrawal.state != "deleted":
        yield f"{withdrawal.track.item.title}: withdrawn, but {withdrawal.state or 'without a state'}"


def _avatar(portrait: Portrait) -> Iterator[str]:
    avatar = portrait.avatar
    codes = {reason.code for reason in portrait.reasons}
    told = ", ".join(sorted(codes)) or "no reason"
    if portrait.state != avatar.outcome:
        yield f"{avatar.title}: {portrait.state} ({told}), {avatar.outcome} was expected"
    elif avatar.codes and not codes & avatar.codes:
        yield f"{avatar.title}: {avatar.outcome} for {told}, {' or '.join(sorted(avatar.codes))} was expected"
    elif not all(reason.text for reason in portrait.reasons):
        yield f"{avatar.title}: a reason without a sentence"


def _ring(run: Run) -> Iterator[str]:
    if run.ring is not None and run.ring.case is None and not run.ring.hidden:
        yield f"{', '.join(sorted(run.ring.users))} show one face, but no ring is a case of review"
