"""The topic catalogue: the only place with a topic name.

Names read ``<domain>.<entity>.<past-tense>.v<N>``: dots between parts, hyphens inside one, never an
underscore (Kafka's metrics cannot tell the two apart).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from schemas.content import ContentClassified, ContentEmbedded, ContentModerated
from schemas.fraud import FaceKept, RingSuspected
from schemas.interaction import ExposuresCounted, ItemInteracted
from schemas.item import ItemChanged, ItemIndexed, ItemMapped
from schemas.media import MediaAnalysed, MediaRejected, MediaStatus, MediaWithdrawn
from schemas.model import ModelPublished
from schemas.pipeline import DeadLettered, LetterHandled
from schemas.play import PlayAggregate, SongCounted, SongPlayed
from schemas.recommendation import ExperimentMeasured, ListServed
from schemas.record import Record
from schemas.review import ReviewActed, ReviewAudited, ReviewCase, ReviewDecided, ReviewRequested
from schemas.upload import UploadCreated
from schemas.user import (
    AvatarChanged,
    AvatarModerated,
    AvatarSettled,
    FaceEmbedded,
    ProfileChanged,
    ProfileKept,
    UserErased,
)

PARTITIONS = 8
"""Partitions of every topic unless it says otherwise; topics joined by key must agree."""

DAY = timedelta(days=1)
FACE_RETENTION = 30 * DAY
"""How long the vector of a user's face is kept anywhere: the longest window of the rule that needs it."""


@dataclass(frozen=True)
class Topic:
    """One Kafka topic.

    Attributes:
        name: Full topic name.
        record: Record of its values.
        key: What the key is; records of one key stay in order.
        doc: One sentence.
        retention: Age after which records go; None: kept by compaction only.
        compacted: Whether only the newest record of a key is kept.
        partitions: Number of partitions.
    """

    name: str
    record: type[Record]
    key: str
    doc: str
    retention: timedelta | None = 28 * DAY
    compacted: bool = False
    partitions: int = PARTITIONS

    @property
    def subject(self) -> str:
        """Registry subject of the values (topic name strategy)."""
        return f"{self.name}-value"


VIDEO_CREATED = Topic("upload.video.created.v1", UploadCreated, "media id", "A video was uploaded.")
AUDIO_CREATED = Topic("upload.audio.created.v1", UploadCreated, "media id", "A recording was uploaded.")
POST_CREATED = Topic(
    "upload.post.created.v1",
    UploadCreated,
    "media id",
    "A picture and/or text was posted: comment, moment, dynamic or fan-group post.",
)
SCORE_CREATED = Topic("upload.score.created.v1", UploadCreated, "media id", "A photo of sheet music was uploaded.")
SCREENSHOT_CREATED = Topic(
    "upload.screenshot.created.v1", UploadCreated, "media id", "A playlist screenshot was uploaded."
)
UPLOADS = (VIDEO_CREATED, AUDIO_CREATED, POST_CREATED, SCORE_CREATED, SCREENSHOT_CREATED)
UPLOAD_BY_KIND = dict(zip(("video", "audio", "post", "score", "screenshot"), UPLOADS, strict=True))

AVATAR_CHANGED = Topic("user.avatar.changed.v1", AvatarChanged, "user id", "A user chose a new avatar.")
AVATAR_MODERATED = Topic("user.avatar.moderated.v1", AvatarModerated, "user id", "An avatar was judged.")
AVATAR_SETTLED = Topic(
    "user.avatar.settled.v1",
    AvatarSettled,
    "user id",
    "The only truth on a user's avatar: state of avatar_publication.",
    retention=None,
    compacted=True,
)
FACE_EMBEDDED = Topic(
    "user.face.embedded.v1",
    FaceEmbedded,
    "account; all in one partition, since a ring joins any",
    "The face of a user's newest avatar as a vector, or that it is to be forgotten.",
    retention=FACE_RETENTION,
    partitions=1,
)
FACE_KEPT = Topic(
    "fraud.face.kept.v1",
    FaceKept,
    "account; all in one partition, since a ring joins any",
    "State of fraud_clustering: faces while the rule needs them.",
    retention=None,
    compacted=True,
    partitions=1,
)
RING_SUSPECTED = Topic(
    "fraud.ring.suspected.v1",
    RingSuspected,
    "ring id",
    "Accounts whose avatars show one face, or that they do no longer.",
    retention=None,
    compacted=True,
    partitions=1,
)
REVIEW_REQUESTED = Topic(
    "review.item.requested.v1", ReviewRequested, "review id", "A person is asked to decide.", partitions=1
)
REVIEW_ACTED = Topic(
    "review.action.taken.v1", ReviewActed, "review id", "A moderator did something with a case.", partitions=1
)
REVIEW_CASE = Topic(
    "review.case.changed.v1",
    ReviewCase,
    "review id",
    "State of review_settlement: every case.",
    retention=None,
    compacted=True,
    partitions=1,
)
REVIEW_DECIDED = Topic(
    "review.item.decided.v1",
    ReviewDecided,
    "id of what was reviewed",
    "People have decided on an avatar, an upload or a ring.",
)
REVIEW_AUDITED = Topic(
    "review.audit.recorded.v1",
    ReviewAudited,
    "review id",
    "What happened in reviews, each entry chained to the one before.",
    retention=3650 * DAY,
    partitions=1,
)
USER_ERASED = Topic(
    "user.account.erased.v1",
    UserErased,
    "user id",
    "A user is to be forgotten; the fence against what comes late.",
    retention=None,
    compacted=True,
)
PROFILE_CHANGED = Topic(
    "user.profile.changed.v1",
    ProfileChanged,
    "user id",
    "What a user has told of himself.",
    retention=None,
    compacted=True,
)
PROFILE_KEPT = Topic(
    "user.profile.kept.v1",
    ProfileKept,
    "user id",
    "State of user_profile: the newest profile, and the fence of erased users.",
    retention=None,
    compacted=True,
)
ITEM_INTERACTED = Topic(
    "user.item.interacted.v1", ItemInteracted, "user id", "A user saw, clicked, liked, shared or followed."
)
EXPOSURES_COUNTED = Topic(
    "item.exposure.counted.v1",
    ExposuresCounted,
    "item id; lies in the partition of the interactions it counts",
    "State of exposure_counting: how often an item was shown.",
    retention=None,
    compacted=True,
)
SONG_PLAYED = Topic("play.song.played.v1", SongPlayed, "user id", "A user played an item.", retention=7 * DAY)
SONG_COUNTED = Topic(
    "play.song.counted.v1",
    SongCounted,
    "song id",
    "Plays of a song seen in one partition of the plays so far (replaceable value).",
    retention=2 * DAY,
)
PLAY_AGGREGATED = Topic(
    "play.aggregate.updated.v1",
    PlayAggregate,
    "aggregate id; lies in the partition of the plays it counts",
    "State of play_aggregation.",
    retention=None,
    compacted=True,
)
MEDIA_WITHDRAWN = Topic(
    "media.item.withdrawn.v1", MediaWithdrawn, "media id", "The owner or an operator takes an item away."
)
MEDIA_ANALYSED = Topic("media.upload.analysed.v1", MediaAnalysed, "media id", "An upload was opened once and measured.")
MEDIA_REJECTED = Topic("media.upload.rejected.v1", MediaRejected, "media id", "An upload cannot be accepted.")
MEDIA_STATUS = Topic(
    "media.status.changed.v1",
    MediaStatus,
    "media id",
    "The only truth on an upload's progress.",
    retention=None,
    compacted=True,
)
CONTENT_MODERATED = Topic("content.item.moderated.v1", ContentModerated, "media id", "Moderation has judged an upload.")
CONTENT_EMBEDDED = Topic("content.item.embedded.v1", ContentEmbedded, "media id", "Content vectors of an upload.")
CONTENT_CLASSIFIED = Topic("content.item.classified.v1", ContentClassified, "media id", "Classes of an upload.")
ITEM_CHANGED = Topic(
    "item.catalogue.changed.v1",
    ItemChanged,
    "item id",
    "An item was published, changed or withdrawn.",
    retention=None,
    compacted=True,
)
ITEM_INDEXED = Topic(
    "item.index.updated.v1",
    ItemIndexed,
    "item id",
    "Feast and Milvus hold an item, or hold it no longer.",
    retention=None,
    compacted=True,
)
ITEM_MAPPED = Topic(
    "item.vector.mapped.v1",
    ItemMapped,
    "item id",
    "An item has a vector in the recommender's space.",
    retention=None,
    compacted=True,
)
MODEL_PUBLISHED = Topic(
    "model.version.published.v1",
    ModelPublished,
    "model name",
    "A version of a model is the one to use from now on.",
    retention=None,
    compacted=True,
    partitions=1,
)
LIST_SERVED = Topic(
    "recommendation.list.served.v1",
    ListServed,
    "user id",
    "A list was answered: the exposure log of experiments.",
    retention=28 * DAY,
)
EXPERIMENT_MEASURED = Topic(
    "recommendation.experiment.measured.v1",
    ExperimentMeasured,
    "experiment, arm, measure and window",
    "A measure of an arm, with its difference to the control arm.",
    retention=None,
    compacted=True,
    partitions=1,
)
DEAD_LETTERED = Topic(
    "pipeline.event.dead-lettered.v1",
    DeadLettered,
    "key of the event given up",
    "An event was given up; its bytes lie in the capability's dead-letter topic.",
)
LETTER_HANDLED = Topic(
    "pipeline.letter.handled.v1",
    LetterHandled,
    "place of the dead letter",
    "A dead letter was replayed or purged: the audit trail, kept for longer than any letter.",
    retention=56 * DAY,
    partitions=1,
)

ALL: tuple[Topic, ...] = (
    *UPLOADS,
    AVATAR_CHANGED,
    AVATAR_MODERATED,
    AVATAR_SETTLED,
    FACE_EMBEDDED,
    FACE_KEPT,
    RING_SUSPECTED,
    REVIEW_REQUESTED,
    REVIEW_ACTED,
    REVIEW_CASE,
    REVIEW_DECIDED,
    REVIEW_AUDITED,
    PROFILE_CHANGED,
    PROFILE_KEPT,
    USER_ERASED,
    ITEM_INTERACTED,
    EXPOSURES_COUNTED,
    SONG_PLAYED,
    SONG_COUNTED,
    PLAY_AGGREGATED,
    MEDIA_WITHDRAWN,
    MEDIA_ANALYSED,
    MEDIA_REJECTED,
    MEDIA_STATUS,
    CONTENT_MODERATED,
    CONTENT_EMBEDDED,
    CONTENT_CLASSIFIED,
    ITEM_CHANGED,
    ITEM_INDEXED,
    ITEM_MAPPED,
    MODEL_PUBLISHED,
    LIST_SERVED,
    EXPERIMENT_MEASURED,
    DEAD_LETTERED,
    LETTER_HANDLED,
)
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in ALL}


def of_version(topic: Topic, version: int) -> Topic:
    """The state topic of a later version of a capability: ``a.b.done.v1`` -> ``a.b-v2.done.v1``; version 1 has its own.

    Not in the catalogue: it comes and goes with its version.
    """
    if version == 1:
        return topic
    domain, entity, *rest = topic.name.split(".")
    return replace(topic, name=".".join((domain, f"{entity}-v{version}", *rest)))


def dead_letter_name(capability: str) -> str:
    """Dead-letter topic of a capability: keys and values unchanged, the story in headers."""
    return f"{capability.replace('_', '-')}.dead-letter.v1"


def retry_name(capability: str, delay: timedelta) -> str:
    """Retry topic of a capability for one delay; its records wait that long."""
    return f"{capability.replace('_', '-')}.retry-{int(delay.total_seconds() * 1000)}ms.v1"
