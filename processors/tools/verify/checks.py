"""The invariant, one function a check; everything is plain data here.

An upload has ended when its newest status is published, rejected, failed or deleted, or is with the reviewers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from features.views import COLLECTIONS, CONTENT_JOINT
from processors.item_indexing import STORED_NAMES
from processors.item_publication import FAILED, ITEM_TOPICS, OPTIONAL, PUBLICATION
from processors.tools.verify.accepted import Accepted
from processors.tools.verify.rest import Lag
from processors.tools.verify.scan import Scan
from processors.tools.verify.stores import Held
from schemas.item import ItemChanged, ItemIndexed
from schemas.media import MediaStatus
from schemas.pipeline import DeadLettered

ENDS = frozenset({"published", "rejected", "failed", "deleted", "review"})
FINAL = frozenset({"published", "rejected"})
"""Ends after which only deletion may come; a failed item may heal, and a reviewed one is decided on."""

Found = Iterator[tuple[str, str]]
"""Id and what is wrong with it."""


@dataclass(frozen=True)
class Check:
    """One row of the report.

    Attributes:
        name: What should be so.
        checked: Ids, or other things, looked at.
        offences: (id, what is wrong).
        notes: (id, what is allowed, and yet worth naming).
    """

    name: str
    checked: int
    offences: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Everything that the checks look at.

    Attributes:
        log: Accepted uploads by media id.
        scan: The topics.
        statuses: Newest status by media id; an erased one (tombstone) has none.
        changes: Newest catalogue change by item id.
        indexed: Newest index record by item id.
        held: The stores.
        lags: What still moves.
        whole: Whether the log names every upload there is.
    """

    log: Mapping[str, Accepted]
    scan: Scan
    statuses: Mapping[str, MediaStatus]
    changes: Mapping[str, ItemChanged]
    indexed: Mapping[str, ItemIndexed]
    held: Held = field(default_factory=Held)
    lags: tuple[Lag, ...] = ()
    whole: bool = False

    def state(self, media_id: str) -> str:
        """Newest state; empty if the status topic does not know the id."""
        history = self.scan.histories.get(media_id)
        return history.states[-1] if history else ""

    def published(self) -> set[str]:
        """Ids of the log whose newest state is published."""
        return {i for i in self.log if self.state(i) == "published"}

    def elsewhere(self) -> set[str]:
        """Ids of the log that must be found nowhere."""
        return {i for i in self.log if self.state(i) != "published"}


def run(evidence: Evidence) -> list[Check]:
    """Every check, in the order of the report."""
    e, n = evidence, len(evidence.log)
    moving = tuple((lag.group, f"{lag.records} records of {lag.topic} are not done") for lag in e.lags)
    checks = [
        Check("the system is at rest", 1, moving),
        _check("every accepted upload is known", n, _unknown_to_status(e)),
        _check("each has come to an end", n, _without_end(e)),
        _check("each ends once, as it should", n, _unexpected(e)),
        _check("nothing follows an end but deletion", n, _after_the_end(e), _healed(e)),
        _check("no status goes back", n, _going_back(e)),
        _check("the catalogue topic says the same", n, _catalogue(e)),
        _check("the index topic says the same", n, _index(e)),
        _check("vectors: each once, nowhere else", n, _vectors(e)),
        _check("features: event time of the change", n, _features(e)),
        _check("objects are there, with their bytes", len(e.published()), iter(sorted(e.held.objects.items()))),
        _check("recall finds the published alone", n, _recall(e)),
        _check("dead letters are the failed ones", len(_about_uploads(e)), _letters(e)),
    ]
    if e.whole:
        known = set(e.scan.histories) | set(e.held.features) | {i for rows in e.held.vectors.values() for i in rows}
        checks.append(_check("no upload is unknown to the log", len(known), _strangers(e)))
    return checks


def _check(name: str, checked: int, found: Found, notes: Found | None = None) -> Check:
    return Check(name, checked, tuple(found), tuple(notes or ()))


def _unknown_to_status(e: Evidence) -> Found:
    for media_id in e.log:
        if not e.state(media_id):
            yield media_id, "no status: lost"


def _without_end(e: Evidence) -> Found:
    for media_id in e.log:
        state = e.state(media_id)
        if state and state not in ENDS:
            stages = [f"{t.stage} {t.state}" for t in e.statuses[media_id].timeline]
            yield media_id, f"is {state}; {', '.join(stages)}"


def _unexpected(e: Evidence) -> Found:
    for media_id, line in e.log.items():
        state = e.state(media_id)
        if line.expected and state in ENDS and state != line.expected:
            reasons = [r.code for r in e.statuses[media_id].reasons] if media_id in e.statuses else []
            yield media_id, f"is {state}, not {line.expected}{f' ({chr(44).join(reasons)})' if reasons else ''}"


def _after_the_end(e: Evidence) -> Found:
    """From the records that are left, and from the newest one's timeline, which compaction cannot shorten."""
    for media_id in e.log:
        history = e.scan.histories.get(media_id)
        if history is None:
            continue
        for before, after in zip(history.states, history.states[1:], strict=False):
            if before == "deleted" or (before in FINAL and after != "deleted"):
                yield media_id, f"{before}, then {after}"
        status = e.statuses.get(media_id)
        if (
            status
            and len(history.states) == 1
            and status.state not in ("published", "deleted")
            and _was_published(status)
        ):
            yield media_id, f"published (timeline), then {status.state}"


def _healed(e: Evidence) -> Found:
    for media_id in e.log:
        status = e.statuses.get(media_id)
        if status and status.state != "failed" and (stages := _failed_stages(status)):
            yield media_id, f"{', '.join(sorted(stages))} failed first, then came to {status.state}"


def _going_back(e: Evidence) -> Found:
    for media_id in e.log:
        history = e.scan.histories.get(media_id)
        for before, after in history.falls if history else ():
            yield media_id, f"seq {after} was written after {before}"


def _catalogue(e: Evidence) -> Found:
    for media_id in e.log:
        status, change = e.statuses.get(media_id), e.changes.get(media_id)
        if status is None or status.state != "published":
            if change is not None and change.change != "withdrawn":
                yield media_id, f"is {e.state(media_id) or 'unknown'}, but its newest change is {change.change}"
        elif change is None or change.change != "published":
            yield media_id, "is published, but the catalogue topic does not say so"
        elif (change.seq, change.changed_at) != (status.seq, status.changed_at):
            yield media_id, f"status has seq {status.seq}, its newest change seq {change.seq}"


def _index(e: Evidence) -> Found:
    for media_id in e.log:
        change, done = e.changes.get(media_id), e.indexed.get(media_id)
        if change is None:
            if done is not None and done.change == "published":
                yield media_id, "is indexed, but the catalogue never had it"
        elif done is None or (done.change, done.seq) != (change.change, change.seq):
            told = "nothing" if done is None else f"{done.change} at seq {done.seq}"
            yield media_id, f"the newest change is {change.change} at seq {change.seq}, indexed is {told}"


def _vectors(e: Evidence) -> Found:
    for media_id in e.log:
        wanted = _collections(e, media_id)
        for alias in COLLECTIONS:
            seqs = e.held.vectors.get(alias, {}).get(media_id, [])
            if alias not in wanted:
                if seqs:
                    yield media_id, f"is {e.state(media_id) or 'unknown'}, but {alias} has it"
            elif len(seqs) != 1:
                yield media_id, f"{alias} has it {len(seqs)} times" if seqs else f"{alias} lacks it"
            elif seqs[0] != e.changes[media_id].seq:
                yield media_id, f"{alias} has seq {seqs[0]}, the catalogue {e.changes[media_id].seq}"


def _collections(e: Evidence, media_id: str) -> set[str]:
    """Collections that should have an item: by the arrays kept for it if they were read, else by what was indexed."""
    if e.state(media_id) != "published" or media_id not in e.changes:
        return set()
    kept = e.held.modalities.get(media_id)
    if kept is not None:
        return {alias for alias, name in STORED_NAMES.items() if name in kept}
    done = e.indexed.get(media_id)
    return {CONTENT_JOINT.alias} | set(done.collections if done else ())


def _features(e: Evidence) -> Found:
    for media_id in e.log:
        at = e.held.features.get(media_id)
        if e.state(media_id) != "published":
            if at is not None:
                yield media_id, f"is {e.state(media_id) or 'unknown'}, but has features of {_iso(at)}"
        elif at is None:
            yield media_id, "has no features"
        elif media_id in e.changes and at != e.changes[media_id].changed_at:
            yield media_id, f"features are of {_iso(at)}, the change of {_iso(e.changes[media_id].changed_at)}"


def _recall(e: Evidence) -> Found:
    for media_id in e.log:
        if (e.state(media_id) == "published") != (media_id in e.held.recallable):
            there = media_id in e.held.recallable
            state = e.state(media_id) or "unknown"
            yield media_id, f"is {state}, but the service {'answers with it' if there else 'does not know it'}"


def _about_uploads(e: Evidence) -> list[DeadLettered]:
    """Letters that say that an item lacks a result which it needs."""
    return [
        n for n in e.scan.notices if n.key in e.log and n.origin_topic in ITEM_TOPICS and n.capability not in OPTIONAL
    ]


def _letters(e: Evidence) -> Found:
    told: dict[str, set[str]] = {}
    for notice in _about_uploads(e):
        told.setdefault(notice.key, set()).add(notice.capability)
        status = e.statuses.get(notice.key)
        if status is None:
            if e.state(notice.key) != "deleted":
                yield notice.key, f"has a dead letter of {notice.capability}, but no status"
        elif notice.capability not in _failed_stages(status):
            yield notice.key, f"has a dead letter of {notice.capability}, of which its status knows nothing"
        place = f"{notice.origin_topic}/{notice.origin_partition}/{notice.origin_offset}"
        # a purge deletes the oldest letters; the announcement stays
        if notice.capability in e.scan.letters_whole and place not in e.scan.letters.get(notice.capability, set()):
            yield notice.key, f"{notice.dead_letter_topic} lacks the announced letter of {place}"
    for media_id in e.log:
        if e.state(media_id) == "failed" and media_id not in told:
            yield media_id, "is failed, but no dead letter tells of it"


def _strangers(e: Evidence) -> Found:
    places = {
        "the status topic": set(e.scan.histories),
        "the catalogue topic": {i for i, value in e.scan.changes.items() if value},
        "features": set(e.held.features),
        **{alias: set(rows) for alias, rows in e.held.vectors.items()},
    }
    for place, ids in places.items():
        for stranger in sorted(ids - e.log.keys()):
            yield stranger, f"is in {place}, not in the log"


def _failed_stages(status: MediaStatus) -> set[str]:
    return {t.stage for t in status.timeline if t.state == FAILED}


def _was_published(status: MediaStatus) -> bool:
    return any(t.stage == PUBLICATION and t.state == "published" for t in status.timeline)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
