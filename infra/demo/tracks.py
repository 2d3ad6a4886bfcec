"""What is known of each upload of a run, with the times measured from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from infra.demo.avatars import Avatar
from infra.demo.client import Answer, AvatarStatus, Case, Explanation, Media, Reason, Refusal
from infra.demo.material import Item, Listener

STAGES = ("media_analysis", "content_moderation", "content_embedding", "content_classification", "item_publication")
"""Stages of a timeline in the order of the flow."""


@dataclass
class Track:
    """One upload on its way.

    Attributes:
        item: What was sent.
        accepted_at_s: Monotonic time at which the 202 had arrived; None before.
        media_id: Given by the service.
        refusal: The 4xx, when there was one.
        media: Newest status.
        recallable_s: Seconds from the 202 to the arrival of the first answer of `POST /v1/recall` with the item.
        recalled_wrongly: Whether an answer held the item although it was not to be published.
    """

    item: Item
    accepted_at_s: float | None = None
    media_id: str = ""
    refusal: Refusal | None = None
    media: Media | None = None
    recallable_s: float | None = None
    recalled_wrongly: bool = False

    @property
    def state(self) -> str:
        """`waiting`, `refused`, or the newest state of the service."""
        if self.refusal is not None:
            return "refused"
        if self.media is not None:
            return self.media.state
        return "received" if self.media_id else "waiting"

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come, recall included."""
        if self.refusal is not None:
            return True
        if self.media is None or not self.media.settled:
            return False
        return self.media.state != "published" or self.recallable_s is not None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it ended as it did."""
        return self.media.reasons if self.media else ()

    def stage_s(self, stage: str) -> float | None:
        """Seconds from the acceptance to the end of a stage, both by the clock of the service."""
        if self.media is None:
            return None
        start = self._accepted(self.media)
        ends = [entry.at for entry in self.media.timeline if entry.stage == stage]
        return (ends[0] - start).total_seconds() if ends and start else None

    def ended_s(self) -> float | None:
        """Seconds from the acceptance to the stage that ended it."""
        if self.media is None or not self.media.settled:
            return None
        ends = [s for entry in self.media.timeline if (s := self.stage_s(entry.stage)) is not None]
        published = self.stage_s("item_publication")
        return published if published is not None else max(ends, default=None)

    @staticmethod
    def _accepted(media: Media) -> datetime | None:
        received = [entry.at for entry in media.timeline if entry.state == "received"]
        return media.accepted_at or (received[0] if received else None)


@dataclass
class Heard:
    """One listener and what the system offers them.

    Attributes:
        listener: Who.
        user: Id in this run.
        answer: Newest recommendations.
        reflected_s: Seconds from the accepted plays to the first answer with their taste; None: never.
        explained: Item that the explanation is of: the best unplayed one that the recommender placed.
        explanation: Why it is offered; None without a recommender.
    """

    listener: Listener
    user: str
    answer: Answer = field(default_factory=lambda: Answer(items=()))
    reflected_s: float | None = None
    explained: str = ""
    explanation: Explanation | None = None


@dataclass
class Withdrawal:
    """One item taken back.

    Attributes:
        track: Which.
        gone_s: Seconds from the answer to the DELETE to the first recall answer without it; None: still there.
        state: Newest state.
    """

    track: Track
    gone_s: float | None = None
    state: str = ""


@dataclass
class Portrait:
    """One avatar on its way.

    Attributes:
        avatar: What was sent.
        refusal: The 4xx, when there was one.
        status: Newest state that concerns it.
        decided_s: Seconds from the 202 to the arrival of the first answer that says what became of it.
    """

    avatar: Avatar
    refusal: Refusal | None = None
    status: AvatarStatus | None = None
    decided_s: float | None = None

    @property
    def state(self) -> str:
        """`waiting`, `refused`, or the newest state of the service."""
        if self.refusal is not None:
            return "refused"
        return self.status.state if self.status is not None else "waiting"

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it ended as it did."""
        return self.status.reasons if self.status is not None else ()


@dataclass
class RingCase:
    """What people are asked about the accounts that show one face.

    Attributes:
        users: The accounts.
        case: The case that names them all; None: none does.
        hidden: Whether the key may not see cases.
        seen_s: Seconds from the last avatar's end to the answer that held the case.
    """

    users: frozenset[str]
    case: Case | None = None
    hidden: bool = False
    seen_s: float = 0.0


@dataclass
class Run:
    """Everything of one run of the demo.

    Attributes:
        run_id: Fresh for each run, part of every user and idempotency key.
        tracks: Item key -> its way.
        heard: The listeners.
        withdrawal: The item taken back at the end.
        portraits: The avatars.
        ring: What is known of those that show one face; None: nothing was asked.
        recall_gaps_s: Seconds between two answers of recall: how finely `recallable_s` is measured.
    """

    run_id: str
    tracks: dict[str, Track]
    heard: list[Heard]
    withdrawal: Withdrawal | None = None
    portraits: list[Portrait] = field(default_factory=list)
    ring: RingCase | None = None
    recall_gaps_s: list[float] = field(default_factory=list)

    @property
    def published(self) -> list[Track]:
        """Items that reached the catalogue."""
        return [track for track in self.tracks.values() if track.state in ("published", "deleted")]

    @property
    def played(self) -> frozenset[str]:
        """Keys of items that some listener plays."""
        return frozenset(key for heard in self.heard for key in heard.listener.plays)

    def by_media_id(self) -> dict[str, Track]:
        """Media id -> track of what was accepted."""
        return {track.media_id: track for track in self.tracks.values() if track.media_id}
