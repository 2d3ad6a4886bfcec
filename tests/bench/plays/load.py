"""The plays that every candidate reads, and what counting them must give."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from confluent_kafka import Producer

from processors.play_aggregation.counting import COMPLETED
from processors.runtime.kafka import producer_config
from processors.runtime.settings import Kafka
from schemas import topics
from schemas.codec import Codec
from schemas.common import Exposure
from schemas.play import SongPlayed

START = datetime(2026, 10, 1, tzinfo=UTC)
SPREAD_S = 30 * 24 * 3600
REPEAT_EVERY = 100
"""Each hundredth play is sent twice by its client."""


@dataclass(frozen=True)
class Load:
    """Plays of users with even activity, of songs with Zipf popularity.

    Attributes:
        plays: Records on the topic, repeats included.
        users: Different listeners.
        songs: Different songs.
        seed: Of the dice.
    """

    plays: int = 400_000
    users: int = 2_000
    songs: int = 1_000
    seed: int = 11

    def events(self) -> Iterator[SongPlayed]:
        """The plays in the order sent; the same for the same load."""
        dice = random.Random(self.seed)
        songs = dice.choices(range(self.songs), [1 / (rank + 1) for rank in range(self.songs)], k=self.plays)
        last: SongPlayed | None = None
        for number, song in enumerate(songs):
            if last is not None and number % REPEAT_EVERY == 0:
                yield last
                continue
            last = SongPlayed(
                event_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
                occurred_at=START + timedelta(seconds=dice.randrange(SPREAD_S)),
                user_id=f"user-{dice.randrange(self.users):07}",
                song_id=f"song-{song:07}",
                played_ms=dice.randrange(1_000, 240_000),
                duration_ms=240_000,
                completion=dice.choice([0.25, 0.5, 0.9375, 1.0]),
                exposure=Exposure(surface="daily-list", position=dice.randrange(50), request_id=f"r{number:012}"),
            )
            yield last

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Plays, completions and milliseconds by user and by song, each event once."""
        found: dict[str, tuple[int, int, int]] = {}
        once = {play.event_id: play for play in self.events()}
        for play in once.values():
            for key in (play.user_id, play.song_id):
                plays, complete, heard = found.get(key, (0, 0, 0))
                found[key] = (plays + 1, complete + (play.completion >= COMPLETED), heard + play.played_ms)
        return found


def send(load: Load, kafka: Kafka, codec: Codec) -> int:
    """Write the plays to their topic; mean size of a value, bytes."""
    producer = Producer(producer_config(kafka) | {"linger.ms": 50, "batch.num.messages": 10_000})
    size = 0
    for number, play in enumerate(load.events()):
        value = codec.encode(play)
        size += len(value)
        while True:
            try:
                producer.produce(topics.SONG_PLAYED.name, key=play.user_id.encode(), value=value)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    if left := producer.flush(60):
        raise RuntimeError(f"{left} plays were not acknowledged")
    return size // load.plays
