"""Puts the parts of the check together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.tools.verify import checks
from processors.tools.verify.accepted import read_log
from processors.tools.verify.report import Report, report
from processors.tools.verify.rest import wait_for_rest
from processors.tools.verify.scan import Reader, decoded, scan
from processors.tools.verify.stores import (
    Depth,
    Held,
    read_features,
    read_objects,
    read_recallable,
    read_vectors,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What is asked for.

    Attributes:
        log: The log of accepted uploads.
        topic_scan: Whether the log names every upload there is, so that any other is an offence.
        objects: How closely objects are looked at.
        service: Base URL of the HTTP service.
        api_key: Its key; empty for none.
        wait_s: Seconds to wait for the system to come to rest.
    """

    log: Path
    topic_scan: bool = False
    objects: Depth = "hash"
    service: str = ""
    api_key: str = ""
    wait_s: float = 0.0


class Steps:
    """Tells of each step, and notes how long it took.

    Attributes:
        seconds: By step, in order; the one at work is not among them.
    """

    def __init__(self, say: Say) -> None:
        self.seconds: dict[str, float] = {}
        self._say = say

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._say(name)
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


def verify(settings: Settings, options: Options, say: Say = lambda _: None) -> Report:
    """Check everything once; blocks. ``say`` is told of each step.

    Raises:
        BadLogError: the log cannot be read.
        UnavailableError: a part does not answer.
        BadEventError: the status topic holds what is no status.
    """
    steps = Steps(say)
    with steps.step("reading the log"):
        log = read_log(options.log)
    with steps.step(f"waiting for rest; {len(log):,} uploads in the log"):
        lags = tuple(wait_for_rest(settings.kafka, options.wait_s))
    with closing(SchemaRegistry(settings.registry.url)) as registry:
        reader = Reader(registry)
        with steps.step("reading topics"):
            found = scan(settings, reader)
        with steps.step("decoding"):
            statuses, changes, indexed = decoded(found, reader, log)
    evidence = checks.Evidence(log, found, statuses, changes, indexed, Held(), lags, options.topic_scan)
    with closing(Wiring(settings)) as wiring:
        asyncio.run(_fill(evidence, options, wiring, steps))
    with steps.step("judging"):
        judged = checks.run(evidence)
    return report(evidence, judged, steps.seconds)


async def _fill(evidence: checks.Evidence, options: Options, wiring: Wiring, steps: Steps) -> None:
    """Ask the stores and the service."""
    held, published = evidence.held, evidence.published()
    with steps.step("reading vectors"):
        held.vectors = await asyncio.to_thread(read_vectors, wiring.milvus_config)
    with steps.step("reading features"):
        held.features = await read_features(wiring.feature_reader, evidence.log, all_of_them=options.topic_scan)
        await wiring.redis.aclose()
    statuses = {i: evidence.statuses[i] for i in published}
    vectors = {i: s.vectors for i, s in statuses.items() if s.vectors is not None}
    refs = {i: [r for r in (s.object, s.vectors) if r is not None] for i, s in statuses.items()}
    with steps.step("reading objects"):
        held.objects, held.modalities = await read_objects(wiring.objects, refs, vectors, options.objects)
    with steps.step("asking the service"):
        held.recallable = await read_recallable(options.service, options.api_key, published, evidence.elsewhere())
