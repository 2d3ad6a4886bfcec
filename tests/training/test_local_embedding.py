"""The tiny network that stands for local weights: how it is made, and that the committed file is that (torch env)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parents[1] / "unit/models/weights/tiny-text/1"
WORDS = ("title:", "lyrics:", "night", "train", "piano", "rain", "sun", "drums")
DIM = 6


def tiny() -> onnx.ModelProto:
    """Strings [N] -> counts of eight words -> float32 [N, 6]; an unknown text is not zero."""
    random = np.random.default_rng(5)
    weights = random.normal(size=(len(WORDS), DIM)).astype(np.float32)
    nodes = [
        helper.make_node("StringSplit", ["text"], ["words", "lengths"]),
        helper.make_node(
            "TfIdfVectorizer",
            ["words"],
            ["counts"],
            mode="TF",
            min_gram_length=1,
            max_gram_length=1,
            max_skip_count=0,
            ngram_counts=[0],
            ngram_indexes=list(range(len(WORDS))),
            pool_strings=list(WORDS),
        ),
        helper.make_node("MatMul", ["counts", "weights"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny-text",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["N"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", DIM])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.full(DIM, 0.1, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def test_the_committed_file_is_this_network() -> None:
    content = tiny().SerializeToString(deterministic=True)
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    assert (card["size_bytes"], card["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (FOLDER / "tiny-text.onnx").read_bytes() == content
