"""ONNX Runtime sessions from verified weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.weights import Weights
from schemas.errors import AppError

CPU = ("CPUExecutionProvider",)


class ProviderError(AppError):
    """A provider that this ONNX Runtime does not have or that would not start."""

    code = "provider-unavailable"


class Session:
    """A loaded network. ``run`` may be called from several threads at once.

    Attributes:
        weights: The file it was loaded from.
        providers: What ONNX Runtime really uses, in order of preference.
    """

    def __init__(self, weights: Weights, session: ort.InferenceSession) -> None:
        self.weights = weights
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self._session = session
        self._outputs: list[str] = [output.name for output in session.get_outputs()]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the file."""
        return tuple(value.name for value in self._session.get_inputs())

    def run(self, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name; arguments are the inputs by name."""
        return self.feed(inputs)

    def feed(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """``run`` for inputs whose name is no Python name."""
        values = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, values, strict=True))


def load_session(weights: Weights, providers: Sequence[str] = CPU, threads: int = 1) -> Session:
    """Loads a network.

    Waiting threads sleep instead of spinning: several sessions and the worker share few cores.

    Args:
        weights: Verified file.
        providers: ONNX Runtime providers in order of preference; each must be available.
        threads: Threads inside an operator, >= 1.

    Raises:
        ProviderError: A provider is unknown to this build, or the first one did not start.
    """
    return Session(weights, open_network(str(weights.path), providers, threads))


def open_network(model: str | bytes, providers: Sequence[str] = CPU, threads: int = 1) -> ort.InferenceSession:
    """ONNX Runtime's own session of a file or of its bytes; see `load_session`.

    Raises:
        ProviderError: A provider is unknown to this build, or the first one did not start.
    """
    available: list[str] = ort.get_available_providers()
    missing = [provider for provider in providers if provider not in available]
    if missing or not providers:
        raise ProviderError(f"providers {missing or 'none'} asked for, available are {available}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    session = ort.InferenceSession(model, sess_options=options, providers=list(providers))
    session.disable_fallback()
    # a provider whose libraries are missing is dropped by ONNX Runtime with a log line only
    started = session.get_providers()
    if tuple(started[: len(providers)]) != tuple(providers):
        raise ProviderError(f"{list(providers)} asked for, {started} started")
    return session
