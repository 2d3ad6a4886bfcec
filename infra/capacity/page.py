"""The capacity page, ``docs/capacity.md``: the model at a few sizes, with its assumptions beside it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from infra.capacity.model import GB, TB, Demand, Plan, Prices, Rates, plan

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"
SIZES = {"10 thousand": 1e4, "1 million": 1e6, "100 million": 1e8}
KNOWN_SHARE = 3.0
"""Users with features for each daily one."""
ITEM_DAYS = 180
"""Days for which an upload can be recommended."""
INTRODUCTION = (
    "Written by `python -m infra.capacity --write`; the formulas are `infra/capacity/model.py`, and",
    "`python -m infra.capacity --daily-users 250000` answers for your own numbers. It is arithmetic on",
    "assumptions, not a measurement at that size: put your own rates in before you buy anything.",
)
LESSONS = (
    "- Plays are cheap: they are counted in batches, one core for thousands a second. Uploads are the cost: their",
    "  networks and the decoding decide the number of cores, and objects the storage. Cheaper tiers and the deletion",
    "  of derivatives nobody looks at are the first lever.",
    "- A consumer group uses no more workers than partitions. Choose partitions for the peak of the coming year:",
    "  adding some later moves keys, and stateful capabilities keep their state in the partition of the key.",
    "- Reads scale with processes of the HTTP service; each keeps the whole catalogue in memory, so that Redis is",
    "  asked for the user only. Its counts of exposures, about 1.2 kB an item, cover cold and known items alike: a",
    "  known leftover.",
    "- People are dearer than machines: the share that goes to review and the seconds of a decision set the number of",
    "  moderators, who are not in the money above. Both, and how many avatars are chosen, are guesses until your own",
    "  review metrics say them; the CPU of an avatar is [measured](bench/avatars.md), on a busy machine.",
    "- Faces of avatars lie in one partition, hence in the memory of one worker of `fraud_clustering`: where they take",
    "  more than a machine has, shorten `OVERTURE_FRAUD__WINDOW_DAYS`.",
)
RATES = Rates(plays_a_worker_s=10_000, upload_cpu_s=4.0)


def demand_of(daily_users: float) -> Demand:
    """The usual behaviour of so many users."""
    return Demand(
        daily_users=daily_users,
        known_users=KNOWN_SHARE * daily_users,
        items=Demand.uploaders * daily_users * ITEM_DAYS,
    )


def rows(found: Plan) -> list[tuple[str, str]]:
    """A plan as lines for people."""
    return [
        ("plays, peak", f"{found.plays_peak_s:,.1f}/s"),
        ("uploads, peak", f"{found.uploads_peak_s:,.2f}/s"),
        ("avatars, peak", f"{found.avatars_peak_s:,.2f}/s"),
        ("reads, peak", f"{found.reads_peak_s:,.1f}/s"),
        ("play_aggregation workers", f"{found.play_workers:,}"),
        ("partitions of the plays' topics", f"{found.play_partitions:,}"),
        ("cores of the upload stages", f"{found.upload_cores:,}"),
        ("GPUs of the upload stages", f"{found.upload_gpus:,}"),
        ("partitions of the upload topics", f"{found.upload_partitions:,}"),
        ("cores of avatar_moderation", f"{found.avatar_cores:,}"),
        ("cores of the HTTP service for reads", f"{found.read_cores:,}"),
        ("Kafka, into the brokers at the peak", f"{found.kafka_in_peak_bytes_s / 1e6:,.2f} MB/s"),
        ("Kafka, disk with replicas", f"{found.kafka_disk_bytes / GB:,.1f} GB"),
        ("Redis, memory with copies", f"{found.redis_bytes / GB:,.2f} GB"),
        ("Milvus, memory with copies", f"{found.milvus_bytes / GB:,.2f} GB"),
        ("faces in fraud_clustering, memory", f"{found.face_bytes / GB:,.2f} GB"),
        ("of which vectors", f"{found.face_vector_bytes / GB:,.2f} GB"),
        ("exposure counts, memory of each process of the HTTP service", f"{found.exposure_bytes / GB:,.2f} GB"),
        ("reviews a day", f"{found.reviews_a_day:,.0f}"),
        ("moderators at work on a day", f"{found.moderators:,}"),
        ("objects after a year", f"{found.object_bytes_a_year / TB:,.2f} TB"),
        ("compute a month", f"${found.compute_dollars:,.0f}"),
        ("storage a month, after a year", f"${found.storage_dollars:,.0f}"),
    ]


def text() -> str:
    """The whole page."""
    plans = {name: dict(rows(plan(demand_of(users), RATES))) for name, users in SIZES.items()}
    names = list(next(iter(plans.values())))
    table = [f"| {name} | " + " | ".join(plans[size][name] for size in plans) + " |" for name in names]
    return "\n".join(
        [
            "# Capacity",
            "",
            *INTRODUCTION,
            "",
            "| users a day | " + " | ".join(plans) + " |",
            "| --- |" + " ---: |" * len(plans),
            *table,
            "",
            "## Assumptions",
            "",
            "| assumption | value |",
            "| --- | ---: |",
            *_assumptions(demand_of(1e6), skip=("daily_users", "known_users", "items")),
            f"| users with features for each daily one | {KNOWN_SHARE:g} |",
            f"| days for which an upload can be recommended | {ITEM_DAYS} |",
            *_assumptions(RATES),
            *_assumptions(Prices()),
            "",
            "## What follows from it",
            "",
            *LESSONS,
            "",
        ]
    )


def _assumptions(of: Demand | Rates | Prices, skip: tuple[str, ...] = ()) -> list[str]:
    return [
        f"| {field.name.replace('_', ' ')} | {getattr(of, field.name):,g} |"
        for field in fields(of)
        if field.name not in skip
    ]
