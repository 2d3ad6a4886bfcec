"""From a trained torch module to a committed weight: ONNX file, card, evaluation, parity record.

Every head has one input and one output of fixed names and a free first dimension. At export the ONNX
file must answer like torch (``PARITY``) on real inputs; these and torch's outputs are kept in
``parity.safetensors`` so that a test can repeat the comparison without torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn

from models import recorded, weights
from models.onnx import load_session
from models.weights import Card, Location, Recorded, Weights

PARITY = 1e-4
"""Greatest difference between torch and ONNX."""
_OPSET = 18
_RAMP = (4, -0.1, 0.1)
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Head:
    """What a card says of a head that the project trained.

    Attributes:
        name: Name of the weight.
        version: Version.
        summary: One sentence.
        training_data: What it was trained on.
        non_commercial: Whether that data's own licence excludes commercial use.
        quality: The measured figures in a few sentences.
        input: Name of the input.
        width: Length of one input vector.
        output: Name of the output.
        described: Input and output in words, one each.
    """

    name: str
    version: str
    summary: str
    training_data: str
    non_commercial: bool
    quality: str
    input: str
    width: int
    output: str
    described: tuple[str, str]


def write(
    module: nn.Module, head: Head, examples: NDArray[np.float32], evaluation: Mapping[str, Any], cards: Path
) -> Card:
    """Writes ``<cards>/<name>/<version>/`` and returns the card, its file verified.

    Args:
        module: Trained network in evaluation mode, float32 [N, width] to float32 [N, C].
        head: Words for the card.
        examples: float32 [N, width], real inputs to compare torch and ONNX on; a few.
        evaluation: Figures for ``evaluation.json``.
        cards: Folder of cards.

    Raises:
        ValueError: ONNX and torch differ by more than ``PARITY``.
    """
    folder = cards / head.name / head.version
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    _to_onnx(module, head, path)
    card = _card(head, path)
    session = load_session(Weights(card, path))
    with torch.no_grad():
        expected = module(torch.from_numpy(examples)).numpy()  # [N, C]
    worst = float(np.abs(session.feed({head.input: examples})[head.output] - expected).max())
    if not worst <= PARITY:
        raise ValueError(f"{card.label}: ONNX differs from torch by {worst:.2g}")
    parity_path = folder / "parity.safetensors"
    save_file({"inputs": examples, "outputs": np.ascontiguousarray(expected)}, parity_path)
    parity_path.chmod(0o644)  # safetensors writes files for their owner alone
    rows, low, high = _RAMP
    shape = (rows, head.width)
    answers = session.feed({head.input: recorded.ramp(shape, low, high)})
    summary = {name: tuple(round(v, 7) for v in recorded.summary(values)) for name, values in answers.items()}
    _dump(folder / "card.json", _fields(card, Recorded(shape, low, high, (), summary, _TOLERANCE)))
    parity = {"torch": torch.__version__, "worst_difference_of_onnx": worst}
    _dump(folder / "evaluation.json", {**evaluation, "parity": parity})
    return weights.read_card(folder / "card.json")


def _to_onnx(module: nn.Module, head: Head, path: Path) -> None:
    torch.onnx.export(
        module,
        (torch.zeros(2, head.width),),
        str(path),
        input_names=[head.input],
        output_names=[head.output],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=_OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    # the exporter's stack traces name folders of the machine that ran it
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _card(head: Head, path: Path) -> Card:
    return Card(
        name=head.name,
        version=head.version,
        summary=head.summary,
        location=Location("committed", path.name),
        sha256=weights.sha256_of(path),
        size_bytes=path.stat().st_size,
        licence="Apache-2.0",
        attribution=f"Made by this project with `python -m models.training {head.name}`",
        training_data=head.training_data,
        non_commercial_training_data=head.non_commercial,
        inputs=(head.described[0],),
        outputs=(head.described[1],),
        quality=head.quality,
        conversion=None,
        recorded=None,
        folder=path.parent,
    )


def _fields(card: Card, record: Recorded) -> dict[str, Any]:
    return {
        "name": card.name,
        "version": card.version,
        "summary": card.summary,
        "licence": card.licence,
        "attribution": card.attribution,
        "training_data": card.training_data,
        "non_commercial_training_data": card.non_commercial_training_data,
        "inputs": card.inputs,
        "outputs": card.outputs,
        "quality": card.quality,
        "location": {"kind": card.location.kind, "path": card.location.path},
        "sha256": card.sha256,
        "size_bytes": card.size_bytes,
        "conversion": None,
        "recorded": {
            "shape": record.shape,
            "low": record.low,
            "high": record.high,
            "tolerance": record.tolerance,
            "outputs": record.outputs,
        },
    }


def _dump(path: Path, fields: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
