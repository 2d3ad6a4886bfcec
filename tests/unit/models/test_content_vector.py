"""Joining the vectors of an item."""

import itertools

import numpy as np
import pytest

from models.content_vector import DIM, PART_DIM, PARTS, ContentVectoriser, projection, split
from models.song_prompt import Song, song_prompt
from models.text_embedding import TextEncoder


@pytest.fixture(scope="module")
def vectoriser() -> ContentVectoriser:
    return ContentVectoriser()


def parts(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {part: rng.normal(size=length).astype(np.float32) for part, length in PARTS.items()}


def some(given: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, np.ndarray | None]:
    return {part: given[part] if part in names else None for part in PARTS}


SUBSETS = [names for size in (1, 2, 3) for names in itertools.combinations(PARTS, size)]


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_norm_is_one_and_absent_parts_are_zero(vectoriser: ContentVectoriser, names: tuple[str, ...]) -> None:
    joined = vectoriser.join(**some(parts(1), names))
    assert joined.shape == (DIM,)
    assert joined.dtype == np.float32
    assert np.linalg.norm(joined) == pytest.approx(1.0, abs=1e-5)
    for number, part in enumerate(PARTS):
        block = joined[number * PART_DIM : (number + 1) * PART_DIM]
        expected = 1 / np.sqrt(len(names)) if part in names else 0.0
        assert np.linalg.norm(block) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(SUBSETS, SUBSETS)))
def test_cosine_is_the_documented_one(
    vectoriser: ContentVectoriser, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    one, two = parts(1), parts(2)
    shared = set(first) & set(second)
    cosines = [vectoriser.join(**some(one, (part,))) @ vectoriser.join(**some(two, (part,))) for part in shared]
    actual = vectoriser.join(**some(one, first)) @ vectoriser.join(**some(two, second))
    assert actual == pytest.approx(sum(cosines) / np.sqrt(len(first) * len(second)), abs=1e-5)


def test_scale_of_a_part_does_not_matter(vectoriser: ContentVectoriser) -> None:
    given = parts(3)
    louder = {**given, "audio": given["audio"] * 7}
    np.testing.assert_allclose(vectoriser.join(**given), vectoriser.join(**louder), atol=1e-6)


def test_nothing_is_refused(vectoriser: ContentVectoriser) -> None:
    with pytest.raises(ValueError, match="at least one"):
        vectoriser.join(None, None, None)


@pytest.mark.parametrize("audio", [np.zeros(199, np.float32), np.full(200, np.nan, np.float32)])
def test_other_vectors_are_refused(vectoriser: ContentVectoriser, audio: np.ndarray) -> None:
    with pytest.raises(ValueError, match="audio"):
        vectoriser.join(audio, None, None)


def test_projection_never_changes() -> None:
    matrix = projection("audio", 200)
    assert matrix.shape == (64, 200)
    assert set(np.unique(matrix)) == {-0.125, 0.125}
    signs = "".join("+" if value > 0 else "-" for value in matrix[0, :16])
    assert signs == "+-+-+++---+++---"
    assert abs(float(matrix.mean())) < 0.01


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_split_gives_the_parts_back(vectoriser: ContentVectoriser, names: tuple[str, ...]) -> None:
    given = parts(7)
    whole = vectoriser.join(**some(given, names))
    found, present = split(np.stack([whole, np.zeros(DIM, np.float32)]))
    for name in PARTS:
        assert present[name].tolist() == [name in names, False]
        if name in names:
            alone = vectoriser.join(**some(given, (name,)))
            place = tuple(PARTS).index(name) * PART_DIM
            np.testing.assert_allclose(found[name][0], alone[place : place + PART_DIM], atol=1e-6)
    for wrong in (whole, np.stack([whole[:-1]]), np.stack([whole * np.float32(np.nan)])):
        with pytest.raises(ValueError, match="finite numbers"):
            split(wrong)


def test_projection_keeps_cosines() -> None:
    rng = np.random.default_rng(5)
    left, right = rng.normal(size=(2, 300, 1280))
    right = 0.7 * left + 0.7 * right

    def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)

    matrix = projection("image", 1280)
    error = cosines(left @ matrix.T, right @ matrix.T) - cosines(left, right)
    assert abs(error.mean()) < 0.03
    assert error.std() < 0.125


def test_titles_of_one_meaning_are_nearer_than_those_of_one_language(
    vectoriser: ContentVectoriser,
) -> None:
    titles = ["失恋的悲伤情歌", "a sad song after a break-up", "自行车维修", "how to fix a bicycle chain"]
    raw = TextEncoder().encode([song_prompt(Song(title)) for title in titles], "passage")
    joined = np.stack([vectoriser.join(None, None, row) for row in raw])
    meaning = [joined[0] @ joined[1], joined[2] @ joined[3]]
    language = [joined[0] @ joined[2], joined[1] @ joined[3]]
    assert min(meaning) > max(language) + 0.1
    assert raw[0] @ raw[2] > raw[0] @ raw[1]  # why centring alone is not enough
