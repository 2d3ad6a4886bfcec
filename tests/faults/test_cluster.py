"""Three brokers, of which one dies under load: nothing that was accepted is lost, and uploads go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.figures import Row, row
from tests.faults.system import System

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200), pytest.mark.expects_errors, pytest.mark.faults]


def test_one_of_three_brokers_dies(clustered: System, record: Callable[[Row], None]) -> None:
    with clustered.load("cluster", 4.0, seed=21) as load:
        clustered.go_on(5)
        clustered.brokers[1].kill()
        before = load.accepted
        clustered.go_on(25)
        meanwhile = load.accepted - before
        clustered.brokers[1].start()
        clustered.brokers[1].wait_ready(180)
        clustered.go_on(5)
    assert meanwhile > 0, "nothing was accepted on two brokers"
    rest_s = clustered.rest()
    found = clustered.verify(load.log, "--topic-scan")
    done = f"kill -9, back after 25 s; {meanwhile} accepted meanwhile, {load.refusals} refused"
    record(row(done, found, rest_s))
