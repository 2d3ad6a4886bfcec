"""What another order of the drawn places would have earned, estimated from the exposure log.

Where cold places were drawn by lot (``processors.serving.experiments.exploration``) the log knows the probability with
which each item took its place, given which items its block holds. For a target policy that puts item i at place j with
probability t, reward r of the item shown, and weight w = t(shown item) / propensity, a block's value is estimated by

- IPS: ``sum_j w_j r_j`` (Horvitz and Thompson 1952);
- SNIPS: ``places * sum w r / sum w`` over all blocks (Swaminathan and Joachims 2015);
- DR: ``sum_j [sum_i t_ij q_ij + w_j (r_j - q_j)]`` with a model q of the reward (Dudik, Langford and Li 2011).

They hold if an item's reward depends on item, user and place, not on what else the block holds (the item-position model
of Li et al. 2018, *Offline evaluation of ranking policies with click models*). The sums are taken by user, and the
intervals are those of the delta method over users. What the log cannot tell is refused: *which* cold items to show (the
candidates that lost are not logged), anything of places that were not drawn, and a policy that the log hardly followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import FiniteFloat, TypeAdapter, ValidationError

from processors.play_aggregation.counting import COMPLETED
from processors.serving.experiments.exploration import BLOCK
from processors.tools.experiments.inference import Estimate, ratio
from processors.tools.experiments.reading import WindowLog
from schemas.errors import AppError
from schemas.recommendation import ListServed

LEAST_SAMPLE = 100.0
"""Effective sample size under which an estimate says more of few lucky lists than of the policy."""
Floats = NDArray[np.float64]
Reward = Literal["opened", "liked", "finished"]
Policy = Literal["score", "uniform"] | Mapping[str, float]
ORDERS: dict[str, Policy] = {"score": "score", "uniform": "uniform"}


class NotEstimableError(AppError):
    """The log does not hold what the estimate needs."""

    code = "not-estimable"
    http_status = 422


@dataclass(frozen=True, slots=True)
class Blocks:
    """Drawn places in columns, one row a place; the rows of a block stand together, in the order of its places.

    Attributes:
        block: Number of the block, 0.., int64 [rows].
        place: Place within the block, 0.., int64 [rows].
        items: Items shown, [rows].
        scores: Score that the service had given, [rows].
        propensity: Probability of the item at this place, above 0, [rows].
        reward: What it earned, [rows].
        users: Number of the user of each block, int64 [blocks].
    """

    block: NDArray[np.int64]
    place: NDArray[np.int64]
    items: Sequence[str]
    scores: Floats
    propensity: Floats
    reward: Floats
    users: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """Estimates of the reward of a block, each with its error over users.

    Attributes:
        logged: What the policy in force earned.
        ips: Inverse propensity.
        snips: Self-normalised.
        doubly_robust: With the reward model.
        blocks: Blocks drawn.
        effective_sample: (sum w)^2 / sum w^2, in places; that of the log itself is the number of places.
    """

    logged: Estimate
    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate
    blocks: int
    effective_sample: float


def rewards(log: WindowLog, kind: Reward) -> dict[tuple[str, str], float]:
    """(Request id, item id) -> 1 where the place was opened (clicked or played), liked, or played to the end."""
    action = {"opened": "clicked", "liked": "liked"}.get(kind)
    found = {
        (event.exposure.request_id, event.item_id)
        for event in log.interactions.values()
        if event.exposure and event.action == action
    }
    if kind != "liked":
        found |= {
            (play.exposure.request_id, play.song_id)
            for play in log.plays.values()
            if play.exposure and (kind == "opened" or play.completion >= COMPLETED)
        }
    return dict.fromkeys(found, 1.0)


def drawn_blocks(lists: Iterable[ListServed], earned: Mapping[tuple[str, str], float]) -> Blocks:
    """The places drawn by lot.

    Args:
        lists: Lists served.
        earned: (Request id, item id) -> reward; 0 of those that are not there.

    Raises:
        NotEstimableError: nothing was drawn: every propensity is 1.
    """
    rows: list[tuple[int, int, str, float, float, float]] = []
    of_user: dict[str, int] = {}
    users: list[int] = []
    for served in lists:
        if all(item.propensity == 1.0 for item in served.items):
            continue
        cold = [item for item in served.items if item.cold]
        for first in range(0, len(cold), BLOCK):
            for place, item in enumerate(cold[first : first + BLOCK]):
                reward = earned.get((served.request_id, item.item_id), 0.0)
                rows.append((len(users), place, item.item_id, item.score, item.propensity, reward))
            users.append(of_user.setdefault(served.user_id, len(of_user)))
    if not rows:
        raise NotEstimableError(
            "no place of these lists was drawn by lot (every propensity is 1): a deterministic policy says nothing of "
            "another. Give an arm of layer mechanism the parameter explore."
        )
    block, places, items, *numbers = zip(*rows, strict=True)
    scores, propensity, reward_of = (np.array(column, np.float64) for column in numbers)
    if not ((propensity > 0.0) & (propensity <= 1.0)).all():
        raise NotEstimableError("the log has a propensity outside of (0, 1]")
    return Blocks(np.array(block), np.array(places), items, scores, propensity, reward_of, np.array(users))


def target(blocks: Blocks, policy: Policy) -> Floats:
    """Probability of each item of a block at each place of it under a policy, [rows of items, ``BLOCK`` places].

    Args:
        blocks: The log.
        policy: ``score``: by the logged score, best first; ``uniform``: any order; or a score of each item.

    Raises:
        NotEstimableError: an item has no score.
    """
    sizes = np.bincount(blocks.block)[blocks.block]
    found = np.zeros((len(blocks.block), BLOCK))
    if policy == "uniform":
        found[np.arange(BLOCK)[None, :] < sizes[:, None]] = 1.0
        return found / sizes[:, None]
    scores = blocks.scores
    if not isinstance(policy, str):
        missing = sorted(set(blocks.items) - set(policy))
        if missing:
            raise NotEstimableError(f"{len(missing)} items that were shown have no score, for example {missing[0]}")
        scores = np.array([policy[item] for item in blocks.items], np.float64)
    order = np.lexsort((-scores, blocks.block))
    # rows of a block stand together, so the sorted rows take the places in turn
    found[order, blocks.place] = 1.0
    return found


def named_policy(name: str) -> Policy:
    """``score``, ``uniform``, or the scores by item id that a JSON file of this name holds.

    Raises:
        NotEstimableError: the file is no object of finite numbers.
    """
    if name in ORDERS:
        return ORDERS[name]
    try:
        return TypeAdapter(dict[str, FiniteFloat]).validate_json(Path(name).read_bytes())
    except (OSError, ValidationError) as error:
        raise NotEstimableError(f"{name} is no JSON file of numbers by item id: {error}") from error


def evaluate(blocks: Blocks, wanted: Floats) -> PolicyValue:
    """Estimate what a target policy earns.

    Args:
        blocks: The log.
        wanted: See ``target``.

    Raises:
        NotEstimableError: the log hardly ever did what the policy would.
    """
    weight = wanted[np.arange(len(blocks.block)), blocks.place] / blocks.propensity
    squares = float(weight @ weight)
    effective = float(weight.sum()) ** 2 / squares if squares else 0.0
    if effective < LEAST_SAMPLE:
        raise NotEstimableError(
            f"the log hardly ever did what this policy would: its effective sample is {effective:.0f} of "
            f"{len(weight)} places, and at least {LEAST_SAMPLE:.0f} are needed"
        )
    model = reward_model(blocks)  # [rows, places]
    shown = model[np.arange(len(blocks.block)), blocks.place]
    direct = (wanted * model).sum(axis=1)
    ones = np.ones(len(blocks.users))

    def by_user(of_rows: Floats) -> Floats:
        return np.bincount(blocks.users[blocks.block], of_rows).astype(np.float64)

    per_user = np.bincount(blocks.users, ones).astype(np.float64)
    places = len(weight) / len(ones)
    snips = _required(by_user(weight * blocks.reward), by_user(weight))
    return PolicyValue(
        logged=_required(by_user(blocks.reward), per_user),
        ips=_required(by_user(weight * blocks.reward), per_user),
        snips=Estimate(snips.value * places, snips.error * places),
        doubly_robust=_required(by_user(direct + weight * (blocks.reward - shown)), per_user),
        blocks=len(ones),
        effective_sample=effective,
    )


def reward_model(blocks: Blocks) -> Floats:
    """Expected reward of each row's item at each place of its block, [rows, ``BLOCK``].

    Least squares with ridge over the place and the score, fitted on one half of the users for the other, so that no
    row's own reward is in its prediction.
    """
    half = blocks.users[blocks.block] % 2
    spread_of = float(blocks.scores.std()) or 1.0
    standard = (blocks.scores - blocks.scores.mean()) / spread_of
    places = np.eye(BLOCK)
    features = np.column_stack([places[blocks.place], standard])
    found = np.zeros((len(blocks.block), BLOCK))
    for side in (0, 1):
        fit, use = half != side, half == side
        gram = features[fit].T @ features[fit] + np.eye(BLOCK + 1)
        weights = np.linalg.solve(gram, features[fit].T @ blocks.reward[fit])
        found[use] = weights[:BLOCK][None, :] + weights[BLOCK] * standard[use, None]
    return found


def _required(above: Floats, below: Floats) -> Estimate:
    estimate = ratio(above, below)
    if estimate is None:
        raise NotEstimableError("one user is not enough")
    return estimate
