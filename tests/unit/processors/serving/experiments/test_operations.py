"""What the page asks of experiments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from processors.runtime.settings import Settings
from processors.serving.operations.experiments import state_of
from schemas.recommendation import ExperimentMeasured
from tests.fakes.listeners import halves
from tests.fakes.operations import WatchedService
from tests.fakes.serving import NOW

HOUR = timedelta(hours=1)


def measured(arm: str, measure: str = "click-rate", **changes: Any) -> ExperimentMeasured:
    control = arm == "control"
    known = {
        "event_id": "e",
        "measured_at": NOW,
        "window_begins_at": NOW - HOUR,
        "window_ends_at": NOW,
        "layer": "mechanism",
        "experiment": "cold-places",
        "control": "control",
        "users": 480,
        "mean": 0.2 if control else 0.26,
        "low": 0.18,
        "high": 0.28,
        "difference": None if control else 0.06,
        "difference_low": None if control else 0.02,
        "difference_high": None if control else 0.1,
        "p_value": None if control else 0.003,
        "sample_ratio_p": 0.4,
    }
    return ExperimentMeasured(arm=arm, measure=measure, **(known | changes))


def service(*records: ExperimentMeasured, **parameters: Any) -> WatchedService:
    found = WatchedService(settings=Settings(experiments=halves(**parameters)))
    for record in records:
        found.tell(record)
    return found


async def experiments(of: WatchedService) -> list[dict[str, Any]]:
    async with of.client() as client:
        answer = await client.get("/v1/operations/experiments")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["experiments"]
    return found


async def test_defined_and_not_yet_measured() -> None:
    assert await experiments(service(cold_share=0.5)) == [
        {
            "name": "cold-places",
            "layer": "mechanism",
            "control": "control",
            "state": "running",
            "start": None,
            "end": None,
            "arms": [
                {"name": "control", "share": 0.5, "parameters": {}},
                {"name": "new", "share": 0.5, "parameters": {"cold_share": 0.5}},
            ],
            "windows": [],
        }
    ]


async def test_arms_stand_side_by_side_the_control_first() -> None:
    [found] = await experiments(service(measured("new"), measured("control"), measured("control", "gini")))
    [window] = found["windows"]
    assert [(each["name"], [arm["arm"] for arm in each["arms"]]) for each in window["measures"]] == [
        ("click-rate", ["control", "new"]),
        ("gini", ["control"]),
    ]
    assert window["measures"][0]["arms"][1] == {
        "arm": "new",
        "mean": 0.26,
        "low": 0.18,
        "high": 0.28,
        "difference": 0.06,
        "difference_low": 0.02,
        "difference_high": 0.1,
        "p_value": 0.003,
    }
    assert (window["users"], window["split_broken"]) == ({"new": 480, "control": 480}, False)


async def test_a_broken_split_is_said() -> None:
    [found] = await experiments(service(measured("new", sample_ratio_p=1e-6)))
    assert found["windows"][0]["split_broken"]


async def test_the_newest_window_of_each_length_whatever_the_order() -> None:
    day = {"window_begins_at": NOW - 24 * HOUR}
    older = {"window_begins_at": NOW - 2 * HOUR, "window_ends_at": NOW - HOUR}
    of = service(
        measured("new", mean=0.1, **older),
        measured("control", "coverage", **older),
        measured("new", mean=0.3, **day),
        measured("new", mean=0.2),
        measured("control", "gini", **older),
        measured("new", mean=0.25),
    )
    [found] = await experiments(of)
    assert [[m["arms"][0]["mean"] for m in window["measures"]] for window in found["windows"]] == [[0.3], [0.25]]


async def test_what_is_defined_no_more_is_still_shown_after_the_others() -> None:
    found = await experiments(service(measured("new", experiment="a-former-one", layer="rank")))
    assert [(each["name"], each["layer"], each["state"]) for each in found] == [
        ("cold-places", "mechanism", "running"),
        ("a-former-one", "rank", "over"),
    ]


def test_states_follow_the_clock() -> None:
    [one] = halves().defined
    timed = one.model_copy(update={"start": NOW, "end": NOW + HOUR})
    moments = (NOW - HOUR, NOW, NOW + HOUR)
    assert [state_of(timed, at) for at in moments] == ["planned", "running", "over"]
