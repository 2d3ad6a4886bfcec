"""A data set with fewer items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.training.data.splits import Rows, Split


def of_items(dataset: Dataset, rows: Split, items: NDArray[np.int64]) -> tuple[Dataset, Split]:
    """Only some items, numbered in the order given, and only what was done with them.

    Args:
        dataset: All of it.
        rows: Rows of its interactions.
        items: Rows of items, each once.

    Returns:
        The smaller data set, and the same split of what is left.
    """
    place = np.full(len(dataset.items), -1, np.int32)
    place[items] = np.arange(len(items), dtype=np.int32)
    done = dataset.interactions
    kept = place[done.item] >= 0
    number = np.cumsum(kept) - 1

    def part(chosen: Rows) -> Rows:
        return number[chosen[kept[chosen]]]

    known = dataset.items
    fewer = replace(
        known,
        ids=tuple(known.ids[row] for row in items),
        titles=tuple(known.titles[row] for row in items),
        year=known.year[items],
        tagged=known.tagged[items],
        parts={name: vectors[items] for name, vectors in known.parts.items()},
        present={name: mask[items] for name, mask in known.present.items()},
        published_ms=None if known.published_ms is None else known.published_ms[items],
    )
    left = done.take(kept)
    left = replace(left, item=place[left.item])
    return replace(dataset, items=fewer, interactions=left), Split(*map(part, (rows.train, rows.validation, rows.test)))
