"""The section ``experiments`` of the settings: which users get what."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import AwareDatetime, Field, model_validator

from processors.runtime.section import Section, Share

BUCKETS = 1000
"""Buckets of each layer of the traffic."""
Layer = Literal["recall", "rank", "mechanism"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Buckets = tuple[Annotated[int, Field(ge=0, lt=BUCKETS)], Annotated[int, Field(gt=0, le=BUCKETS)]]


class ArmParameters(Section):
    """What an arm does differently; a field that is left out stays as the other settings say."""

    recaller: Literal["content", "learned"] | None = Field(None, description="Layer recall: who finds candidates.")
    ranker: Literal["baseline", "learned"] | None = Field(None, description="Layer rank: who orders them.")
    cold_share: Share | None = Field(None, description="Layer mechanism: share of an answer kept for cold items.")
    explore: float | None = Field(
        None, gt=0, le=100, description="Layer mechanism: temperature at which the cold places are drawn by lot."
    )
    mmr_lambda: Share | None = Field(
        None, description="Layer mechanism: weight of the score against the likeness to what stands above; 1: score."
    )


PARAMETERS: dict[Layer, frozenset[str]] = {
    "recall": frozenset({"recaller"}),
    "rank": frozenset({"ranker"}),
    "mechanism": frozenset({"cold_share", "explore", "mmr_lambda"}),
}
"""Which layer decides what: no two layers can want different things."""


class ExperimentArm(Section):
    name: Name = Field(description="Name, unique within the experiment.")
    buckets: tuple[Buckets, ...] = Field(
        min_length=1, description="Ranges [first, end) of the layer's 1000 buckets whose users get this arm."
    )
    parameters: ArmParameters = ArmParameters()

    @property
    def size(self) -> int:
        """Number of buckets."""
        return sum(end - first for first, end in self.buckets)

    @model_validator(mode="after")
    def _each_bucket_once(self) -> Self:
        for first, end in self.buckets:
            if first >= end:
                raise ValueError(f"arm {self.name}: the range {first}..{end} holds no bucket")
        require_apart([(f"arm {self.name}", each) for each in self.buckets])
        return self


class Experiment(Section):
    name: Name = Field(description="Name, unique among all experiments.")
    layer: Layer = Field(description="Layer of the traffic that it divides.")
    arms: tuple[ExperimentArm, ...] = Field(min_length=2, description="Arms, the control among them.")
    control: Name = Field(description="Arm that the others are compared with.")
    start: AwareDatetime | None = Field(None, description="From when it is in force; left out: always.")
    end: AwareDatetime | None = Field(None, description="Until when, exclusive; left out: for ever.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"experiment {self.name}: two arms have one name among {', '.join(names)}")
        if self.control not in names:
            raise ValueError(f"experiment {self.name}: control {self.control} is none of {', '.join(names)}")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"experiment {self.name}: it ends before it starts")
        for arm in self.arms:
            foreign = arm.parameters.model_fields_set - PARAMETERS[self.layer]
            if foreign:
                raise ValueError(
                    f"experiment {self.name}: arm {arm.name} sets {', '.join(sorted(foreign))}, which layer "
                    f"{self.layer} does not decide"
                )
        require_apart([(f"experiment {self.name}, arm {arm.name}", each) for arm in self.arms for each in arm.buckets])
        return self

    def overlaps(self, other: Experiment) -> bool:
        """Whether there is a time at which both are in force."""
        return (self.end is None or other.start is None or other.start < self.end) and (
            other.end is None or self.start is None or self.start < other.end
        )


class Experiments(Section):
    defined: tuple[Experiment, ...] = Field((), description="Experiments, as a JSON array; see docs/experiments.md.")
    salts: dict[Layer, str] = Field(
        {layer: f"{layer}-1" for layer in LAYERS},
        description="Salt of each layer; a new one puts every user into another bucket.",
    )
    log_queue: int = Field(
        20_000, ge=1, description="Answered lists that wait to be logged; those beyond are dropped and counted."
    )
    grace_s: float = Field(
        600.0, ge=0, description="Seconds after a window's end within which what users do still counts for it."
    )

    @model_validator(mode="after")
    def _layers_apart(self) -> Self:
        if set(self.salts) != set(LAYERS) or len(set(self.salts.values())) < len(LAYERS):
            raise ValueError(f"salts: one for each of {', '.join(LAYERS)}, all different")
        for one, other in combinations(self.defined, 2):
            if one.name == other.name:
                raise ValueError(f"two experiments have the name {one.name}")
            if one.layer == other.layer and one.overlaps(other):
                arms = [(each, arm) for each in (one, other) for arm in each.arms]
                require_apart(
                    [(f"experiment {each.name}, arm {arm.name}", span) for each, arm in arms for span in arm.buckets]
                )
        return self


def require_apart(named: list[tuple[str, Buckets]]) -> None:
    """Refuse ranges that share a bucket.

    Raises:
        ValueError: names both and their ranges.
    """
    ordered = sorted(named, key=lambda each: each[1])
    for (name, (first, end)), (other, (begin, last)) in pairwise(ordered):
        if begin < end:
            raise ValueError(f"buckets overlap: {name} has {first}..{end}, {other} has {begin}..{last}")
