"""The tiny network that stands for an ArcFace network: how it is made, and that the committed file is that."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parents[1] / "unit/models/weights/tiny-face/1"
SIDE = 112
DIM = 512


def tiny() -> onnx.ModelProto:
    """float32 [N, 3, 112, 112] -> means of 56 px squares -> float32 [N, 512]."""
    weights = np.random.default_rng(7).normal(size=(3 * (SIDE // 56) ** 2, DIM)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["means"], kernel_shape=[56, 56], strides=[56, 56]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["683"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny-face",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("683", TensorProto.FLOAT, ["N", DIM])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def test_the_committed_file_is_this_network() -> None:
    content = tiny().SerializeToString(deterministic=True)
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    assert (card["size_bytes"], card["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (FOLDER / "tiny-face.onnx").read_bytes() == content
