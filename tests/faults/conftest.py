from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from infra.local.parts import Broker, broker_cluster
from tests.faults.figures import COLUMNS, FAULTS, Row, document
from tests.faults.system import System

ROWS = pytest.StashKey[list[Row]]()
DOCUMENT = "FAULTS_DOCUMENT"
"""Variable with the page to write; ``make test-faults`` sets it."""
OBJECTS_MIB = 256


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Takes the figures of a test."""
    rows = request.config.stash.setdefault(ROWS, [])

    def take(row: Row) -> None:
        rows.append(dataclasses.replace(row, fault=FAULTS[request.node.name]))

    return take


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One broker; objects on a small file system of their own, which a test can fill."""
    folder = tmp_path_factory.mktemp("faults")
    objects = folder / "data" / "objects"
    objects.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={OBJECTS_MIB}m", "faults", str(objects)], check=True)
    try:
        with System(folder, [Broker(folder / "broker")]) as running:
            yield running
    finally:
        subprocess.run(["umount", "--lazy", str(objects)], check=True)


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Three brokers, every topic on all of them, two of which must have a record."""
    folder = tmp_path_factory.mktemp("clustered")
    variables = {"OVERTURE_KAFKA__REPLICATION": "3", "OVERTURE_KAFKA__MIN_INSYNC": "2"}
    with System(folder, broker_cluster(folder), variables) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table; a fault that broke the promise stands in it too."""
    rows = list(config.stash.get(ROWS, []))
    rows += [
        Row("see the log of the test", verdict="**broken**", fault=FAULTS[r.nodeid.rsplit("::", 1)[-1]])
        for r in [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
        if "tests/faults" in r.nodeid
    ]
    if not rows:
        return
    table = Table(*COLUMNS, title="faults")
    for row in rows:
        table.add_row(*row.cells())
    Console(width=160).print(table)
    if path := os.environ.get(DOCUMENT):
        page = Path(path)
        page.write_text(document(rows, page.read_text() if page.exists() else ""))
