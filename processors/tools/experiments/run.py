"""Measures a window and publishes what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from processors.runtime.experiment_settings import Experiment
from processors.runtime.processor import Emit, Publisher
from processors.runtime.settings import Kafka
from processors.serving.decoding import Decoder
from processors.serving.experiments.split import in_force
from processors.serving.operations.experiments import BROKEN_SPLIT
from processors.tools.experiments.measures import Measured, measure, sample_ratio_p
from processors.tools.experiments.observations import Observations, join
from processors.tools.experiments.reading import Window, read
from schemas.ids import stable_id
from schemas.recommendation import ExperimentMeasured
from schemas.topics import EXPERIMENT_MEASURED


@dataclass(frozen=True)
class Result:
    """One experiment in one window.

    Attributes:
        experiment: As the settings have it.
        users: Users by arm.
        mixed: Users left out since they had lists of two arms.
        sample_ratio_p: Probability of the arms' sizes, 0..1.
        measured: Every measure of every arm that has users.
    """

    experiment: Experiment
    users: Mapping[str, int]
    mixed: int
    sample_ratio_p: float
    measured: Sequence[Measured]

    @property
    def broken(self) -> bool:
        """Whether the users are not split as planned."""
        return self.sample_ratio_p < BROKEN_SPLIT


def measure_window(
    kafka: Kafka, decoder: Decoder, experiments: Sequence[Experiment], window: Window
) -> tuple[Observations, list[Result]]:
    """Read a window and measure every experiment that was in force in it, from its begin to its end.

    Raises:
        UnavailableError: broker or registry do not answer.
    """
    observed = join(read(kafka, decoder, window))
    return observed, [result_of(each, observed) for each in experiments if _touches(each, window)]


def result_of(experiment: Experiment, observed: Observations) -> Result:
    """One experiment's measures."""
    samples, mixed = observed.by_arm(experiment.name)
    return Result(
        experiment,
        {arm.name: len(samples[arm.name]) if arm.name in samples else 0 for arm in experiment.arms},
        mixed,
        sample_ratio_p(experiment, samples),
        list(measure(experiment, samples)),
    )


async def publish(publisher: Publisher, results: Sequence[Result], window: Window, now: datetime) -> int:
    """Write every measure to ``EXPERIMENT_MEASURED``; how many. The same window again replaces what it said before.

    Raises:
        UnavailableError: the broker did not take them.
    """
    events = [
        Emit(EXPERIMENT_MEASURED, key, record)
        for result in results
        for each in result.measured
        for key, record in [record_of(result, each, window, now)]
    ]
    await publisher.publish(events)
    return len(events)


def record_of(result: Result, each: Measured, window: Window, now: datetime) -> tuple[str, ExperimentMeasured]:
    """Key and event of one measure."""
    experiment, difference = result.experiment, each.difference
    begin, end = (at.isoformat(timespec="milliseconds") for at in (window.begin, window.end))
    key = "/".join((experiment.name, each.arm, each.measure, begin, end))
    return key, ExperimentMeasured(
        event_id=stable_id("experiment-measured", key),
        measured_at=now,
        window_begins_at=window.begin,
        window_ends_at=window.end,
        layer=experiment.layer,
        experiment=experiment.name,
        arm=each.arm,
        control=experiment.control,
        measure=each.measure,
        users=each.users,
        mean=each.estimate.value,
        low=each.estimate.low,
        high=each.estimate.high,
        difference=difference.value if difference else None,
        difference_low=difference.low if difference else None,
        difference_high=difference.high if difference else None,
        p_value=difference.p_value if difference else None,
        sample_ratio_p=result.sample_ratio_p,
    )


def _touches(experiment: Experiment, window: Window) -> bool:
    started = experiment.start is not None and window.begin <= experiment.start < window.end
    return started or in_force(experiment, window.begin)
