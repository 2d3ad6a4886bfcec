"""Kept vectors."""

from pathlib import Path

import numpy as np

from models.training.encoding import cached, in_blocks


def test_a_key_is_computed_once(tmp_path: Path) -> None:
    calls: list[str] = []

    def make(name: str) -> np.ndarray:
        calls.append(name)
        return np.full((1, 2), len(calls), dtype=np.float32)

    first = cached(["a", "b"], tmp_path, lambda: make("first"))
    again = cached(["a", "b"], tmp_path, lambda: make("again"))
    other = cached(["ab"], tmp_path, lambda: make("other"))
    assert calls == ["first", "other"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_blocks_cover_all_rows() -> None:
    seen: list[int] = []
    rows = in_blocks(5, 2, lambda a, b: np.arange(a, b, dtype=np.float32)[:, None], seen.append)
    assert rows.ravel().tolist() == [0, 1, 2, 3, 4]
    assert seen == [2, 2, 1]
