"""Which version may take the place of the one in use."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from models.recommender_manifest import DatasetRef, Manifest, Measure, read_manifest
from processors.tools.models_registry.gate import GateError, compare, require, require_content
from tests.bundles import DEBUG

BASE = read_manifest((DEBUG / "manifest.json").read_bytes(), "manifest.json")


def measured(*measures: Measure, data: str = "0" * 16) -> Manifest:
    return replace(BASE, measures=measures, dataset=DatasetRef("debug", data, non_commercial=False))


def recall(mean: float, *values: float, bar: float | None = None) -> Measure:
    return Measure("warm", "recall@20", mean, mean, mean, values, bar=bar)


def loss(mean: float) -> Measure:
    return Measure("ranking", "log_loss", mean, mean, mean, goal="least")


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ((recall(0.31),), (recall(0.30),)),
        ((recall(0.296),), (recall(0.30),)),
        ((loss(0.55),), (loss(0.56),)),
        ((recall(0.30, 0.29, 0.31, 0.30),), (recall(0.30, 0.30, 0.30, 0.301),)),
        ((recall(0.30), loss(0.5)), (recall(0.30),)),
    ],
)
def test_as_good_or_better_passes(new: tuple[Measure, ...], old: tuple[Measure, ...]) -> None:
    assert not [each.problem for each in require(measured(*new), measured(*old)) if each.problem]


@pytest.mark.parametrize(
    ("new", "old", "reason"),
    [
        ((recall(0.29),), (recall(0.30),), "worse than 0.3000 by 3.3%"),
        ((loss(0.58),), (loss(0.56),), "worse than 0.5600 by 3.6%"),
        ((recall(0.299, 0.289, 0.309, 0.299),), (recall(0.30, 0.29, 0.31, 0.30),), "worse in each of 3 splits"),
        ((loss(0.56),), (recall(0.30), loss(0.56)), "warm/recall@20: not measured"),
        ((recall(0.30, bar=0.35),), (recall(0.30),), "does not reach the bar of 0.3500"),
    ],
)
def test_worse_is_refused(new: tuple[Measure, ...], old: tuple[Measure, ...], reason: str) -> None:
    with pytest.raises(GateError, match=reason):
        require(measured(*new), measured(*old))


def test_figures_of_other_data_do_not_compare() -> None:
    with pytest.raises(GateError, match="the figures do not compare"):
        require(measured(recall(0.9)), measured(recall(0.3), data="1" * 16))


def test_the_first_version_needs_its_bars_only() -> None:
    assert [each.problem for each in compare(measured(recall(0.3, bar=0.3)), None)] == [""]
    with pytest.raises(GateError, match="bar"):
        require(measured(recall(0.2, bar=0.3)), None)


def test_a_version_that_does_not_know_the_vectors_of_most_items_is_refused() -> None:
    candidate = replace(BASE, content_version="new")
    with pytest.raises(GateError, match="it knows content vectors new, which 1 of 4 published items have; 2 have old"):
        require_content(candidate, Counter({"old": 2, "older": 1, "new": 1}))
    for suits in ({}, {"new": 3, "old": 3}, {"new": 1}):
        require_content(candidate, Counter(suits))
    require_content(replace(candidate, content_version=""), Counter({"old": 2}))
