"""The audit log of reviews: each entry is chained to the one before by its hash, so that a later change shows.

The chain is the usual one of time-stamped logs (S. Haber and W. S. Stornetta: How to time-stamp a digital document,
Journal of Cryptology 3, 1991). An entry names no user: cases by their ids, moderators by theirs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from schemas.ids import stable_id
from schemas.review import ReviewAudited

SYSTEM = "system:"
"""How the names of those begin who are no persons."""
SAID = ("approve", "reject", "escalate")
"""Entries of a vote that counts; those of what came of one name it first in their detail."""
Event = tuple[str, str, datetime, str]
GENESIS = "0" * 64
"""What the first entry names as the hash of the one before."""


@dataclass(frozen=True)
class Head:
    """The newest entry of the log.

    Attributes:
        seq: Its number; 0: the log is empty.
        hash: Its hash, lower-case hexadecimal.
    """

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Entry:
    """What is to be told.

    Attributes:
        occurred_at: When it happened, UTC.
        review_id: The case.
        moderator: Who, as in ``ReviewActed``.
        what: requested, approve, reject, escalate, withdraw, erase, decided or refused.
        detail: In words that name no user.
    """

    occurred_at: datetime
    review_id: str
    moderator: str
    what: str
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the check of a log found.

    Attributes:
        entries: Entries of the chain.
        repeats: Entries written twice word for word, as a redelivery after a crash does.
        retold: Entries that the chain goes on beside: written shortly before a crash, and told again after it.
        head: The last good entry.
        broken: What is wrong with the first bad one; empty: nothing is.
    """

    entries: int
    repeats: int
    retold: int
    head: Head
    broken: str = ""


def digest(entry: ReviewAudited) -> str:
    """SHA-256 over the canonical JSON of every field but ``hash``: keys sorted, no spaces, times in milliseconds."""
    fields = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry) if field.name != "hash"}
    fields["occurred_at"] = round(entry.occurred_at.timestamp() * 1000)
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def chained(head: Head, entry: Entry) -> ReviewAudited:
    """``entry`` as the next of the log; the same head and entry give the same bytes."""
    told = (entry.review_id, entry.moderator, entry.what, entry.detail, entry.occurred_at.isoformat())
    unsigned = ReviewAudited(
        seq=head.seq + 1,
        event_id=stable_id("review-audit", head.hash, *told),
        occurred_at=entry.occurred_at,
        review_id=entry.review_id,
        moderator=entry.moderator,
        what=entry.what,
        detail=entry.detail,
        previous_hash=head.hash,
        hash="",
    )
    return dataclasses.replace(unsigned, hash=digest(unsigned))


def verify(log: Iterable[ReviewAudited]) -> Verdict:
    """Check a whole log in the order in which it was written.

    An entry that a crash kept from being remembered stays in the log; the writer then goes on from the entry before it
    and tells the same again. So a second entry in one place is let through if the chain tells of what that person did
    later, and is a break otherwise. What the system itself did may come out otherwise the second time: the topics that
    it reads are mixed anew.
    """
    known: dict[str, ReviewAudited] = {}
    after: dict[str, str] = {}
    repeats, tip = 0, GENESIS
    for entry in log:
        wrong = _wrong(known, entry)
        if wrong:
            chain = _chain(known, tip)
            return Verdict(len(chain), repeats, len(known) - len(chain), _head(chain), wrong)
        repeats += entry.hash in known
        known[entry.hash] = entry
        after[entry.previous_hash] = tip = entry.hash
    # the last one written may be a repeat of what goes on further
    while tip in after:
        tip = after[tip]
    chain = _chain(known, tip)
    told = {_event(entry) for entry in chain}
    reasons = {_event(entry): entry.detail for entry in chain if entry.what in SAID}
    beside = known.keys() - {entry.hash for entry in chain}
    by_people = (known[each] for each in known if each in beside and not _is_system(known[each]))
    lost = next((each for each in by_people if not _is_told(each, told, reasons)), None)
    broken = "" if lost is None else f"entry {lost.seq} ({lost.event_id}) was replaced by another"
    return Verdict(len(chain), repeats, len(beside), _head(chain), broken)


def _wrong(known: Mapping[str, ReviewAudited], entry: ReviewAudited) -> str:
    """Why the entry cannot stand after those; empty: it can."""
    name = f"entry {entry.seq} ({entry.event_id})"
    if digest(entry) != entry.hash:
        return f"{name} was changed: its hash does not fit what it says"
    before = known.get(entry.previous_hash)
    if (before is None) != (entry.previous_hash == GENESIS) or entry.seq != (before.seq if before else 0) + 1:
        return f"{name} is not chained to the entry before it: one is missing, or was put in"
    return ""


def _chain(known: Mapping[str, ReviewAudited], tip: str) -> list[ReviewAudited]:
    """The entries up to ``tip``, the first first."""
    found = []
    while tip != GENESIS:
        found.append(known[tip])
        tip = known[tip].previous_hash
    return found[::-1]


def _head(chain: list[ReviewAudited]) -> Head:
    return Head(chain[-1].seq, chain[-1].hash) if chain else Head()


def _is_system(entry: ReviewAudited) -> bool:
    return entry.moderator.startswith(SYSTEM)


def _event(entry: ReviewAudited) -> Event:
    """What somebody did, not what came of it: told again, a vote may meet a case that was withdrawn meanwhile."""
    action = entry.what if entry.what in SAID else re.split("[:,]", entry.detail)[0]
    return entry.review_id, entry.moderator, entry.occurred_at, action


def _is_told(entry: ReviewAudited, told: Set[Event], reasons: Mapping[Event, str]) -> bool:
    event = _event(entry)
    return event in told and (entry.what not in SAID or reasons.get(event, entry.detail) == entry.detail)
