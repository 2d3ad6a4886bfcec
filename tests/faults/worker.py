"""A worker process of the fault tests: the real runtime, stores and sandbox around stand-ins for the networks.

``python -m tests.faults.worker CAPABILITY...``, settings in the environment.
"""

from __future__ import annotations

import asyncio
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from models.media.analysis import MediaAnalyser
from processors.catalogue import BY_NAME
from processors.runtime import logs, worker
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from tests.faults import skills


class LightWiring(Wiring):
    """Everything as the product builds it but the networks."""

    @cached_property
    def analyser(self) -> MediaAnalyser:
        analyser = MediaAnalyser(entry="tests.faults.child:run", search_path=(Path(__file__).parents[2],))
        self._closers.append(analyser.close)
        return analyser

    @cached_property
    def judges(self) -> Any:
        return skills.judges()

    @cached_property
    def gallery(self) -> Any:
        return skills.Gallery()

    @cached_property
    def encoders(self) -> Any:
        return skills.encoders()

    @cached_property
    def classifier(self) -> Any:
        return skills.Classes()


def main(names: list[str]) -> None:
    settings = Settings()
    logs.configure(settings.worker)
    wiring = LightWiring(settings)
    try:
        asyncio.run(worker.run([wiring.runner(BY_NAME[name]) for name in names], settings))
    finally:
        wiring.close()


if __name__ == "__main__":
    main(sys.argv[1:])
