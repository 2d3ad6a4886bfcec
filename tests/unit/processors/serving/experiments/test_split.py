"""Who gets which arm: the same everywhere, in even parts, independent between layers; bad settings are refused."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from processors.runtime.experiment_settings import BUCKETS, LAYERS, Experiments
from processors.serving.experiments.split import TrafficSplit, bucket_of
from processors.tools.experiments.aa_check import split_checks
from tests.fakes.serving import NOW


def arm(name: str, *buckets: tuple[int, int], **parameters: Any) -> dict[str, Any]:
    return {"name": name, "buckets": buckets, "parameters": parameters}


def defined(name: str = "one", layer: str = "mechanism", *arms: dict[str, Any], **more: Any) -> dict[str, Any]:
    arms = arms or (arm("control", (0, 500)), arm("more", (500, 1000), cold_share=0.5))
    return {"name": name, "layer": layer, "arms": arms, "control": arms[0]["name"]} | more


def experiments(*each: dict[str, Any]) -> Experiments:
    return Experiments.model_validate({"defined": each})


def test_buckets_are_those_written_down() -> None:
    # written down once: were they ever others, every user would change arms
    assert [bucket_of("recall-1", user) for user in ("u-1", "ada", "用户")] == [914, 864, 37]


def test_another_process_finds_the_same() -> None:
    code = "from processors.serving.experiments.split import bucket_of; print(bucket_of('rank-1', 'ada'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) == bucket_of("rank-1", "ada")


def test_buckets_are_uniform_and_layers_independent() -> None:
    checks = split_checks(Experiments(), 20_000)
    assert len(checks) == 6
    assert [each for each in checks if not each.ok] == []


def test_the_same_salt_for_two_layers_would_be_seen() -> None:
    settings = Experiments.model_construct(salts=dict.fromkeys(LAYERS, "same"), defined=())
    assert [each.ok for each in split_checks(settings, 5_000)] == [True] * 3 + [False] * 3


def test_a_user_is_in_one_arm_of_each_layer_and_gets_the_parameters_of_all() -> None:
    split = TrafficSplit(
        experiments(
            defined("ranker", "rank", arm("old", (0, 1)), arm("new", (1, BUCKETS), ranker="learned")),
            defined(
                "cold", "mechanism", arm("less", (0, 1), cold_share=0.1), arm("more", (1, BUCKETS), cold_share=0.5)
            ),
        ),
        lambda: NOW,
    )
    found = split.assign("ada")
    assert [(each.layer, each.experiment, each.arm) for each in found.arms] == [
        ("recall", "", ""),
        ("rank", "ranker", "new"),
        ("mechanism", "cold", "more"),
    ]
    assert [each.bucket for each in found.arms] == [bucket_of(f"{layer}-1", "ada") for layer in LAYERS]
    assert found.parameters.model_dump(exclude_none=True) == {"ranker": "learned", "cold_share": 0.5}
    assert split.assign("ada").parameters is found.parameters


def test_each_bucket_of_a_range_and_none_beside_it() -> None:
    split = TrafficSplit(
        experiments(defined("one", "rank", arm("a", (0, 250), (900, 1000)), arm("b", (250, 500)))), lambda: NOW
    )
    users = [f"u-{number}" for number in range(3000)]
    for user in users:
        bucket = bucket_of("rank-1", user)
        wanted = "a" if bucket < 250 or bucket >= 900 else "b" if bucket < 500 else ""
        assert split.assign(user).arms[1].arm == wanted


def test_it_begins_and_ends_in_time() -> None:
    now = [NOW]
    start, end = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    everybody = (arm("a", (0, 999)), arm("b", (999, 1000)))
    first = defined("one", "rank", *everybody, end=start)
    second = defined("two", "rank", *everybody, start=start, end=end)
    split = TrafficSplit(experiments(first, second), lambda: now[0])

    def running() -> str:
        return split.assign("ada").arms[1].experiment

    found = []
    for now[0] in (NOW, start - timedelta(milliseconds=1), start, end - timedelta(milliseconds=1), end, NOW):
        found.append(running())
    assert found == ["one", "one", "two", "two", "", "one"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            [defined("a", "rank", arm("x", (0, 501)), arm("y", (500, 600)))],
            "overlap.*arm x has 0..501.*arm y has 500..600",
        ),
        ([defined("a"), defined("b")], "overlap.*experiment a.*experiment b"),
        ([defined("a", end=NOW), defined("a", start=NOW)], "two experiments have the name a"),
        ([defined("a", "ranking")], "'recall', 'rank' or 'mechanism'"),
        ([defined("a", "rank", arm("x", (0, 500)), arm("y", (500, 1001)))], "less than or equal to 1000"),
        ([defined("a", "rank", arm("x", (0, 500)), arm("y", (600, 600)))], "600..600 holds no bucket"),
        ([defined("a", "rank", arm("x", (0, 1)), arm("x", (1, 2)))], "two arms have one name among x, x"),
        ([defined(control="nobody")], "control nobody is none of control, more"),
        (
            [defined("a", "rank", arm("x", (0, 1), cold_share=0.1), arm("y", (1, 2)))],
            "cold_share, which layer rank does not",
        ),
        ([defined("a", "rank", arm("x", (0, 1), ranker="best"), arm("y", (1, 2)))], "'baseline' or 'learned'"),
        ([defined(start=NOW, end=NOW)], "ends before it starts"),
        ([defined(start="2026-11-21T08:00:00")], "timezone"),
        ([defined("Upper Case")], "pattern"),
    ],
)
def test_bad_settings_are_refused_with_what_is_wrong(bad: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){said}"):
        experiments(*bad)


def test_experiments_may_follow_each_other_on_the_same_buckets() -> None:
    assert len(experiments(defined("a", end=NOW), defined("b", start=NOW)).defined) == 2


@pytest.mark.parametrize("salts", [{"recall": "a", "rank": "a", "mechanism": "b"}, {"recall": "a"}])
def test_salts_are_three_different_ones(salts: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="all different"):
        Experiments.model_validate({"salts": salts})
