from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.capacity import page
from infra.capacity.model import Demand, Rates, partitions, plan, units

RATES = Rates(plays_a_worker_s=2_000, upload_cpu_s=4, upload_gpu_s=2.75)


def test_the_worked_example_of_the_research() -> None:
    """100 million users: 29 k plays/s mean, 87 k/s peak, 321 GPUs, about 470 cores, worked out by hand there."""
    found = plan(Demand(daily_users=1e8), RATES)
    assert found.plays_peak_s == pytest.approx(86_806, rel=1e-3)
    assert found.uploads_peak_s == pytest.approx(69.4, rel=1e-3)
    assert found.play_workers == math.ceil(86_805.6 / 1_200)
    assert found.upload_gpus == pytest.approx(321, abs=4)
    assert found.upload_cores == pytest.approx(470, abs=8)
    kafka_plays = 3 * 1e8 * 25 * 300 * 7
    assert found.kafka_disk_bytes == pytest.approx(kafka_plays + 3 * 2e6 * 30e3 * 28)
    assert kafka_plays == pytest.approx(15.8e12, rel=0.01)


def test_avatars_and_reviews_by_hand() -> None:
    """A million users: 10,000 avatars a day are 0.35/s at the peak; 400 uploads and 500 avatars a day are reviewed."""
    found = plan(Demand(daily_users=1e6, items=1e6), RATES)
    assert found.avatars_peak_s == pytest.approx(0.347, abs=1e-3)
    assert found.avatar_cores == math.ceil(0.347 * 0.1 / 0.6)
    assert found.face_vector_bytes == pytest.approx(300_000 * 512)
    assert found.face_bytes == pytest.approx(300_000 * 8_500)
    assert found.exposure_bytes == pytest.approx(1.2e9)
    assert found.reviews_a_day == pytest.approx(900)
    assert found.moderators == math.ceil(900 * 15 / (6 * 3600))
    many = plan(Demand(daily_users=1e8), RATES)
    assert many.moderators == math.ceil(90_000 * 15 / (6 * 3600))
    assert many.avatar_cores == math.ceil(1e8 * 0.01 * 3 / 86_400 * 0.1 / 0.6)


def test_cores_of_avatars_cost_money() -> None:
    rates = dataclasses.replace(RATES, face_bytes=0)
    few, many = (plan(Demand(daily_users=1e8, avatars=share), rates) for share in (0.0, 1.0))
    assert many.compute_dollars > few.compute_dollars


def test_nobody_costs_nothing() -> None:
    found = plan(Demand(daily_users=0), RATES)
    assert (found.play_workers, found.upload_cores, found.read_cores, found.dollars) == (0, 0, 0, 0)
    assert (found.avatar_cores, found.moderators, found.face_bytes) == (0, 0, 0)


@given(st.floats(1, 1e9), st.floats(1, 10))
def test_more_users_never_need_less(users: float, factor: float) -> None:
    few, many = plan(Demand(daily_users=users), RATES), plan(Demand(daily_users=users * factor), RATES)
    for field in dataclasses.fields(few):
        assert getattr(many, field.name) >= getattr(few, field.name), field.name


@given(st.floats(0.1, 1e6), st.floats(0.1, 1e4), st.floats(0.1, 1))
def test_units_stay_under_the_utilisation_and_are_not_one_too_many(load: float, capacity: float, used: float) -> None:
    found = units(load, capacity, used)
    assert load <= found * capacity * used * (1 + 1e-6) + 1e-6
    assert load > (found - 1) * capacity * used * (1 - 1e-6) - 1e-6


def test_partitions_leave_room_for_twice_the_workers() -> None:
    assert [partitions(n) for n in (0, 1, 4, 5, 73)] == [8, 8, 8, 16, 152]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"daily_users": -1}, "daily_users"), ({"daily_users": 1, "uploaders": 1.5}, "uploaders"),
     ({"daily_users": 1, "peak": math.nan}, "peak"), ({"daily_users": 1, "avatars": 1.1}, "avatars")],
)  # fmt: skip
def test_impossible_numbers_are_named(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        plan(Demand(**wrong), RATES)


def test_the_page_is_what_the_formulas_say() -> None:
    assert page.PAGE.read_text() == page.text(), "run python -m infra.capacity --write"


def test_the_command_answers_and_names_a_wrong_number() -> None:
    command = [sys.executable, "-m", "infra.capacity"]
    answer = subprocess.run([*command, "--daily-users", "1e8"], capture_output=True, text=True, check=True)
    assert "86,805.6/s" in answer.stdout
    answer = subprocess.run([*command, "--uploaders", "2"], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "uploaders" in answer.stderr
