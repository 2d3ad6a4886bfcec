"""Verdicts that the hostile corpus once found wrong; all of it runs in tests/hostile."""

import dataclasses

import pytest

from models.media.analysis import MediaAnalyser
from models.media.limits import LIMITS
from schemas.errors import BadMediaError
from tests.media import make_hostile as make
from tests.media.odd_pictures import FAMILIES, flipped

OTHERS = FAMILIES["pictures: other types"]


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.name)
def test_another_type_of_file_is_called_so(analysed, case):
    with pytest.raises(BadMediaError) as caught:
        analysed(case.make(), "picture")
    assert caught.value.code == "media-type"


def test_frames_that_are_declared_and_missing(analysed):
    (case,) = [each for each in FAMILIES["pictures: bombs"] if each.name == "frames-declared.png"]
    with pytest.raises(BadMediaError) as caught:
        analysed(case.make(), "picture")
    assert caught.value.code == "media-truncated"


@pytest.mark.parametrize(("pixels", "code"), [(12 * 160 * 90, ""), (12 * 160 * 90 - 1, "media-limit")])
def test_pixels_of_an_animation_are_bounded(tmp_path, analysed, pixels, code):
    with MediaAnalyser(dataclasses.replace(LIMITS, picture_animation_pixels=pixels)) as analyser:
        if not code:
            assert analysed(make.animation("GIF", 12), "picture", analyser).facts.frame_count == 12
            return
        with pytest.raises(BadMediaError) as caught:
            analysed(make.animation("GIF", 12), "picture", analyser)
    assert caught.value.code == code


def test_a_stream_that_begins_late_is_no_mistake_of_ours(analysed):
    """PyAV has no object for it, and says so by an IndexError at the end of the file."""
    data = flipped(make.clip(1.0, container="mpegts"), 23, 0.02, 16)
    with pytest.raises(BadMediaError) as caught:
        analysed(data, "video")
    assert caught.value.code == "media-unreadable"
