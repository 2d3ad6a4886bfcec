"""Measures of ranked lists and of predicted probabilities, plain numpy and scipy.

Recall, NDCG and hit rate follow RecBole (binary relevance, recall over all that is relevant, ideal DCG cut at k); AUC
is the probability that a positive outranks a negative, GAUC its mean over users weighted by their rows (Zhu et al.
2017, "Optimized cost per click in Taobao display advertising").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import rankdata

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with what chance would allow.

    Attributes:
        mean: Mean.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def matrix(user: NDArray[np.int32], item: NDArray[np.int32], shape: tuple[int, int]) -> csr_matrix:
    """Binary interactions, float32 [U, I]; a pair that comes twice counts once."""
    found = csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape)
    found.data[:] = 1.0
    return found


def unknown(truth: csr_matrix, hidden: csr_matrix) -> csr_matrix:
    """What is to be found, [U, I], less what the lists hide: whoever plays a song again needs no list for it."""
    rest = csr_matrix(truth - truth.multiply(hidden.astype(np.bool_)))
    rest.eliminate_zeros()
    return rest


def ranked(scores: Scores, hidden: csr_matrix | None, allowed: NDArray[np.bool_] | None, k: int) -> NDArray[np.int64]:
    """The best items of each user, best first, int64 [U, k].

    Args:
        scores: float32 [U, I], larger is better; not changed.
        hidden: Pairs that must not be shown, [U, I]: what the user is known to have seen.
        allowed: bool [I], the candidates; None: all.
        k: Length of the lists; all items where there are fewer.
    """
    k = min(k, scores.shape[1])
    masked = scores.copy()
    if hidden is not None:
        masked[hidden.nonzero()] = -np.inf
    if allowed is not None:
        masked[:, ~allowed] = -np.inf
    best = np.argpartition(-masked, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(masked, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def list_metrics(lists: NDArray[np.int64], relevant: csr_matrix, cuts: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Measures of each user that has something relevant.

    Args:
        lists: int64 [U, K], best first, K >= the largest cut.
        relevant: [U, I].
        cuts: Lengths to measure at.

    Returns:
        ``recall@k``, ``ndcg@k``, ``mrr@k``, ``hit@k`` for each cut, float64 [users with something relevant].
    """
    count = np.diff(relevant.indptr)
    users = np.flatnonzero(count)
    hits = np.asarray(relevant[users[:, None], lists[users]].todense(), dtype=np.float64) > 0  # [V, K]
    count = count[users]
    discount = 1.0 / np.log2(np.arange(2, lists.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    found: dict[str, NDArray[np.float64]] = {}
    for k in cuts:
        top = hits[:, :k]
        found[f"recall@{k}"] = top.sum(axis=1) / count
        found[f"ndcg@{k}"] = (top * discount[:k]).sum(axis=1) / ideal[np.minimum(count, k)]
        found[f"mrr@{k}"] = np.where(top.any(axis=1), 1.0 / (top.argmax(axis=1) + 1), 0.0)
        found[f"hit@{k}"] = top.any(axis=1).astype(np.float64)
    return found


def coverage(lists: NDArray[np.int64], items: int) -> float:
    """Share of the catalogue that some list shows."""
    return len(np.unique(lists)) / items


def gini(shown: NDArray[np.int64]) -> float:
    """Inequality of how often items are shown, 0 (all alike) to 1; counts [I], zeros included."""
    ordered = np.sort(shown.astype(np.float64))
    total = ordered.sum()
    if total == 0:
        return 0.0
    place = np.arange(1, len(ordered) + 1)
    return float((2 * (place * ordered).sum() / (len(ordered) * total)) - (len(ordered) + 1) / len(ordered))


def auc(truth: NDArray[np.bool_], score: Scores) -> float:
    """Area under the ROC curve, ties at half.

    Raises:
        ValueError: only one class.
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        raise ValueError("AUC needs both classes")
    ranks = rankdata(score)
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def gauc(truth: NDArray[np.bool_], score: Scores, user: NDArray[np.int32]) -> float:
    """AUC within each user that has both classes, weighted by his rows."""
    order = np.argsort(user, kind="stable")
    bounds = np.flatnonzero(np.diff(user[order])) + 1
    total = weight = 0.0
    for rows in np.split(order, bounds):
        if 0 < truth[rows].sum() < len(rows):
            total += auc(truth[rows], score[rows]) * len(rows)
            weight += len(rows)
    return total / weight if weight else float("nan")


def log_loss(truth: NDArray[np.bool_], probability: Scores) -> float:
    """Mean negative log-likelihood; probabilities are kept 1e-7 from 0 and 1."""
    p = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.where(truth, np.log(p), np.log1p(-p)).mean())


def bootstrap(values: NDArray[np.float64], seed: int = 0, rounds: int = 1000) -> Interval:
    """Mean of values [n] with its 95 % percentile interval (Efron 1979).

    For a paired comparison give the differences.
    """
    random = np.random.default_rng(seed)
    means = np.array([values[random.integers(len(values), size=len(values))].mean() for _ in range(rounds)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))
