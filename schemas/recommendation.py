"""Records of the domain ``recommendation``.

Generated from ``schemas/avro/recommendation/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from schemas.record import Record


@dataclass(frozen=True, kw_only=True)
class ListedItem(Record):
    """One place of a list that was answered.

    Attributes:
        item_id: Item.
        score: Score that it was ordered by; comparable within the list only.
        cold: Whether the item counted as cold.
        reason: Why it is there, for example taste or mapped.
        propensity: Probability that this item took this place under the policy in force, 0..1; 1 where nothing was
            drawn by lot.
    """

    CONTRACT: ClassVar[str] = "overture.recommendation.ListedItem"

    item_id: str
    score: float
    cold: bool
    reason: str
    propensity: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LayerArm(Record):
    """Which arm of which experiment was in force for a request, in one layer of the traffic.

    Attributes:
        layer: Layer: recall, rank or mechanism.
        experiment: Experiment; empty when the bucket belongs to none.
        arm: Arm; empty when the bucket belongs to none.
        bucket: Bucket of the user in this layer, 0..999.
    """

    CONTRACT: ClassVar[str] = "overture.recommendation.LayerArm"

    layer: str
    experiment: str
    arm: str
    bucket: int


@dataclass(frozen=True, kw_only=True)
class ExperimentMeasured(Record):
    """One measure of an arm in a window, beside the control arm; compacted.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        measured_at: When it was computed, UTC.
        window_begins_at: Begin of the window, UTC.
        window_ends_at: End of the window, UTC, exclusive.
        layer: Layer of the traffic.
        experiment: Experiment.
        arm: Arm.
        control: Arm that it is compared with.
        measure: What is measured, for example click-rate.
        users: Users that count.
        mean: Mean over users.
        low: Lower end of its 95 % interval.
        high: Upper end.
        difference: Mean minus the control's; null for the control itself.
        difference_low: Lower end of the difference's 95 % interval.
        difference_high: Upper end.
        p_value: Probability of at least such a difference by chance, 0..1.
        sample_ratio_p: Probability of the arms' sizes under the planned shares, 0..1; a tiny one means that the
            split is broken.
    """

    CONTRACT: ClassVar[str] = "overture.recommendation.ExperimentMeasured"

    event_id: str
    measured_at: datetime
    window_begins_at: datetime
    window_ends_at: datetime
    layer: str
    experiment: str
    arm: str
    control: str
    measure: str
    users: int
    mean: float
    low: float
    high: float
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    sample_ratio_p: float | None = None


@dataclass(frozen=True, kw_only=True)
class ListServed(Record):
    """A list of recommendations was answered: what was offered, by which arms and models.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When it was answered, UTC.
        request_id: Id that the app sends back with what the user does; see overture.common.Exposure.
        user_id: For whom.
        surface: Place in the app, for example daily-list.
        model_version: Version of the recommender bundle; empty when the answer is from the baseline.
        arms: Arm by layer.
        items: Places in order.
        degraded: Parts that did not answer.
    """

    CONTRACT: ClassVar[str] = "overture.recommendation.ListServed"

    event_id: str
    occurred_at: datetime
    request_id: str
    user_id: str
    surface: str
    model_version: str
    arms: tuple[LayerArm, ...] = ()
    items: tuple[ListedItem, ...] = ()
    degraded: tuple[str, ...] = ()
