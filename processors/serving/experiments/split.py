"""Layered split of the traffic by salted hashes.

A user has one bucket in each layer, ``BLAKE2b(salt + ":" + user id) mod 1000``: the same in every process and at every
time, and independent between layers, since each has a salt of its own (Tang et al. 2010, *Overlapping experiment
infrastructure: more, better, faster experimentation*). An arm holds ranges of buckets of one layer, and each layer
decides other things (``PARAMETERS`` of the settings), so a request can be in one experiment of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from processors.runtime.experiment_settings import BUCKETS, LAYERS, ArmParameters, Experiment, Experiments, Layer
from schemas.recommendation import LayerArm

NONE = ArmParameters()


def bucket_of(salt: str, user_id: str) -> int:
    """Bucket of a user in the layer of this salt, 0..999."""
    # 2^64 is no multiple of 1000; the buckets' shares differ by less than 1e-16
    return int.from_bytes(blake2b(f"{salt}:{user_id}".encode(), digest_size=8).digest()) % BUCKETS


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one user gets now.

    Attributes:
        arms: One for each layer; experiment and arm are empty where the bucket belongs to none.
        parameters: What the arms of all layers set; None where none does.
    """

    arms: tuple[LayerArm, ...]
    parameters: ArmParameters


class TrafficSplit:
    """Assigns users to arms.

    Args:
        settings: The experiments.
        now: Clock, UTC; experiments begin and end by it.
    """

    def __init__(self, settings: Experiments, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._salts = tuple(settings.salts[layer] for layer in LAYERS)
        self._merged: dict[tuple[tuple[str, str], ...], ArmParameters] = {}
        self._turns = sorted({at for each in settings.defined for at in (each.start, each.end) if at is not None})
        self._fill(now())

    def assign(self, user_id: str) -> Assignment:
        """Arms and parameters of a user."""
        now = self._now()
        if not self._since <= now < self._until:
            self._fill(now)
        arms = tuple(table[bucket_of(salt, user_id)] for table, salt in zip(self._tables, self._salts, strict=True))
        return Assignment(arms, self._parameters(arms))

    def _parameters(self, arms: tuple[LayerArm, ...]) -> ArmParameters:
        key = tuple((each.experiment, each.arm) for each in arms)
        known = self._merged.get(key)
        if known is None:
            chosen = [self._of_arm.get(pair, NONE) for pair in key]
            known = self._merged[key] = ArmParameters(
                **{name: value for each in chosen for name, value in each.model_dump(exclude_none=True).items()}
            )
        return known

    def _fill(self, now: datetime) -> None:
        """Tables for the time between two beginnings or ends of experiments."""
        self._since = max((at for at in self._turns if at <= now), default=datetime.min.replace(tzinfo=UTC))
        self._until = min((at for at in self._turns if at > now), default=datetime.max.replace(tzinfo=UTC))
        running = [each for each in self._settings.defined if in_force(each, now)]
        self._of_arm = {(each.name, arm.name): arm.parameters for each in running for arm in each.arms}
        self._tables = tuple(_table(layer, [each for each in running if each.layer == layer]) for layer in LAYERS)


def in_force(experiment: Experiment, at: datetime) -> bool:
    """Whether an experiment runs at this time."""
    return (experiment.start is None or experiment.start <= at) and (experiment.end is None or at < experiment.end)


def _table(layer: Layer, running: list[Experiment]) -> list[LayerArm]:
    table = [LayerArm(layer=layer, experiment="", arm="", bucket=bucket) for bucket in range(BUCKETS)]
    for each in running:
        for arm in each.arms:
            for first, end in arm.buckets:
                for bucket in range(first, end):
                    table[bucket] = LayerArm(layer=layer, experiment=each.name, arm=arm.name, bucket=bucket)
    return table
