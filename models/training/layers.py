"""Layers that two or more of the networks use."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from scipy.sparse import csc_matrix, csr_matrix
from torch import Tensor, nn
from torch.nn import functional


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, vectors: Tensor, left: csr_matrix, transposed: csr_matrix | csc_matrix
    ) -> Tensor:
        ctx.transposed = transposed
        return _product(left, vectors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _product(ctx.transposed, gradient.contiguous()), None, None


def _product(left: csr_matrix | csc_matrix, vectors: Tensor) -> Tensor:
    if left.format == "csc":
        return torch.from_numpy(left @ vectors.numpy())
    # weighted sums of rows, two thirds of the time of scipy's product
    items, starts, weights = (torch.from_numpy(each) for each in (left.indices, left.indptr[:-1], left.data))
    return functional.embedding_bag(items, vectors, starts, mode="sum", per_sample_weights=weights)


def sparse_product(left: csr_matrix, vectors: Tensor, *, symmetric: bool = False) -> Tensor:
    """left [N, M] @ vectors [M, D] with a gradient to the vectors, float32 [N, D].

    torch's own sparse tensors are beta, and slow on one thread.

    Args:
        left: float32 [N, M].
        vectors: float32 [M, D].
        symmetric: ``left`` equals its transpose, which saves the slower product by columns on the way back.
    """
    product: Tensor = _SparseProduct.apply(vectors, left, left if symmetric else left.T)
    return product


class MLP(nn.Sequential):
    """Linear layers with GELU and dropout between them, none after the last."""

    def __init__(self, *widths: int, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU(), nn.Dropout(dropout)]
        super().__init__(*layers[:-2])
