"""Cold places of a list drawn by lot, with the exact probability of what was drawn.

The order of the draw is a Plackett-Luce one: for each place in turn one of the cold candidates that are left, with
probability softmax(score / temperature) (Plackett 1975; drawn at once by adding Gumbel noise to ``score / temperature``
and sorting, Kool et al. 2019, *Stochastic beams and where to find them*).

The log holds what was shown, not the candidates that were not; so the propensities are those of the *places* given
what was shown. Drawn items are taken together in blocks of at most ``BLOCK`` consecutive places; the propensity of an
item is the probability that it took its very place of the block, given which items this block and those before hold.
With weights w = exp(score / temperature) and R the weight of what was never drawn or only in later blocks, an order s
of the block's items has probability in proportion to

    prod_j 1 / (R + w(s_j) + w(s_(j+1)) + ... + w(s_n))

since the numerators are the same for every order. At most 6! = 720 orders are summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from processors.serving.candidates import COLUMNS, Candidates

BLOCK = 6
Floats = NDArray[np.float64]
ORDERS = {count: np.array(list(permutations(range(count))), np.int64) for count in range(1, BLOCK + 1)}
"""All orders of n items, [n!, n]."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn for the cold places, in their order.

    Attributes:
        chosen: Index of the candidate, int64 [K].
        propensity: Probability that it took this place, given the items of its block, 0..1, float64 [K]; 1 for a
            block of one.
    """

    chosen: NDArray[np.int64]
    propensity: Floats


def explore(chosen: Candidates, ranked: Candidates, temperature: float, request_id: str) -> tuple[Candidates, Floats]:
    """Give the cold places of a list to cold candidates drawn by lot; all else stays.

    Args:
        chosen: The list, best first; its cold items mark the cold places.
        ranked: All candidates with their scores; the cold ones take part.
        temperature: See ``draw``.
        request_id: Seeds the draw.

    Returns:
        The list, and the propensity of each place, float64 [len(chosen)]; 1 where nothing was drawn.
    """
    places, pool = np.flatnonzero(chosen.cold), ranked.take(ranked.cold)
    drawn = draw(pool.score, len(places), temperature, request_id)
    both = Candidates(*(np.concatenate([getattr(chosen, name), getattr(pool, name)]) for name in COLUMNS))
    order = np.arange(len(chosen))
    order[places] = len(chosen) + drawn.chosen
    propensity = np.ones(len(chosen))
    propensity[places] = drawn.propensity
    return both.take(order), propensity


def draw(scores: NDArray[np.floating], places: int, temperature: float, request_id: str) -> Draw:
    """Draw candidates for places; the same request draws the same.

    Args:
        scores: Larger is better, finite, [N].
        places: Places to fill; K = min(places, N).
        temperature: Score difference that makes an item e times as likely; above 0.
        request_id: Seeds the draw.

    Raises:
        ValueError: a score is not finite, or the temperature is not above 0.
    """
    if not np.isfinite(scores).all() or not temperature > 0:
        raise ValueError(f"scores must be finite and the temperature ({temperature:g}) above 0")
    seed = int.from_bytes(blake2b(b"explore:" + request_id.encode(), digest_size=8).digest())
    scaled = np.asarray(scores, np.float64) / temperature
    chosen = np.argsort(-(scaled + np.random.default_rng(seed).gumbel(size=len(scaled))), kind="stable")[:places]
    propensity = np.empty(len(chosen))
    left = np.ones(len(scaled), np.bool_)
    for first in range(0, len(chosen), BLOCK):
        block = chosen[first : first + BLOCK]
        # anew for each block: what is left may be far below the best
        weights = np.exp(np.minimum(scaled - scaled[left].max(), 0.0))
        left[block] = False
        propensity[first : first + BLOCK] = np.diagonal(place_probabilities(weights[block], float(weights[left].sum())))
    return Draw(chosen.astype(np.int64), propensity)


def place_probabilities(weights: Floats, others: float) -> Floats:
    """Probability of item i at place j, given that exactly these items fill the block, float64 [n, n].

    Args:
        weights: Plackett-Luce weights of the block's items, not negative, [n] with n <= ``BLOCK``.
        others: Weight R of all that could have been drawn and was not, or not before the block was full.
    """
    orders = ORDERS[len(weights)]
    # items whose weight underflows are equally unlikely
    in_order = np.maximum(weights, np.finfo(np.float64).tiny)[orders]  # [n!, n]
    left = others + np.cumsum(in_order[:, ::-1], axis=1)[:, ::-1]
    logarithm = -np.log(left).sum(axis=1)
    probability = np.exp(logarithm - logarithm.max())
    found: Floats = np.stack([probability @ (orders == item) for item in range(len(weights))])  # [n, n]
    found /= probability.sum()
    return found
