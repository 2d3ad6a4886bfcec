"""What the stateless candidates do with a play, the same code for all: count and completion by user and by song."""

from __future__ import annotations

from collections import defaultdict
from typing import Any


class Tally:
    def __init__(self) -> None:
        self.plays: defaultdict[str, int] = defaultdict(int)
        self.completion: defaultdict[str, float] = defaultdict(float)

    def count(self, play: dict[str, Any]) -> None:
        user, song, completion = play["user_id"], play["song_id"], play["completion"]
        self.plays[user] += 1
        self.plays[song] += 1
        self.completion[user] += completion
        self.completion[song] += completion
