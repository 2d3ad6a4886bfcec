"""What a recipe is: a model, its data and settings, what it is measured by and what it must reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from models.dataset import Dataset
from models.recommender_manifest import Measure
from models.training.loop import Fit, Watch
from models.training.ranking_metrics import bootstrap
from schemas.errors import AppError

Values = Mapping[str, NDArray[np.float64]]
"""By measure (``protocol/name``) one value a user, or one value in all."""
Say = Callable[[str, int, float, float], None]
"""Called after each checked pass: curve, pass, training loss, validation measure."""
BARS_FOR = "ml-100k"
"""Data set whose figures the bars are about; the gate compares versions of any other with each other only."""
SPLITS_FOR_INTERVALS = 3
"""Splits from which the interval is over splits; with fewer it is over users."""
SPLITS_ELSEWHERE = 3
"""Splits that are measured on data sets other than that of the bars: what intervals and the gate need at least."""


class RecipeError(AppError):
    """A recipe that does not exist or cannot run here."""

    code = "recipe-unusable"


@dataclass(frozen=True, slots=True)
class Curve:
    """One training, pass by pass.

    Attributes:
        passes: Number of each checked pass, from 0.
        train: Mean training loss.
        validation: Validation measure.
    """

    passes: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


def unheard(_curve: str, _epoch: int, _train: float, _validation: float) -> None:
    """A `Say` that says nothing."""


class Run:
    """What trainers tell while they work.

    Attributes:
        curves: By name.
    """

    def __init__(self, say: Say) -> None:
        self.curves: dict[str, Curve] = defaultdict(Curve)
        self._say = say

    def watch(self, name: str) -> Watch:
        """For the loop: keeps the curve ``name``."""
        curve = self.curves[name]

        def watch(epoch: int, train: float, validation: float) -> None:
            curve.passes.append(epoch)
            curve.train.append(train)
            curve.validation.append(validation)
            self._say(name, epoch, train, validation)

        return watch

    def told(self, name: str) -> Watch:
        """For the loop: tells of it, but keeps no curve."""
        return partial(self._say, name)


class Recipe(Protocol):
    """One frozen dataclass a recipe.

    Attributes:
        name: Name on the command line; also that of the model among the methods of `measure`.
        summary: One sentence.
        splits: Seeds of the splits that it is measured on; see `splits_of`.
        bars: Least mean by measure.
        lower: Measures of which less is better.
        device: Where it trains.
    """

    name: str
    summary: str
    splits: tuple[int, ...]
    bars: Mapping[str, float]
    lower: frozenset[str]
    device: Literal["cpu", "cuda"]

    def debug(self) -> Recipe:
        """The same, done in seconds."""
        ...

    def measure(self, dataset: Dataset, split: int, run: Run) -> Mapping[str, Values]:
        """Train on a split; figures by method, the recipe's own and the baselines."""
        ...


DEBUG_FIT = Fit(epochs=3, patience=3, batch=4096, learning_rate=2e-2, weight_decay=0.0, decay="none")
"""Training of debug recipes on whole data sets."""


def check_device(device: str, able: tuple[str, ...]) -> None:
    """Whether a recipe can train there.

    Raises:
        RecipeError: it cannot.
    """
    if device not in able:
        raise RecipeError(f"this recipe trains on {' or '.join(able)}, not on {device}")
    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"torch {torch.__version__} sees no CUDA device")


def splits_of(recipe: Recipe, dataset: Dataset) -> tuple[int, ...]:
    """Seeds of the splits that a recipe is measured on with this data set."""
    return recipe.splits if dataset.name == BARS_FOR else recipe.splits[:SPLITS_ELSEWHERE]


def measures(recipe: Recipe, by_split: list[Mapping[str, Values]], dataset: str) -> list[Measure]:
    """Means with 95 % intervals, baselines beside them, and the bars where the data set is the one they are set for."""
    bars = recipe.bars if dataset == BARS_FOR else {}
    found = []
    for key in by_split[0][recipe.name]:
        per_split = [split[recipe.name][key] for split in by_split]
        means = np.array([values.mean() for values in per_split])
        whole = bootstrap(means if len(means) >= SPLITS_FOR_INTERVALS else np.concatenate(per_split))
        protocol, _, name = key.partition("/")
        methods = [method for method in by_split[0] if method != recipe.name and key in by_split[0][method]]
        baselines = {method: float(np.mean([s[method][key].mean() for s in by_split])) for method in methods}
        found.append(
            Measure(
                protocol,
                name,
                float(means.mean()),
                whole.low,
                whole.high,
                tuple(float(mean) for mean in means),
                baselines,
                "least" if key in recipe.lower else "greatest",
                bars.get(key),
            )
        )
    return found


def below_bars(found: list[Measure]) -> list[str]:
    """Words for each measure that does not reach its bar."""
    return [
        f"{each.key}: {each.mean:.4f}, at {'most' if each.goal == 'least' else 'least'} {each.bar:.4f} is wanted"
        for each in found
        if each.bar is not None and (each.mean - each.bar) * (-1 if each.goal == "least" else 1) < 0
    ]


def seeded(value: Any, seed: int) -> Any:
    """A config, or a recipe, in which every training has this seed."""
    if isinstance(value, Fit):
        return replace(value, seed=seed)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return replace(value, **{each.name: seeded(getattr(value, each.name), seed) for each in fields(value)})


def plain(value: Any) -> Any:
    """A config as JSON has it."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [plain(each) for each in (sorted(value) if isinstance(value, frozenset | set) else value)]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
