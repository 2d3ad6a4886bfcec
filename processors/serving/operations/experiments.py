"""Experiments as the page shows them: what is defined, and what was measured last."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from processors.runtime.experiment_settings import BUCKETS, Experiment
from processors.serving.decoding import Decoder
from schemas.recommendation import ExperimentMeasured
from schemas.topics import EXPERIMENT_MEASURED

BROKEN_SPLIT = 0.001
"""Sample-ratio probability under which the arms' sizes cannot be chance, and no difference means anything."""
EXPERIMENTS_KEPT = 200
Found = dict[tuple[str, str], ExperimentMeasured]
"""By measure and arm."""


class MeasuredExperiments:
    """The newest window of each length of every experiment. ``apply`` takes the records of ``TOPICS``.

    Args:
        decoder: Decodes them.
    """

    TOPICS = (EXPERIMENT_MEASURED.name,)

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._lock = threading.Lock()
        self._windows: dict[str, dict[timedelta, Found]] = {}

    def apply(self, _topic: str, _key: str, value: bytes | None) -> None:
        """Take one record.

        Raises:
            BadEventError: it does not decode.
            UnavailableError: its schema cannot be fetched at the moment.
        """
        if value is None:
            return
        measured = self._decoder.decode(value, ExperimentMeasured)
        length = measured.window_ends_at - measured.window_begins_at
        with self._lock:
            windows = self._windows.setdefault(measured.experiment, {})
            known = windows.get(length, {})
            newest = max((each.window_ends_at for each in known.values()), default=measured.window_ends_at)
            if measured.window_ends_at > newest:
                known = {}
            if measured.window_ends_at >= newest:
                windows[length] = known | {(measured.measure, measured.arm): measured}
            if len(self._windows) > EXPERIMENTS_KEPT:
                del self._windows[min(self._windows, key=lambda name: _last_end(self._windows[name]))]

    def windows(self) -> dict[str, list[list[ExperimentMeasured]]]:
        """Measures by experiment and window, the longest window first."""
        with self._lock:
            return {
                name: [list(windows[length].values()) for length in sorted(windows, reverse=True)]
                for name, windows in self._windows.items()
            }


def experiments_document(
    defined: Sequence[Experiment], measured: Mapping[str, Sequence[Sequence[ExperimentMeasured]]], now: datetime
) -> list[dict[str, Any]]:
    """Experiments of the settings in their order, then those that were measured and are defined no more."""
    gone = sorted(measured.keys() - {each.name for each in defined})
    return [_defined(each, now) | {"windows": _windows(measured.get(each.name, ()))} for each in defined] + [
        _gone(name, measured[name][0][0]) | {"windows": _windows(measured[name])} for name in gone
    ]


def state_of(experiment: Experiment, now: datetime) -> Literal["planned", "running", "over"]:
    """Whether an experiment is in force."""
    if experiment.start is not None and now < experiment.start:
        return "planned"
    return "over" if experiment.end is not None and now >= experiment.end else "running"


def _defined(each: Experiment, now: datetime) -> dict[str, Any]:
    return {
        "name": each.name,
        "layer": each.layer,
        "control": each.control,
        "state": state_of(each, now),
        "start": each.start,
        "end": each.end,
        "arms": [
            {
                "name": arm.name,
                "share": arm.size / BUCKETS,
                "parameters": arm.parameters.model_dump(exclude_none=True),
            }
            for arm in each.arms
        ],
    }


def _gone(name: str, one: ExperimentMeasured) -> dict[str, Any]:
    known = {"name": name, "layer": one.layer, "control": one.control, "state": "over"}
    return known | {"start": None, "end": None, "arms": []}


def _windows(measured: Sequence[Sequence[ExperimentMeasured]]) -> list[dict[str, Any]]:
    return [_window(each) for each in measured]


def _window(measured: Sequence[ExperimentMeasured]) -> dict[str, Any]:
    one = measured[0]
    probability = one.sample_ratio_p
    names = list(dict.fromkeys(each.measure for each in measured))
    return {
        "begins_at": one.window_begins_at,
        "ends_at": one.window_ends_at,
        "measured_at": max(each.measured_at for each in measured),
        "sample_ratio_p": probability,
        "split_broken": probability is not None and probability < BROKEN_SPLIT,
        "users": {each.arm: each.users for each in measured},
        "measures": [
            {
                "name": name,
                "arms": [
                    _arm(each)
                    for each in sorted(measured, key=lambda each: (each.arm != each.control, each.arm))
                    if each.measure == name
                ],
            }
            for name in names
        ],
    }


def _arm(each: ExperimentMeasured) -> dict[str, Any]:
    return {
        "arm": each.arm,
        "mean": each.mean,
        "low": each.low,
        "high": each.high,
        "difference": each.difference,
        "difference_low": each.difference_low,
        "difference_high": each.difference_high,
        "p_value": each.p_value,
    }


def _last_end(windows: Mapping[timedelta, Found]) -> datetime:
    return max(each.window_ends_at for found in windows.values() for each in found.values())
