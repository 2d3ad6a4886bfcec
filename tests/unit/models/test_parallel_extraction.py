"""Parts of an item at the same time, on the real encoders too."""

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from models.image_embedding import ImageEncoder
from models.parallel_extraction import ParallelExtraction
from models.text_embedding import TextEncoder


@pytest.fixture
def extraction() -> Iterator[ParallelExtraction]:
    with closing(ParallelExtraction(2)) as workers:
        yield workers


def test_parts_run_at_the_same_time(extraction: ParallelExtraction) -> None:
    together = threading.Barrier(3, timeout=60)
    found = extraction.run(dict.fromkeys(("text", "image", "audio"), together.wait))
    assert list(found) == ["text", "image", "audio"]
    assert sorted(found.values()) == [0, 1, 2]


@pytest.mark.parametrize("failing", ["first", "second"])
def test_a_failing_part_is_raised_when_all_have_ended(extraction: ParallelExtraction, failing: str) -> None:
    ended: list[str] = []

    def part(name: str) -> None:
        if name == failing:
            raise ValueError(name)
        ended.append(name)

    with pytest.raises(ValueError, match=failing):
        extraction.run({name: lambda name=name: part(name) for name in ("first", "second", "third")})
    assert sorted(ended) == sorted({"first", "second", "third"} - {failing})


def test_no_parts(extraction: ParallelExtraction) -> None:
    assert extraction.run({}) == {}


def test_encoders_answer_as_they_do_alone(extraction: ParallelExtraction) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8)
    image, text = ImageEncoder(), TextEncoder()
    parts = {"image": lambda: image.pool(frames), "text": lambda: text.encode(["night train"], "passage")[0]}
    for name, vector in extraction.run(parts).items():
        assert np.allclose(vector, parts[name](), atol=1e-5)
