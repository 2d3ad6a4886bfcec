"""The closed form: what it says of an item left out is what solving without that item says."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.training import content_kernel
from models.training.content_kernel import Config, ContentKernel, Solved, product, solve

ITEMS, MODALITIES, WIDTH, DIM = 60, 2, 4, 3
CONFIG = Config(relevance_items=30, relevance_steps=10)


def lesson(seed: int = 3) -> dict[str, Tensor]:
    """The first dimension of the vectors follows the first modality, the others are noise."""
    random = np.random.default_rng(seed)
    parts = random.normal(size=(ITEMS, MODALITIES, WIDTH)).astype(np.float32)
    present = np.ones((ITEMS, MODALITIES), np.float32)
    present[::7, 1] = 0.0
    vectors = random.normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors[:, 0] = parts[:, 0, 0] + 0.1 * vectors[:, 0]
    weight = random.uniform(0.5, 1.5, size=ITEMS).astype(np.float32)
    found = {"parts": parts * present[:, :, None], "present": present, "vectors": vectors, "weight": weight}
    return {name: torch.from_numpy(values) for name, values in found.items()} | {"energy": torch.ones(DIM)}


def solved(given: dict[str, Tensor], landmarks: int = ITEMS) -> Solved:
    kernel = ContentKernel(landmarks, MODALITIES, WIDTH, DIM)
    return solve(**given, config=CONFIG, kernel=kernel)


def test_an_item_left_out_is_answered_as_if_solved_without_it() -> None:
    given = lesson()
    found = solved(given)
    kernel, gates = found.kernel, found.kernel.weight * given["present"]
    unseen = found.unseen(kernel.near(given["parts"]), gates)
    similar = product(kernel.near(given["parts"]), gates).double()  # [L, L]
    rest = (given["vectors"] - kernel.offset).double()
    for item in (0, 7, 31):
        others = np.delete(np.arange(ITEMS), item)
        for column, row in enumerate(found.strength.tolist()):
            l2 = l2_of(similar, found.inverses[row], given["weight"])
            matrix = similar[others][:, others] + torch.diag(l2 / given["weight"][others].double())
            dual = torch.linalg.solve(matrix, rest[others, column])
            expected = similar[item, others] @ dual + kernel.offset[column]
            assert abs(float(expected) - float(unseen[item, column])) < 1e-3


def l2_of(similar: Tensor, inverse: Tensor, weight: Tensor) -> float:
    """The L2 that an inverse was made with."""
    return float((torch.linalg.inv(inverse.double()) - similar).diagonal().mul(weight.double()).mean())


def test_items_beyond_the_landmarks_are_answered_by_these_alone() -> None:
    given = lesson()
    found = solved(given, landmarks=40)
    near = found.kernel.near(given["parts"])
    gates = found.kernel.weight * given["present"]
    unseen = found.unseen(near, gates)
    assert unseen.shape == (ITEMS, DIM)
    assert torch.allclose(unseen[40:], found.kernel(given["parts"], gates)[40:], atol=1e-5)
    assert not torch.allclose(unseen[:40], found.kernel(given["parts"], gates)[:40], atol=1e-2)


def test_products_of_modalities_are_learnt() -> None:
    random = np.random.default_rng(1)
    signs = random.choice([-1.0, 1.0], size=(200, MODALITIES)).astype(np.float32)
    parts = np.zeros((200, MODALITIES, WIDTH), np.float32)
    parts[:, :, 0] = signs
    vectors = signs.prod(axis=1, keepdims=True) + 0.3 * random.normal(size=(200, DIM))
    given = [torch.from_numpy(each.astype(np.float32)) for each in (parts, np.ones((200, MODALITIES)), vectors)]
    kernel = ContentKernel(200, MODALITIES, WIDTH, DIM)
    found = solve(*given, torch.ones(200), torch.ones(DIM), CONFIG, kernel)
    unseen = found.unseen(kernel.near(given[0]), kernel.weight * given[1])
    assert np.corrcoef(unseen[:, 0].numpy(), vectors[:, 0])[0, 1] > 0.8


def test_a_dimension_of_noise_is_shrunk_more_than_one_that_content_tells() -> None:
    found = solved(lesson())
    assert found.strength[2] > found.strength[0]


def test_a_missing_modality_counts_on_neither_side() -> None:
    given = lesson()
    found = solved(given)
    near = found.kernel.near(given["parts"])  # [M, W, L]
    assert not near[1, :, ::7].any()
    garbage = given["parts"].clone()
    garbage[::7, 1] = 50.0
    gates = found.kernel.weight * given["present"]
    assert torch.equal(found.kernel(garbage, gates), found.kernel(given["parts"], gates))


def test_modalities_that_are_all_alike_are_borne() -> None:
    given = lesson() | {"parts": torch.zeros(ITEMS, MODALITIES, WIDTH)}
    found = solved(given)
    assert torch.isfinite(found.kernel(given["parts"], found.kernel.weight * given["present"])).all()
    assert content_kernel.STRENGTHS.min() > 0
