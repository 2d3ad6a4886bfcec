"""CB2CF in a world where content decides taste: it must find that out, and bear what is missing or noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.sparse import csr_matrix

from models.dataset import DatasetError
from models.training.backbone import Backbone
from models.training.cb2cf import CB2CF, Config, Judged, cold_recall, export, fit_cb2cf, kernel_path, mapped
from models.training.content import WIDTH, Content, content_of
from models.training.content_baselines import blended, content_knn, ridge

USERS, ITEMS, WARM = 120, 240, 160
VALIDATION, TEST = np.arange(160, 200), np.arange(200, 240)


@dataclass(frozen=True)
class Planted:
    """Items of 8 tastes; the first modality shows them clearly, the second faintly."""

    content: Content
    plays: csr_matrix
    backbone: Backbone
    warm: np.ndarray

    def judged(self, items: np.ndarray) -> Judged:
        return Judged(items, self.plays)


def planted(present: np.ndarray | None = None) -> Planted:
    random = np.random.default_rng(5)
    tastes = random.normal(size=(8, 12))
    item, user = random.integers(8, size=ITEMS), random.integers(8, size=USERS)
    liked = random.random((USERS, ITEMS)) < np.where(user[:, None] == item, 0.5, 0.04)
    has = np.ones((ITEMS, 2), np.bool_) if present is None else present
    warm = np.arange(WARM)
    is_warm = np.arange(ITEMS) < WARM
    clear = (tastes[item] + 0.4 * random.normal(size=(ITEMS, 12))).astype(np.float32)
    faint = (tastes[item] + 2.0 * random.normal(size=(ITEMS, 12))).astype(np.float32)
    content = content_of({"clear": (clear, has[:, 0]), "faint": (faint, has[:, 1])}, is_warm)
    plays = csr_matrix(liked.astype(np.float32))
    users, items = random.normal(size=(USERS, 64)), random.normal(size=(ITEMS, 64))
    own = Backbone((users * 0.01).astype(np.float32), (items * 0.01).astype(np.float32))
    return Planted(content, plays, blended(own, csr_matrix(plays.multiply(is_warm)), warm, share=20.0), warm)


def fitted(world: Planted, config: Config | None = None) -> CB2CF:
    return fit_cb2cf(
        world.content,
        world.plays,
        world.backbone,
        world.warm,
        world.judged(VALIDATION),
        config or Config.debug(),
        lambda *_: None,
    )


def recall_of_test_items(world: Planted, module: CB2CF) -> float:
    return cold_recall(world.backbone.users, mapped(module, world.content, TEST)[0], world.judged(TEST))


@pytest.fixture(scope="module")
def world() -> Planted:
    return planted()


@pytest.fixture(scope="module")
def module(world: Planted) -> CB2CF:
    return fitted(world)


def test_it_places_items_that_nobody_has_played(world: Planted, module: CB2CF) -> None:
    random = np.random.default_rng(1).normal(size=(len(TEST), 64)).astype(np.float32)
    by_chance = cold_recall(world.backbone.users, random, world.judged(TEST))
    assert recall_of_test_items(world, module) > by_chance + 0.2
    flat, known = world.content.flat(), csr_matrix(world.plays.multiply(np.arange(ITEMS) < WARM))
    for scores in (ridge(flat, known, world.warm, 3.0), content_knn(flat, known, world.warm, 10)):
        other = cold_recall(np.eye(USERS, dtype=np.float32), scores[:, TEST].T, world.judged(TEST))
        assert other > by_chance + 0.2
        assert recall_of_test_items(world, module) > other - 0.05


def test_it_learns_beyond_the_kernel_path(world: Planted, module: CB2CF) -> None:
    own, _ = mapped(module, world.content, np.arange(ITEMS))
    straight = kernel_path(module, world.content)
    error = [float(np.square(v[world.warm] - world.backbone.items[world.warm]).mean()) for v in (own, straight)]
    assert error[0] != error[1]
    assert np.abs(own - straight).max() > 1e-3


def test_the_same_seed_gives_the_same_network(world: Planted, module: CB2CF) -> None:
    again = fitted(world)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))


def test_a_missing_modality_has_gate_0_and_does_not_matter(world: Planted, module: CB2CF) -> None:
    present = world.content.present.copy()
    present[TEST, 1] = False
    _, gates = mapped(module, replace(world.content, present=present), TEST)
    assert (gates[:, 1] == 0).all()
    assert (gates[:, 0] > 0).all()
    garbage = world.content.parts.copy()
    garbage[TEST, 1] = 100.0
    masked, _ = mapped(module, Content(world.content.names, garbage, present), TEST)
    zeroed, _ = mapped(module, Content(world.content.names, world.content.parts, present), TEST)
    assert np.array_equal(masked, zeroed)
    random = np.random.default_rng(1).normal(size=zeroed.shape).astype(np.float32)
    judged = world.judged(TEST)
    assert cold_recall(world.backbone.users, zeroed, judged) > 0.2 + cold_recall(world.backbone.users, random, judged)


def test_items_without_a_modality_among_the_warm_ones_are_borne() -> None:
    has = np.random.default_rng(2).random((ITEMS, 2)) > 0.3
    has[~has.any(axis=1)] = True
    world = planted(has)
    assert recall_of_test_items(world, fitted(world)) > 0.5


def test_an_item_without_any_modality_gets_the_mean_of_the_warm_vectors(world: Planted) -> None:
    module = fitted(world, replace(Config.debug(), popularity=0.0))
    nothing = Content(world.content.names, world.content.parts, np.zeros_like(world.content.present))
    vectors, gates = mapped(module, nothing, TEST)
    assert np.allclose(vectors, world.backbone.items[world.warm].mean(axis=0), atol=1e-4)
    assert not gates.any()


def with_noise(world: Planted) -> Planted:
    noise = (np.random.default_rng(3).normal(size=(ITEMS, 48)) / np.sqrt(48)).astype(np.float32)
    return replace(world, content=world.content.with_part("noise", noise, np.ones(ITEMS, np.bool_)))


def test_the_gate_of_noise_goes_far_below_that_of_what_is_real(world: Planted) -> None:
    noisy = with_noise(world)
    clear, _, of_noise = mapped(fitted(noisy), noisy.content, TEST)[1].mean(axis=0)
    assert of_noise < clear / 3


def test_the_onnx_file_answers_like_torch(world: Planted, module: CB2CF, tmp_path: Path) -> None:
    path = tmp_path / "cb2cf.onnx"
    assert export(module, world.content, path) < 1e-4
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    present = world.content.present[:5].astype(np.float32)
    present[0] = [0, 1]
    present[1] = 0
    parts = world.content.parts[:5]
    vectors, gates = session.run(["vector", "gates"], {"parts": parts, "present": present})
    with torch.no_grad():
        expected, expected_gates = module(torch.from_numpy(parts), torch.from_numpy(present))
    assert np.allclose(vectors, expected.numpy(), atol=1e-4)
    assert np.allclose(gates, expected_gates.numpy(), atol=1e-5)
    one = session.run(["vector"], {"parts": parts[:1], "present": present[:1]})[0]
    assert one.shape == (1, 64)


@pytest.mark.parametrize("what", ["content", "users", "warm items"])
def test_values_that_are_not_finite_are_refused(world: Planted, what: str) -> None:
    parts, users, items = world.content.parts.copy(), world.backbone.users.copy(), world.backbone.items.copy()
    {"content": parts, "users": users, "warm items": items}[what][3] = np.nan
    bad = replace(world, content=replace(world.content, parts=parts), backbone=Backbone(users, items))
    with pytest.raises(DatasetError, match=f"{what}: row 3 is not finite"):
        fitted(bad)


def test_a_warm_item_without_content_and_a_world_without_plays_are_refused(world: Planted) -> None:
    present = world.content.present.copy()
    present[7] = False
    with pytest.raises(DatasetError, match="row 7 has no modality"):
        fitted(replace(world, content=replace(world.content, present=present)))
    with pytest.raises(DatasetError, match="no plays"):
        fitted(replace(world, plays=csr_matrix((USERS, ITEMS), dtype=np.float32)))


def test_a_part_that_is_too_wide_is_refused() -> None:
    with pytest.raises(ValueError, match="could not broadcast"):
        content_of({"wide": (np.ones((4, WIDTH + 1), np.float32), np.ones(4, np.bool_))}, np.ones(4, np.bool_))
