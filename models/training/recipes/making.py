"""A version in the making: what its steps take from one another, and the bundle that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.recommender_bundle import write_bundle
from models.recommender_files import NETWORKS, TrainedItems
from models.recommender_manifest import Calibration, DatasetRef, FieldSpec, Manifest, Measure
from models.training.backbone import Backbone
from models.training.data.splits import Split, plays_of
from models.training.recipes.base import RecipeError, Run, plain
from models.training.recipes.evaluation import WARM_SPLIT


@dataclass(slots=True)
class Making:
    """Filled step by step; each step reads what earlier ones have left.

    Attributes:
        dataset: What is learnt from.
        rows: Its train, validation and test rows, plays and what was shown and not played; test rows stay unseen,
            `evaluation.evaluate` measures on them.
        split: Seed of these rows.
        seed: Seed of the models.
        debug: Whether in seconds.
        run: Takes the curves.
        configs: Settings by step.
        backbone: All users and items in the space of the version.
        boundaries: float32 [U], interest boundaries of these users.
        vectors: float32 [I, D], items in the space of the version; rows of items without train plays mean nothing.
        norm: Whether these have norm 1.
        networks: ONNX files by name.
        age_bounds: See `Manifest`.
        codes: int64 [I, L].
        codebooks: float32 [L, C, D].
        content_version, parts, tags: See `Manifest`; of ``cb2cf``.
        fields, dense, groups, ranking: See `Manifest`; of the ranker.
        calibration: See `Manifest`.
    """

    dataset: Dataset
    rows: Split
    split: int
    seed: int
    debug: bool
    run: Run
    configs: dict[str, Any] = field(default_factory=dict)
    backbone: Backbone | None = None
    boundaries: NDArray[np.float32] | None = None
    vectors: NDArray[np.float32] | None = None
    norm: Literal["unit", "free"] = "unit"
    networks: dict[str, bytes] = field(default_factory=dict)
    age_bounds: tuple[int, ...] = ()
    codes: NDArray[np.int64] | None = None
    codebooks: NDArray[np.float32] | None = None
    content_version: str = ""
    parts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    fields: tuple[tuple[str, int], ...] = ()
    dense: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    ranking: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self.dataset.users), len(self.dataset.items)

    @property
    def trained(self) -> NDArray[np.int64]:
        """Rows of the items with plays among the train rows, ascending."""
        played = self.dataset.interactions
        return np.unique(played.item[plays_of(played, self.rows.train)]).astype(np.int64)

    def whole(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], Calibration]:
        """Vectors, codes, codebooks and calibration.

        Raises:
            RecipeError: no step has made one of them, or a network; the message names what is missing.
        """
        made = {"vectors": self.vectors, "codes": self.codes, "codebooks": self.codebooks}
        made |= {"calibration": self.calibration}
        missing = [name for name, value in made.items() if value is None]
        missing += [name for name in NETWORKS if name not in self.networks]
        if missing or self.vectors is None or self.codes is None or self.codebooks is None or self.calibration is None:
            raise RecipeError(f"no step of this recipe has made {', '.join(missing)}")
        return self.vectors, self.codes, self.codebooks, self.calibration


Step = Callable[[Making], None]
"""Trains one part."""


def bundle(
    making: Making, folder: Path, measures: list[Measure], *, made_at: datetime, commit: str, parent: str | None
) -> Manifest:
    """Write the version.

    Args:
        making: All steps done.
        folder: Empty folder.
        measures: What the version is judged by.
        made_at: When, UTC, whole seconds.
        commit: Commit of the code.
        parent: Version in use.

    Raises:
        RecipeError: a part is missing.
        BundleError: the parts do not fit one another.
    """
    vectors, codes, codebooks, calibration = making.whole()
    dataset, rows = making.dataset, making.trained
    manifest = Manifest(
        version="",
        made_at=made_at,
        dataset=DatasetRef(dataset.name, dataset.version, dataset.non_commercial),
        content_version=making.content_version,
        dim=vectors.shape[1],
        norm=making.norm,
        parts=making.parts,
        tags=making.tags,
        occupations=dataset.users.occupations,
        age_bounds=making.age_bounds,
        fields=tuple(FieldSpec(name, size) for name, size in making.fields),
        dense=making.dense,
        groups=making.groups,
        ranking=plain(making.ranking),
        calibration=calibration,
        seeds={"models": making.seed, WARM_SPLIT: making.split},
        configs=plain(making.configs),
        code_commit=commit,
        parent=parent,
        measures=tuple(measures),
        files={},
    )
    items = TrainedItems(tuple(dataset.items.ids[row] for row in rows), vectors[rows], codes[rows])
    return write_bundle(folder, manifest, making.networks, items, codebooks)
