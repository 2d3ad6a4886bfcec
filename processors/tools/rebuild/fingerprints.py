"""Rows as short digests, one for each field, so that whole stores can be compared in memory.

Eight bytes of BLAKE2b a field: for a million rows the chance that a difference goes unseen is below 1e-13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from features.ports import FeatureRow, VectorRow
from features.views import Collection, View

SIZE = 8
Target = View | Collection
Row = FeatureRow | VectorRow
Prints = dict[str, bytes]
"""Fingerprint by row id."""


@dataclass
class Difference:
    """How one store's rows differ from another state of it.

    Attributes:
        before: Rows before.
        after: Rows after.
        missing: Ids that are there no longer.
        added: Ids that are new.
        changed: Names of the fields that differ, by id.
    """

    before: int
    after: int
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.missing or self.added or self.changed)


def field_names(target: Target) -> tuple[str, ...]:
    """Names of what a fingerprint consists of, in its order."""
    if isinstance(target, View):
        return ("event time", *target.fields)
    return ("vector", *target.scalars)


def fingerprint(target: Target, row: Row) -> bytes:
    """Digest of each field, one after the other; a field without a value counts as None."""
    if isinstance(row, FeatureRow):
        values = [row.at.isoformat(), *(row.values.get(name) for name in field_names(target)[1:])]
    else:
        values = [row.vector, *(row.scalars[name] for name in field_names(target)[1:])]
    return b"".join(_digest(value) for value in values)


def differing(target: Target, one: bytes, other: bytes) -> tuple[str, ...]:
    """Names of the fields in which two fingerprints differ."""
    return tuple(
        name
        for index, name in enumerate(field_names(target))
        if one[index * SIZE : (index + 1) * SIZE] != other[index * SIZE : (index + 1) * SIZE]
    )


def compare(
    target: Target, before: Mapping[str, bytes], after: Mapping[str, bytes], moved: frozenset[str] = frozenset()
) -> Difference:
    """What differs; rows named in ``moved`` were changed by others meanwhile and are not compared."""
    return Difference(
        before=len(before),
        after=len(after),
        missing=sorted(before.keys() - after.keys() - moved),
        added=sorted(after.keys() - before.keys() - moved),
        changed={
            each: differing(target, before[each], after[each])
            for each in sorted(before.keys() & after.keys() - moved)
            if before[each] != after[each]
        },
    )


def _digest(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        data = value.astype("<f4").tobytes()
    elif isinstance(value, bytes):
        data = value
    else:
        data = b"" if value is None else orjson.dumps(value)
    return blake2b(data, digest_size=SIZE).digest()
