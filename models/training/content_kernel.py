"""From content to vectors in closed form: kernel ridge regression whose kernel learns which modality is of use.

The kernel multiplies one factor a modality, 1 + weight * exp(-rate * squared distance), and takes 1 off: the ANOVA
kernel (Stitson et al. 1999, "Support vector regression with ANOVA decomposition kernels"), which holds each modality
alone and every product of them. An old drama is not an old comedy: a sum over modalities cannot say that.

Weights and rates are learnt by gradient descent on the leave-one-out error, which has a closed form (Allen 1974,
PRESS), as relevance of inputs is (MacKay 1994, "Bayesian non-linear modelling"); a price on the roots of the weights
(bridge regression, Frank & Friedman 1993) takes away what does not pay for itself. Each dimension of the vectors then
gets the L2 with its own least leave-one-out error: the last ones of a factorisation are mostly noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import mul

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

STRENGTHS = np.geomspace(0.3, 200.0, 9)
"""L2 that a dimension may get."""
_RATES = 4.0
"""A rate is at most so many times larger or smaller than one over the median squared distance."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of the closed form.

    Attributes:
        landmarks: Most items that the kernel is solved for; the training of CB2CF holds 4 bytes for each modality,
            item and landmark.
        relevance_items: Items of a step by which weights and rates are learnt.
        relevance_steps: Steps of gradient descent.
        relevance_rate: Greatest step size.
        thrift: Price of a weight's square root, in units of the variance explained.
    """

    landmarks: int = 2048
    relevance_items: int = 500
    relevance_steps: int = 100
    relevance_rate: float = 0.15
    thrift: float = 0.002


class ContentKernel(nn.Module):
    """Similarity of items [B] to landmarks [L], and the answer [B, D]; its numbers are solved, not trained.

    Args:
        landmarks: L.
        modalities: M.
        width: Numbers of a part.
        dim: D.
    """

    places: Tensor
    known: Tensor
    weight: Tensor
    rate: Tensor
    dual: Tensor
    offset: Tensor

    def __init__(self, landmarks: int, modalities: int, width: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("places", torch.zeros(landmarks, modalities, width))
        self.register_buffer("known", torch.zeros(landmarks, modalities))
        self.register_buffer("weight", torch.ones(modalities))
        self.register_buffer("rate", torch.ones(modalities))
        self.register_buffer("dual", torch.zeros(landmarks, dim))
        self.register_buffer("offset", torch.zeros(dim))

    def near(self, parts: Tensor) -> Tensor:
        """Similarity by each modality [M, B, L] of parts [B, M, X], 0..1; 0 where the landmark has no such part."""
        apart = squared_distances(parts, self.places)  # [M, B, L]
        return torch.exp(-self.rate[:, None, None] * apart) * self.known.T[:, None]

    def forward(self, parts: Tensor, gates: Tensor) -> Tensor:
        """Answer [B, D] of parts [B, M, X] with gates [B, M], which stand for the weights; 0 where absent."""
        return product(self.near(parts), gates) @ self.dual + self.offset


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """By modality, [M, B, L], of parts [B, M, X] and [L, M, X]."""
    crossed = left.transpose(0, 1) @ right.permute(1, 2, 0)  # [M, B, L]
    own, other = left.square().sum(2).T, right.square().sum(2).T  # [M, B], [M, L]
    return (own[:, :, None] + other[:, None] - 2.0 * crossed).clamp(min=0.0)


def product(near: Tensor, gates: Tensor) -> Tensor:
    """The kernel [B, L] of similarities [M, B, L] by gates [B, M]."""
    return (
        reduce(mul, (1.0 + gate[:, None] * one for gate, one in zip(gates.unbind(1), near.unbind(0), strict=True))) - 1
    )


@dataclass(frozen=True, slots=True)
class Solved:
    """A solved kernel and what it needs to answer for an item as if it had never seen that item.

    Attributes:
        kernel: The kernel.
        strength: For each dimension the number of its row in ``inverses``, int64 [D].
        inverses: Inverses of kernel and L2, [S, L, L].
    """

    kernel: ContentKernel
    strength: Tensor
    inverses: Tensor

    def unseen(self, near: Tensor, gates: Tensor) -> Tensor:
        """Answers [W, D] for the items that were learnt from, the landmarks first, each without itself.

        Leaving item i out changes the dual by - inverse[:, i] dual[i] / inverse[i, i].

        Args:
            near: ``kernel.near`` of these items, [M, W, L].
            gates: [W, M].
        """
        kernel = self.kernel
        similar = product(near, gates)  # [W, L]
        count = len(kernel.dual)
        own = torch.einsum("il,sli->is", similar[:count], self.inverses)  # [L, S]
        self_effect = own / self.inverses.diagonal(dim1=1, dim2=2).T  # [L, S]
        left_out = self_effect[:, self.strength] * kernel.dual  # [L, D]
        answer = similar @ kernel.dual + kernel.offset  # [W, D]
        return torch.cat([answer[:count] - left_out, answer[count:]])


def solve(
    parts: Tensor,
    present: Tensor,
    vectors: Tensor,
    weight: Tensor,
    energy: Tensor,
    config: Config,
    kernel: ContentKernel,
) -> Solved:
    """Learns weights and rates, then solves.

    Args:
        parts: Standardised parts [W, M, X], zeros where absent.
        present: 0 or 1, [W, M].
        vectors: What to answer, [W, D].
        weight: How much each item counts, mean 1, [W].
        energy: How much an error of each dimension costs, [D].
        config: Settings.
        kernel: What is filled; the first items become its landmarks.
    """
    count = len(kernel.dual)
    kernel.weight, kernel.rate = _relevance(parts, present, vectors, weight, energy, config)
    parts, present, vectors, weight = parts[:count], present[:count], vectors[:count], weight[:count]
    # copies: a view of a larger tensor cannot be kept as a file
    kernel.places, kernel.known = parts.clone(), present.clone()
    similar = product(kernel.near(parts), kernel.weight * present).double().numpy()  # [L, L]
    root = weight.double().sqrt().numpy()  # [L]
    kernel.offset = _mean(vectors, weight)
    rest = (vectors - kernel.offset).double().numpy()  # [L, D]
    size, basis = np.linalg.eigh(root[:, None] * similar * root)  # [L], [L, L]
    turned = basis.T @ (root[:, None] * rest)  # [L, D]
    shrunk = 1.0 / (np.maximum(size, 0.0) + STRENGTHS[:, None])  # [S, L]
    duals = [basis @ (each[:, None] * turned) for each in shrunk]  # S times [L, D]
    errors = [
        np.square(dual / (np.square(basis) @ each)[:, None]).mean(0) for dual, each in zip(duals, shrunk, strict=True)
    ]
    chosen, strength = np.unique(np.argmin(errors, axis=0), return_inverse=True)  # [S'], [D]
    picked = np.stack([duals[place] for place in chosen])[strength, :, np.arange(len(strength))].T  # [L, D]
    inverses = [root[:, None] * (basis * shrunk[place]) @ basis.T * root for place in chosen]  # S' times [L, L]
    kernel.dual = _single(root[:, None] * picked)
    return Solved(kernel, torch.from_numpy(strength), _single(np.stack(inverses)))


def _relevance(
    parts: Tensor, present: Tensor, vectors: Tensor, weight: Tensor, energy: Tensor, config: Config
) -> tuple[Tensor, Tensor]:
    """Weight and rate of each modality, [M] and [M], by other items in each step: chance does not repeat itself."""
    modalities, count = parts.shape[1], min(len(parts), config.relevance_items)
    random = np.random.default_rng(0)
    few = torch.from_numpy(random.permutation(len(parts))[:count])  # [N]
    usual = torch.stack([_median(one) for one in squared_distances(parts[few], parts[few])])  # [M]
    rest = vectors - _mean(vectors, weight)  # [W, D]
    share = energy / (weight @ (rest.square() @ energy) / len(parts)).clamp(min=1e-30)  # [D]
    told, sped = torch.full((modalities,), -0.7, requires_grad=True), torch.zeros(modalities, requires_grad=True)
    strength = torch.tensor(1.5, requires_grad=True)
    optimiser = torch.optim.Adam([told, sped, strength], lr=config.relevance_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.relevance_steps)

    def rates() -> Tensor:
        return _RATES ** torch.tanh(sped) / usual  # [M]

    for _ in range(config.relevance_steps):
        few = torch.from_numpy(random.permutation(len(parts))[:count])  # [N]
        both = present[few].T[:, :, None] * present[few].T[:, None]  # [M, N, N]
        near = torch.exp(-rates()[:, None, None] * squared_distances(parts[few], parts[few])) * both  # [M, N, N]
        similar = product(near, told.exp().expand(count, -1))  # [N, N]
        inverse = torch.linalg.inv(similar + torch.diag(strength.exp() / weight[few]))  # [N, N]
        error = (inverse @ rest[few]) / inverse.diagonal()[:, None]  # [N, D]
        loss = weight[few] @ (error.square() @ share) / count + config.thrift * (told / 2.0).exp().sum()  # []
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return told.exp().detach(), rates().detach()


def _mean(vectors: Tensor, weight: Tensor) -> Tensor:
    return weight @ vectors / weight.sum()


def _median(apart: Tensor) -> Tensor:
    """Median of the positive distances; 1 where there is none."""
    positive = apart[apart > 1e-9]
    return positive.median() if len(positive) else torch.ones(())


def _single(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
