"""Feeds items and plays to real workers, and looks into the stores."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
from confluent_kafka import Producer

from features.views import COLLECTIONS
from processors.item_indexing import STORED_NAMES
from processors.runtime.kafka import producer_config
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.tools.rebuild.fingerprints import Prints
from processors.tools.rebuild.run import recommender_in_use, targets
from processors.tools.rebuild.stores import Stores
from schemas import topics
from schemas.common import Label
from schemas.item import ItemChanged
from schemas.play import SongPlayed
from schemas.record import Record
from schemas.user import ProfileChanged
from tests.unit.processors.avatar_facts import changed, erased, judged

T = TypeVar("T")
START = datetime(2026, 11, 1, tzinfo=UTC)
WAIT_S = 300.0
HERE = Path(__file__).parent


def unit(dim: int, dice: random.Random) -> Any:
    vector = np.array([dice.gauss(0, 1) for _ in range(dim)], dtype=np.float32)
    return vector / np.linalg.norm(vector)


@dataclass
class World:
    """One set of topics and stores, written by real workers.

    Attributes:
        settings: Where they are.
        folder: Logs.
        items: Newest change by item id.
    """

    settings: Settings
    folder: Path
    items: dict[str, ItemChanged] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        wiring = Wiring(self.settings)
        self._codec = wiring.codec
        wiring.close()
        self._producer = Producer(producer_config(self.settings.kafka))

    def start(self, *arguments: str) -> None:
        """A worker process: ``overture run``, or a program of this folder."""
        log = (self.folder / f"worker-{len(self.workers)}.log").open("wb")
        program = [sys.executable, str(HERE / arguments[0]), *arguments[1:]]
        if not arguments[0].endswith(".py"):
            program = [str(Path(sys.executable).with_name("overture")), "run", *arguments]
        with log:
            self.workers.append(subprocess.Popen(program, env=os.environ, stdout=log, stderr=log, cwd=HERE.parents[3]))

    def stop(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(60) for worker in self.workers]
        self.workers.clear()
        assert codes == [0] * len(codes), self.log_tails()

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def log_tails(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.folder.glob("*.log")))

    def publish(self, count: int = 1, *, has: Sequence[str] = ("joint", "text"), ids: Sequence[str] = ()) -> list[str]:
        """Items that enter the catalogue or, under known ids, change."""
        ids = list(ids) or [str(uuid.UUID(int=self.dice.getrandbits(128))) for _ in range(count)]
        dims = {name: COLLECTIONS[alias].dim for alias, name in STORED_NAMES.items()}
        for each in ids:
            seq = self.items[each].seq + 1 if each in self.items else 1
            arrays = {name: unit(dims[name], self.dice) for name in has}
            ref = self.run(
                lambda w, k=f"derived/items/{each}/{seq}", a=arrays: w.objects.put(
                    k, safetensors.numpy.save(a), "application/octet-stream"
                )
            )
            self.items[each] = ItemChanged(
                event_id=f"{each}-{seq}",
                occurred_at=START,
                changed_at=START + timedelta(seconds=seq, microseconds=1000 * self.dice.randrange(1000)),
                item_id=each,
                kind="audio",
                change="published",
                seq=seq,
                uploader="u-é界",
                title=f"Title {seq}",
                # the debug recommender places what has this tag
                labels=(Label(name="calm", score=0.5),) if self.dice.random() < 0.5 else (),
                language="" if self.dice.random() < 0.5 else "fr",
                vector=tuple(arrays["joint"].tolist()),
                vector_version="v1",
                vectors=ref,
            )
        self.send(topics.ITEM_CHANGED.name, ((i, self.items[i]) for i in ids))
        return ids

    def withdraw(self, ids: Iterable[str]) -> None:
        for each in ids:
            old = self.items[each]
            self.items[each] = replace(
                old,
                event_id=f"{each}-{old.seq + 1}",
                changed_at=old.changed_at + timedelta(seconds=1),
                change="withdrawn",
                seq=old.seq + 1,
                title="",
                labels=(),
                vector=(),
                vector_version="",
                vectors=None,
            )
        self.send(topics.ITEM_CHANGED.name, ((i, self.items[i]) for i in ids))

    def tell(self, users: int) -> None:
        """Profiles, the older of two last."""
        profiles = [
            ProfileChanged(
                event_id=f"{user}-{minute}",
                occurred_at=START + timedelta(minutes=minute),
                user_id=f"user-{user}",
                birth_year=1990 + minute,
            )
            for user in range(users)
            for minute in (2, 1)
        ]
        self.send(topics.PROFILE_CHANGED.name, ((p.user_id, p) for p in profiles))

    def show(self, users: int) -> None:
        """Avatars that were judged, of every fourth user replaced since; and one of a user who is erased."""
        names = [f"user-{number}" for number in range(users)]
        chosen = [changed(f"{user}-a", 0, user) for user in (*names, "gone")]
        chosen += [changed(f"{user}-b", 10, user) for user in names[::4]]
        verdicts = [judged(f"{user}-a", 0, 2, "reject", user) for user in names]
        self.send(topics.AVATAR_CHANGED.name, ((each.user_id, each) for each in chosen))
        self.send(topics.AVATAR_MODERATED.name, ((each.user_id, each) for each in verdicts))
        self.send(topics.USER_ERASED.name, [("gone", erased(5, "gone"))])

    def play(self, count: int, users: int = 20) -> None:
        songs = [i for i, item in self.items.items() if item.change == "published"]
        plays = [
            SongPlayed(
                event_id=str(uuid.UUID(int=self.dice.getrandbits(128))),
                occurred_at=START + timedelta(seconds=self.dice.randrange(100_000)),
                user_id=f"user-{self.dice.randrange(users)}",
                song_id=self.dice.choice([*songs, "a-song-of-others"]),
                played_ms=self.dice.randrange(200_000),
                duration_ms=200_000,
                completion=self.dice.choice([0.2, 0.5, 0.95, 1.0]),
            )
            for _ in range(count)
        ]
        self.send(topics.SONG_PLAYED.name, ((play.user_id, play) for play in plays))

    def send(self, topic: str, records: Iterable[tuple[str, Record]]) -> None:
        for key, record in records:
            self._producer.produce(topic, key=key.encode(), value=self._codec.encode(record))
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    @property
    def published(self) -> set[str]:
        return {i for i, item in self.items.items() if item.change == "published"}

    def run(self, work: Callable[[Wiring], Awaitable[T]]) -> T:
        """Something on the stores, in a loop and with connections of its own."""

        async def inside() -> T:
            wiring = Wiring(self.settings)
            try:
                async with wiring.redis:
                    return await work(wiring)
            finally:
                wiring.close()

        return asyncio.run(inside())

    def prints(self, names: Sequence[str] = ()) -> dict[str, Prints]:
        """Fingerprint of every row of every store."""

        async def read(wiring: Wiring) -> dict[str, Prints]:
            stores = Stores(wiring.feature_reader, wiring.feature_writer, wiring.vector_index)
            every = targets((await recommender_in_use(wiring)).in_use)
            return {name: await stores.prints(target) for name, target in every.items() if name in names or not names}

        return self.run(read)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen; {self.log_tails()}"
            ended = [worker.returncode for worker in self.workers if worker.poll() is not None]
            assert not ended, f"workers ended with {ended}; {self.log_tails()}"
            time.sleep(0.5)
