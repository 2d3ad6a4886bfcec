"""musicnn (Pons & Serra 2019) from its TensorFlow 1 checkpoint to ONNX.

Runs in an environment of its own (``tensorflow.txt``). The package's graph code is imported from
the pinned wheel, so that nothing of it is repeated here.

    python musicnn.py WHEEL OUT.onnx --variant MTT_musicnn
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tf.compat.v1.layers is gone from Keras 3
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import onnx
import tensorflow as tf
import tf2onnx

FRAMES = 187
MELS = 96
TAGS = 50


def freeze(folder: Path, variant: str) -> tf.compat.v1.GraphDef:
    """Inference graph with its variables folded into constants."""
    sys.path.insert(0, str(folder))
    from musicnn import models

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        with tf.name_scope("model"):
            patches = v1.placeholder(tf.float32, [None, FRAMES, MELS], name="logmel")
            logits, *_, penultimate = models.define_model(patches, tf.constant(False), variant, TAGS)
        v1.train.Saver().restore(session, f"{folder}/musicnn/{variant}/")
        tf.identity(tf.nn.sigmoid(logits), name="tags")
        tf.identity(penultimate, name="embedding")
        return v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), ["tags", "embedding"]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variant", choices=("MTT_musicnn", "MSD_musicnn"), required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(arguments.archive).extractall(folder)
        graph = freeze(Path(folder), arguments.variant)
    model, _ = tf2onnx.convert.from_graph_def(
        graph,
        input_names=["model/logmel:0"],
        output_names=["tags:0", "embedding:0"],
        opset=17,
    )
    rename(model, {"model/logmel:0": "logmel", "tags:0": "tags", "embedding:0": "embedding"})
    onnx.checker.check_model(model)
    onnx.save(model, arguments.out)


def rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Gives the graph's inputs and outputs their public names."""
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)


if __name__ == "__main__":
    main()
