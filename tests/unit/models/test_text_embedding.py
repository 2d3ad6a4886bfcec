"""Text vectors across languages, sizes and threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.text_embedding import TextEncoder
from schemas.errors import BugError


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def test_like_titles_are_nearer(encoder: TextEncoder) -> None:
    sad, sad_too, bicycle = encoder.encode(["失恋的悲伤情歌", "分手后的伤感歌曲", "自行车维修"], "passage")
    assert sad @ sad_too > sad @ bicycle


def test_a_query_finds_its_passage(encoder: TextEncoder) -> None:
    passages = encoder.encode(["儿童生日快乐歌", "家常菜教程 红烧五花肉"], "passage")
    (query,) = encoder.encode(["happy birthday song for kids"], "query")
    assert query @ passages[0] > query @ passages[1]


def test_roles_differ(encoder: TextEncoder) -> None:
    query, passage = (encoder.encode(["piano"], role)[0] for role in ("query", "passage"))
    assert not np.allclose(query, passage)


@pytest.mark.parametrize("text", ["", " ", "\0", "a\0b", "\ud83d", "😀" * 3000, "́" * 3000])
def test_odd_texts_have_vectors(encoder: TextEncoder, text: str) -> None:
    vectors = encoder.encode([text], "passage")
    assert vectors.shape == (1, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-3)


def test_text_after_a_nul_counts(encoder: TextEncoder) -> None:
    one, two = encoder.encode(["love\0song", "love\0bicycle"], "passage")
    assert not np.allclose(one, two)


def test_the_end_of_a_very_long_text_is_not_read(encoder: TextEncoder) -> None:
    head = "love song " * 400
    one, two = encoder.encode([head + "piano", head + "bicycle"], "passage")
    np.testing.assert_array_equal(one, two)


def test_none_in_none_out(encoder: TextEncoder) -> None:
    assert encoder.encode([], "query").shape == (0, 384)


def test_batches_and_threads_do_not_change_vectors(encoder: TextEncoder) -> None:
    texts = [f"song number {number}" for number in range(20)]
    whole = encoder.encode(texts, "passage")
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: encoder.encode([text], "passage")[0], texts))
    np.testing.assert_array_equal(np.stack(rows), whole)


def test_an_engine_failure_is_seen(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder._engine, "encode", lambda texts, _: np.full((len(texts), 384), 3.0, np.float32))
    with pytest.raises(BugError):
        encoder.encode(["x"], "query")


def test_version_names_weights_and_code(encoder: TextEncoder) -> None:
    assert encoder.version == "multilingual-e5-small-q4@0.3.0/1"
