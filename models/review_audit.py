"""The audit log of reviews: each entry is chained to the one before by its hash, so that a later change shows.

The chain is the usual one of time-stamped logs (S. Haber and W. S. Stornetta: How to time-stamp a digital document,
Journal of Cryptology 3, 1991). An entry names no user: cases by their ids, moderators by theirs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from schemas.ids import stable_id
from schemas.review import ReviewAudited

SYSTEM = "system:"
"""How the names of those begin who are no persons."""
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
    chain: list[ReviewAudited] = []
    beside: list[ReviewAudited] = []
    repeats = 0
    for entry in log:
        found = _place(chain, entry)
        if found == "repeat" or (found == "fork" and entry in beside):
            repeats += 1
        elif found == "next":
            chain.append(entry)
        elif found == "fork":
            beside += chain[entry.seq - 1 :]
            del chain[entry.seq - 1 :]
            chain.append(entry)
        else:
            return Verdict(len(chain), repeats, len(beside), _head(chain), found)
    told = {_event(entry) for entry in chain}
    lost = next((entry for entry in beside if not _is_system(entry) and _event(entry) not in told), None)
    broken = "" if lost is None else f"entry {lost.seq} ({lost.event_id}) was replaced by another"
    return Verdict(len(chain), repeats, len(beside), _head(chain), broken)


def _place(chain: list[ReviewAudited], entry: ReviewAudited) -> str:
    """``next``, ``repeat``, ``fork``, or what is wrong."""
    name = f"entry {entry.seq} ({entry.event_id})"
    if digest(entry) != entry.hash:
        return f"{name} was changed: its hash does not fit what it says"
    if not 1 <= entry.seq <= len(chain) + 1:
        return f"{name} does not follow entry {len(chain)}: something is missing between them"
    if entry.seq <= len(chain) and chain[entry.seq - 1] == entry:
        return "repeat"
    if entry.previous_hash != (chain[entry.seq - 2].hash if entry.seq > 1 else GENESIS):
        return f"{name} is not chained to the entry before it"
    return "next" if entry.seq == len(chain) + 1 else "fork"


def _head(chain: list[ReviewAudited]) -> Head:
    return Head(chain[-1].seq, chain[-1].hash) if chain else Head()


def _is_system(entry: ReviewAudited) -> bool:
    return entry.moderator.startswith(SYSTEM)


def _event(entry: ReviewAudited) -> tuple[str, str, datetime]:
    """Not what came of it: told again, a vote may meet a case that was withdrawn meanwhile."""
    return entry.review_id, entry.moderator, entry.occurred_at
