"""What the community of the demo's recommender uploads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import av
import pytest

from infra.demo.material import CLIPS
from infra.demo.teach.themes import THEMES
from infra.demo.teach.uploads import VIDEO_S, Uploads

MADE = ["dance", "cartoon", "nature", "words", "pages"]


def test_the_same_seed_makes_the_same_uploads(tmp_path: Path) -> None:
    first, again = (list(Uploads(tmp_path / name, 3).of(MADE)) for name in ("a", "b"))
    assert [item.kind for item in first] == ["audio", "video", "post", "post", "score"]
    for one, other in zip(first, again, strict=True):
        assert (one.key, one.title, one.text) == (other.key, other.title, other.text)
        assert (one.file is None) == (other.file is None)
        if one.file is not None and other.file is not None and one.kind != "video":
            assert one.file.read_bytes() == other.file.read_bytes()


def test_another_seed_makes_others(tmp_path: Path) -> None:
    one, other = (next(Uploads(tmp_path, seed).of(["nature"])) for seed in (1, 2))
    assert one.file is not None
    assert other.file is not None
    assert one.file.read_bytes() != other.file.read_bytes()


def test_videos_have_pictures_and_half_of_them_sound(tmp_path: Path) -> None:
    kinds = Counter[tuple[str, ...]]()
    for item in Uploads(tmp_path, 1).of(["cartoon"] * 12):
        assert item.file is not None
        with av.open(str(item.file)) as container:
            lengths: list[Any] = [float(each.duration * each.time_base) for each in container.streams]  # type: ignore[operator]
            kinds[tuple(each.type for each in container.streams)] += 1
        assert lengths == pytest.approx([VIDEO_S] * len(lengths), abs=0.2)
    assert set(kinds) == {("video",), ("video", "audio")}


def test_the_demo_is_no_lesson() -> None:
    taught = {
        path.format(number)
        for theme in THEMES.values()
        if theme.music
        for _, path, numbers in theme.music.scores
        for number in numbers
    }
    asked = {recording.score.path.removeprefix("corpus/") for _, recording in CLIPS.values()}
    assert taught
    assert not taught & asked
