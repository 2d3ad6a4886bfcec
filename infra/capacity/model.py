"""How much of everything a number of users needs. Formulas only; the assumptions are fields that anybody can change.

Rates are per second at the mean unless they say peak, sizes in bytes (decimal units), money in US dollars a month of
730 hours. Nothing here is measured except where a field says so; the formulas are those of queueing at a target
utilisation ``u``: a fleet that is busy ``u`` of the time keeps its waiting time bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

DAY_S = 86_400
HOURS_A_MONTH = 730
GB = 1e9
TB = 1e12


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What users do.

    Attributes:
        daily_users: Users active on a day.
        plays_a_user: Plays of one of them on a day.
        reads_a_user: Recommendation requests of one of them on a day.
        uploaders: Share of them that uploads something on a day, 0..1.
        upload_bytes: Mean size of an upload.
        avatars: Share of them that chooses an avatar on a day, 0..1.
        peak: Highest rate of a day over its mean.
        known_users: Users with features.
        items: Items that can be recommended.
    """

    daily_users: float
    plays_a_user: float = 25
    reads_a_user: float = 20
    uploaders: float = 0.02
    upload_bytes: float = 20e6
    avatars: float = 0.01
    peak: float = 3
    known_users: float = 0
    items: float = 0

    @property
    def plays_s(self) -> float:
        return self.daily_users * self.plays_a_user / DAY_S

    @property
    def uploads_s(self) -> float:
        return self.daily_users * self.uploaders / DAY_S

    @property
    def avatars_s(self) -> float:
        return self.daily_users * self.avatars / DAY_S

    @property
    def reads_s(self) -> float:
        return self.daily_users * self.reads_a_user / DAY_S


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one unit does; put your own measurements here (``make bench`` prints them).

    Attributes:
        plays_a_worker_s: Plays that one play_aggregation worker (one core) counts in a second.
        upload_cpu_s: CPU seconds of all stages for one mean upload.
        upload_gpu_s: GPU seconds for one mean upload; 0 when the networks run on the CPU.
        avatar_cpu_s: CPU seconds of one avatar's verdict (docs/bench/avatars.md).
        reads_a_core_s: Answers of recall and rank a core gives in a second.
        utilisation: Share of its time a unit may be busy at the peak, 0..1.
        play_bytes: One play on the wire.
        play_days: Days the plays' topic keeps.
        events_an_upload_bytes: All events of one upload together.
        replication: Copies of each record in Kafka.
        derived: Bytes of derived objects for each byte uploaded.
        user_feature_bytes: Redis bytes of one user.
        item_feature_bytes: Redis bytes of one item.
        store_copies: Copies of Redis and Milvus.
        vector_bytes: Milvus bytes of one item over all collections, index included.
        upload_reviews: Share of uploads that a person looks at, 0..1.
        avatar_reviews: Share of avatars that a person looks at, 0..1.
        decision_s: Seconds of a moderator for one decision.
        moderator_hours: Hours a day in which one moderator decides.
        face_days: Days for which the face of an avatar is kept.
        face_bytes: Memory of one face that fraud_clustering holds, its neighbours included (docs/bench/fraud_rings.md).
        exposure_bytes: Memory of one item's exposure counts in each process of the HTTP service.
    """

    plays_a_worker_s: float
    upload_cpu_s: float
    upload_gpu_s: float = 0
    avatar_cpu_s: float = 0.1
    reads_a_core_s: float = 500
    utilisation: float = 0.6
    play_bytes: float = 300
    play_days: float = 7
    events_an_upload_bytes: float = 30e3
    replication: int = 3
    derived: float = 0.02
    user_feature_bytes: float = 11e3
    item_feature_bytes: float = 2e3
    store_copies: int = 2
    vector_bytes: float = 12e3
    upload_reviews: float = 0.02
    avatar_reviews: float = 0.05
    decision_s: float = 15
    moderator_hours: float = 6
    face_days: float = 30
    face_bytes: float = 8.5e3
    exposure_bytes: float = 1.2e3


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars."""

    core_hour: float = 0.04
    gpu_hour: float = 0.70
    memory_gb_hour: float = 0.005
    disk_gb_month: float = 0.08
    object_gb_month: float = 0.02


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it takes. Fields end in their unit; money is for one month, objects as stored after a year."""

    plays_peak_s: float
    uploads_peak_s: float
    avatars_peak_s: float
    reads_peak_s: float
    play_workers: int
    play_partitions: int
    upload_cores: int
    upload_gpus: int
    upload_partitions: int
    avatar_cores: int
    read_cores: int
    kafka_disk_bytes: float
    kafka_in_peak_bytes_s: float
    object_bytes_a_year: float
    redis_bytes: float
    milvus_bytes: float
    face_vector_bytes: float
    face_bytes: float
    exposure_bytes: float
    reviews_a_day: float
    moderators: int
    compute_dollars: float
    storage_dollars: float

    @property
    def dollars(self) -> float:
        return self.compute_dollars + self.storage_dollars


def plan(demand: Demand, rates: Rates, prices: Prices | None = None) -> Plan:
    """Fleet, partitions, storage and monthly cost for a demand.

    Raises:
        ValueError: a rate is not positive or a share lies outside 0..1; the field is named.
    """
    _check(demand, rates)
    prices = prices or Prices()
    plays, uploads, reads = (r * demand.peak for r in (demand.plays_s, demand.uploads_s, demand.reads_s))
    avatars = demand.avatars_s * demand.peak
    play_workers = units(plays, rates.plays_a_worker_s, rates.utilisation)
    upload_cores = units(uploads * rates.upload_cpu_s, 1.0, rates.utilisation)
    upload_gpus = units(uploads * rates.upload_gpu_s, 1.0, rates.utilisation)
    avatar_cores = units(avatars * rates.avatar_cpu_s, 1.0, rates.utilisation)
    read_cores = units(reads, rates.reads_a_core_s, rates.utilisation)
    kafka = rates.replication * (
        demand.plays_s * rates.play_bytes * rates.play_days * DAY_S
        + demand.uploads_s * rates.events_an_upload_bytes * 28 * DAY_S
    )
    objects = demand.uploads_s * demand.upload_bytes * (1 + rates.derived) * 365 * DAY_S
    redis = rates.store_copies * (
        demand.known_users * rates.user_feature_bytes + demand.items * rates.item_feature_bytes
    )
    milvus = rates.store_copies * demand.items * rates.vector_bytes
    faces = demand.avatars_s * DAY_S * rates.face_days
    reviews = DAY_S * (demand.uploads_s * rates.upload_reviews + demand.avatars_s * rates.avatar_reviews)
    hourly = (
        (play_workers + upload_cores + avatar_cores + read_cores) * prices.core_hour
        + upload_gpus * prices.gpu_hour
        + (redis + milvus + faces * rates.face_bytes) / GB * prices.memory_gb_hour
    )
    return Plan(
        plays_peak_s=plays,
        uploads_peak_s=uploads,
        avatars_peak_s=avatars,
        reads_peak_s=reads,
        play_workers=play_workers,
        play_partitions=partitions(play_workers),
        upload_cores=upload_cores,
        upload_gpus=upload_gpus,
        upload_partitions=partitions(max(upload_gpus, math.ceil(upload_cores / CORES_A_WORKER))),
        avatar_cores=avatar_cores,
        read_cores=read_cores,
        kafka_disk_bytes=kafka,
        kafka_in_peak_bytes_s=plays * rates.play_bytes + uploads * rates.events_an_upload_bytes,
        object_bytes_a_year=objects,
        redis_bytes=redis,
        milvus_bytes=milvus,
        face_vector_bytes=faces * FACE_NUMBERS * FLOAT_BYTES,
        face_bytes=faces * rates.face_bytes,
        exposure_bytes=demand.items * rates.exposure_bytes,
        reviews_a_day=reviews,
        # what waits overnight is looked at in the morning: the mean of the day counts, not its peak
        moderators=units(reviews * rates.decision_s, rates.moderator_hours * 3600, 1.0),
        compute_dollars=hourly * HOURS_A_MONTH,
        storage_dollars=kafka / GB * prices.disk_gb_month + objects / GB * prices.object_gb_month,
    )


FACE_NUMBERS, FLOAT_BYTES = 128, 4
CORES_A_WORKER = 4
"""Cores of one worker of the upload stages."""
PARTITION_STEP = 8
"""Partitions come in multiples of this; it is what the catalogue starts with."""


def units(load: float, capacity: float, utilisation: float) -> int:
    """Units that carry ``load`` at no more than ``utilisation``; none for no load."""
    # a whole number must not become one more because 0.6 has no exact float
    return math.ceil(round(load / (capacity * utilisation), 9))


def partitions(workers: int) -> int:
    """Twice the workers, so that a worker more has something to take over, in whole steps."""
    return max(PARTITION_STEP, math.ceil(2 * workers / PARTITION_STEP) * PARTITION_STEP)


def _check(*inputs: Demand | Rates) -> None:
    for each in inputs:
        for field in fields(each):
            value = getattr(each, field.name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{field.name} is {value}; it must be a number that is not negative")
            if field.name in SHARES and not value <= 1:
                raise ValueError(f"{field.name} is {value}; it must lie within 0..1")
            if field.name in POSITIVE and value == 0:
                raise ValueError(f"{field.name} must be above 0")


SHARES = frozenset({"uploaders", "avatars", "upload_reviews", "avatar_reviews", "utilisation"})
POSITIVE = frozenset(
    {"plays_a_worker_s", "reads_a_core_s", "utilisation", "replication", "store_copies", "peak", "moderator_hours"}
)
