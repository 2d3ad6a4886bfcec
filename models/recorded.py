"""The recorded output of a weight: does the file still compute what it computed when we took it?

A hash says that a file is the same; this says that the file, the runtime and this processor
together give the same numbers. It also judges a rebuilt file, whose bytes may differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.onnx import load_session
from models.weights import Recorded, Weights, WeightsError

FIRST = 8
"""Values of each output that are recorded as they are."""
_GOLDEN = 0.6180339887498949


def ramp(shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
    """An input that anybody can make again: multiples of the golden ratio, fractions only.

    Args:
        shape: Shape of the result.
        low: Least possible value.
        high: Bound of the values.

    Returns:
        float32, evenly spread over [low, high) without a period.
    """
    index = np.arange(int(np.prod(shape)), dtype=np.float64)
    values = low + (high - low) * ((index * _GOLDEN) % 1.0)
    return values.reshape(shape).astype(np.float32)


def answer(weights: Weights, recorded: Recorded) -> dict[str, NDArray[np.float32]]:
    """Outputs of a weight for its recorded input."""
    if recorded.texts:
        from models.text_embedding import encode_with  # the engine is loaded for texts only

        return {"embedding": encode_with(weights, recorded.texts)}
    session = load_session(weights)
    return session.feed({session.inputs[0]: ramp(recorded.shape, recorded.low, recorded.high)})


def summary(values: NDArray[np.float32]) -> tuple[float, ...]:
    """Mean, root mean square and the first ``FIRST`` values of an output."""
    flat = values.astype(np.float64).ravel()
    return (
        float(flat.mean()),
        float(np.sqrt(np.mean(flat**2))),
        *(float(value) for value in flat[:FIRST]),
    )


def check(weights: Weights) -> float:
    """Compares a weight's outputs with those on its card.

    Returns:
        The greatest difference, as a share of the output's root mean square; 0 without a record.

    Raises:
        WeightsError: An output is missing or differs by more than the card's tolerance.
    """
    recorded = weights.card.recorded
    if recorded is None:
        return 0.0
    outputs = answer(weights, recorded)
    worst = 0.0
    for name, expected in recorded.outputs.items():
        if name not in outputs:
            raise WeightsError(f"{weights.label} has no output named {name}")
        actual = np.array(summary(outputs[name]))
        scale = max(abs(expected[1]), 1e-12)
        worst = max(worst, float(np.max(np.abs(actual - np.array(expected)))) / scale)
    if not worst <= recorded.tolerance:
        raise WeightsError(
            f"{weights.label} answers differently: off by {worst:.2g} of the output's size, "
            f"allowed is {recorded.tolerance:.2g}"
        )
    return worst
