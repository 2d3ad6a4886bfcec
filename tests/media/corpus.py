"""Every hostile and odd file by family, each with the verdict it must meet."""

from __future__ import annotations

from tests.media import make_hostile, odd_pictures, odd_sounds, odd_videos, turned_bits
from tests.media.make_hostile import Case
from tests.media.scripts import Bait, scripts


def corpus(bait: Bait) -> dict[str, list[Case]]:
    """Family -> its files; ``code`` of a case is a rejection, "" for accepted, ``ANY`` for either."""
    return {
        "plainly hostile": make_hostile.HOSTILE,
        "honest but odd": make_hostile.HONEST,
        **scripts(bait),
        **odd_pictures.FAMILIES,
        **odd_videos.FAMILIES,
        **odd_sounds.FAMILIES,
        **turned_bits.FAMILIES,
    }
