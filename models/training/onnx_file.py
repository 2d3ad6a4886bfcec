"""A torch network as a clean ONNX file that answers like torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

PARITY = 1e-4
"""Greatest difference between torch and ONNX."""
OPSET = 18


def write_onnx(module: nn.Module, inputs: dict[str, Tensor], outputs: tuple[str, ...], path: Path) -> float:
    """Writes ``path`` and compares it with torch on ``inputs``.

    Args:
        module: Network in evaluation mode that takes the inputs in their order and gives a tensor or a tuple of them.
        inputs: Real examples by name, their first dimension free, of at least 2 rows.
        outputs: Names of what it gives.
        path: File.

    Returns:
        Greatest absolute difference between torch and ONNX.

    Raises:
        ValueError: this is more than ``PARITY``, or not finite.
    """
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        # all inputs share the one free dimension, which the exporter tells of each but the first
        warnings.filterwarnings("ignore", message="# The axis name: batch will not be used")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(path)
    without_traces(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    with torch.no_grad():
        expected = module(*inputs.values())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = session.run(list(outputs), {name: value.numpy() for name, value in inputs.items()})
    pairs = zip(answers, expected if isinstance(expected, tuple) else (expected,), strict=True)
    worst = max(float(np.abs(answer - value.numpy()).max()) for answer, value in pairs)
    if not worst <= PARITY:
        raise ValueError(f"{path.name}: ONNX differs from torch by {worst:.2g}")
    return worst


def without_traces(model: onnx.ModelProto) -> None:
    """Takes out the exporter's stack traces, which name folders of the machine that ran it."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
