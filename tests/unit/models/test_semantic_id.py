"""Codes of vectors with codebooks written by hand."""

from pathlib import Path

import numpy as np
import pytest

from models.semantic_id import SemanticIdError, SemanticIds, from_bytes, read, squared_errors

BOOKS = np.array([[[10, 0], [0, 10]], [[1, 0], [0, 1]]], np.float32)
VECTORS = np.array([[11, 0], [10, 1], [1, 10], [0, 11.4]], np.float32)


def test_codes_go_from_coarse_to_fine() -> None:
    ids = SemanticIds(BOOKS)
    codes = ids.encode(VECTORS)
    assert codes.dtype == np.int64
    assert codes.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert np.allclose(ids.decode(codes), [[11, 0], [10, 1], [1, 10], [0, 11]])
    assert (np.diff(squared_errors(ids, VECTORS)) < 0).all()


def test_buckets_join_items_with_the_same_first_codes() -> None:
    ids = SemanticIds(BOOKS)
    codes = ids.encode(VECTORS)
    assert ids.buckets(codes).tolist() == [0, 0, 1, 1]
    assert ids.buckets(codes, 2).tolist() == [0, 1, 2, 3]


def test_codes_of_nothing() -> None:
    assert SemanticIds(BOOKS).encode(np.empty((0, 2), np.float32)).shape == (0, 2)


def test_they_survive_a_file(tmp_path: Path) -> None:
    path = tmp_path / "semantic_id.safetensors"
    path.write_bytes(SemanticIds(BOOKS).to_bytes())
    assert np.array_equal(read(path).codebooks, BOOKS)


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [(np.ones((2, 3), np.float32), r"\[N, 2\] expected"), (np.array([[0, 0], [0, np.nan]], np.float32), "row 1")],
)
def test_vectors_they_are_not_made_for(vectors: np.ndarray, reason: str) -> None:
    with pytest.raises(SemanticIdError, match=reason):
        SemanticIds(BOOKS).encode(vectors)


@pytest.mark.parametrize("codes", [[[2, 0]], [[-1, 0]], [[0, 0, 0]], [0, 1]])
def test_codes_that_no_book_has(codes: list) -> None:
    with pytest.raises(SemanticIdError, match="codes"):
        SemanticIds(BOOKS).decode(np.array(codes))


@pytest.mark.parametrize("books", [BOOKS[0], BOOKS.astype(np.float64), BOOKS + np.float32("inf")])
def test_codebooks_that_are_none(books: np.ndarray) -> None:
    with pytest.raises(SemanticIdError, match="codebooks"):
        SemanticIds(books)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SemanticIdError, match="No such file"):
        read(tmp_path / "away")
    with pytest.raises(SemanticIdError, match="not a safetensors file"):
        from_bytes(b"{}")
