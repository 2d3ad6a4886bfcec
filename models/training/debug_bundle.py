"""The recommender bundle that tests open: ``python -m models.training.debug_bundle FOLDER``.

Made by hand instead of trained, so that anybody can foretell its answers, always the same bytes:

- a user's vector is the unit of 2 * history + a small vector of his age, gender and occupation; the boundary .2,
- an item's vector is the unit of the sum of its parts, each times its gate, and a gate is the part's presence,
- a logit is the mean of its fields' numbers, of the dense numbers and of the group's, times the number of the task.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.content_vector import ContentVectoriser
from models.dataset import GENDERS
from models.ranking_features import DENSE, GROUPS, TASKS, RankingLayout
from models.recommender_bundle import HISTORY, write_bundle
from models.recommender_files import CB2CF, RANKER, USER_TOWER, TrainedItems, signature
from models.recommender_manifest import Calibration, DatasetRef, FieldSpec, Manifest, Measure, Platt

DIM, ITEMS, LEVELS, CODES = 64, 24, 3, 32
BOUNDARY = 0.2
OPSET = 18
LAYOUT = RankingLayout(
    items=ITEMS,
    occupations=("", "artist", "student"),
    tags=("calm", "dance", "live"),
    kinds=(),
    dim=DIM,
    code_levels=LEVELS,
    code_size=CODES,
    history=HISTORY,
    completion_rate=0.5,
    mean_completion=0.5,
    usual=(0.2, 0.8),
    tag_shift=(0.1, 0.0, -0.1),
)
_TYPES = {"tensor(float)": TensorProto.FLOAT, "tensor(int64)": TensorProto.INT64}


def manifest(made_at: datetime = datetime(2026, 11, 21, tzinfo=UTC)) -> Manifest:
    """Manifest without version and files."""
    return Manifest(
        version="",
        made_at=made_at,
        dataset=DatasetRef("debug", "0000000000000000", non_commercial=False),
        content_version=ContentVectoriser().version,
        dim=DIM,
        norm="unit",
        parts=("audio", "image", "text", "tags"),
        tags=LAYOUT.tags,
        occupations=LAYOUT.occupations,
        age_bounds=(0, 18, 25, 35, 45, 50, 56),
        fields=tuple(FieldSpec(name, size) for name, size in LAYOUT.fields),
        dense=DENSE,
        groups=GROUPS,
        ranking=LAYOUT.manifest(),
        calibration=Calibration(Platt(4.0, -2.0), Platt(4.0, -2.5)),
        seeds={"debug": 7},
        configs={},
        code_commit="",
        parent=None,
        measures=(
            Measure("warm", "recall@20", 0.3, 0.28, 0.32, (0.29, 0.31), {"popularity": 0.17}),
            Measure("ranking", "log_loss", 0.55, 0.54, 0.56, (0.55,), {"logistic": 0.56}, "least"),
        ),
        files={},
    )


def items(random: np.random.Generator) -> TrainedItems:
    """Trained items in two clusters: even rows and odd rows."""
    centres = unit(random.normal(size=(2, DIM)))
    rows = np.arange(ITEMS)
    vectors = unit(centres[rows % 2] + 0.08 * random.normal(size=(ITEMS, DIM)))
    codes = np.stack([rows % 2, rows % CODES, rows // 2], axis=1).astype(np.int64)
    return TrainedItems(tuple(f"debug-item-{row:02d}" for row in rows), vectors, codes)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows of norm 1."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def networks(shape: Manifest, random: np.random.Generator) -> dict[str, bytes]:
    """The three ONNX files."""
    tables = {
        "age": random.normal(0, 0.05, (len(shape.age_bounds) + 1, DIM)),
        "gender": random.normal(0, 0.05, (len(GENDERS), DIM)),
        "occupation": random.normal(0, 0.05, (len(shape.occupations), DIM)),
    }
    user = [helper.make_node("Mul", ["history", "two"], ["twice"])]
    user += [helper.make_node("Gather", [f"{name}_table", name], [f"{name}_vector"]) for name in tables]
    user += [
        helper.make_node("Sum", ["twice", *(f"{name}_vector" for name in tables)], ["sum"]),
        helper.make_node("LpNormalization", ["sum"], ["vector"], axis=1, p=2),
        helper.make_node("Mul", ["plays", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "level"], ["boundaries"]),
        helper.make_node("Squeeze", ["boundaries", "second"], ["boundary"]),
    ]
    content = [
        helper.make_node("Identity", ["present"], ["gates"]),
        helper.make_node("Unsqueeze", ["gates", "third"], ["wide"]),
        helper.make_node("Mul", ["parts", "wide"], ["gated"]),
        helper.make_node("ReduceSum", ["gated", "second"], ["sum"], keepdims=0),
        helper.make_node("LpNormalization", ["sum"], ["vector"], axis=1, p=2),
    ]
    pairs = [
        helper.make_node("Cast", ["fields"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numbers", "sizes"], ["shares"]),
        helper.make_node("Cast", ["group"], ["group_number"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["group_number", "second"], ["group_column"]),
        helper.make_node("Concat", ["shares", "dense", "group_column"], ["all"], axis=1),
        helper.make_node("ReduceMean", ["all", "second"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "tasks"], ["logits"]),
    ]
    constants = {f"{name}_table": table.astype(np.float32) for name, table in tables.items()}
    constants |= {"two": np.float32([2]), "zero": np.float32([0]), "level": np.float32([BOUNDARY])}
    constants |= {"second": np.array([1], np.int64), "third": np.array([2], np.int64)}
    constants |= {
        "sizes": np.array([field.size for field in shape.fields], np.float32),
        "tasks": np.arange(1, len(TASKS) + 1, dtype=np.float32),
    }
    nodes = {USER_TOWER: user, CB2CF: content, RANKER: pairs}
    return {name: _serialised(shape, name, of_name, constants) for name, of_name in nodes.items()}


def write(folder: Path, shape: Manifest | None = None) -> Manifest:
    """Write the bundle; its manifest."""
    random = np.random.default_rng(7)
    shape = shape or manifest()
    codebooks = random.normal(0, 0.1, (LEVELS, CODES, DIM)).astype(np.float32)
    return write_bundle(folder, shape, networks(shape, random), items(random), codebooks)


def _serialised(
    shape: Manifest, name: str, nodes: list[onnx.NodeProto], constants: dict[str, NDArray[np.generic]]
) -> bytes:
    inputs, outputs = (
        [helper.make_tensor_value_info(key, _TYPES[kind], ["batch", *rest]) for key, (kind, rest) in side.items()]
        for side in signature(shape, name)
    )
    used = {value for node in nodes for value in node.input}
    initialisers = [numpy_helper.from_array(value, key) for key, value in constants.items() if key in used]
    graph = helper.make_graph(nodes, name.removesuffix(".onnx"), inputs, outputs, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


if __name__ == "__main__":
    print(write(Path(sys.argv[1])).version)  # noqa: T201
