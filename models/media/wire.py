"""The result on its way out of the sandbox: a length, JSON, then raw arrays. No pickle.

The child may be in an attacker's hands, so the parent believes nothing: every length, dtype, shape,
number and text is checked before it becomes an ``Analysis``.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from typing import Any

import numpy as np

from models.media.facts import ARRAYS, Arrays, ArraySpec, Findings

_LENGTH = struct.Struct("<Q")
_MAX_JSON = 1024 * 1024


class BadResultError(ValueError):
    """The bytes from the child are not a result."""


def write_message(fd: int, message: Mapping[str, Any]) -> None:
    """Send a result without arrays."""
    text = json.dumps(message, sort_keys=True).encode()
    _write_all(fd, _LENGTH.pack(len(text)) + text)


def write_findings(fd: int, findings: Findings) -> None:
    """Send the result of a pass; ``findings.arrays`` holds every array of ``ARRAYS``."""
    arrays = {name: np.ascontiguousarray(findings.arrays[name]) for name in ARRAYS}
    write_message(
        fd,
        {
            "facts": asdict(findings.facts),
            "text": asdict(findings.text),
            "arrays": {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()},
        },
    )
    for array in arrays.values():
        if array.size:
            _write_all(fd, array.reshape(-1).view(np.uint8).data)


def _write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_result(data: bytearray | memoryview) -> tuple[dict[str, Any], Arrays]:
    """Take the bytes of one child apart.

    Returns:
        The JSON object and the arrays (all of ``ARRAYS``, or none for a message without arrays). Those of single
        bytes keep ``data`` in memory, the others own theirs.

    Raises:
        BadResultError: Anything is not as ``write_findings`` would have written it.
    """
    if len(data) < _LENGTH.size:
        raise BadResultError("no result")
    (length,) = _LENGTH.unpack_from(data)
    if length > min(_MAX_JSON, len(data) - _LENGTH.size):
        raise BadResultError("the header is too long")
    start = _LENGTH.size + length
    try:
        header = json.loads(bytes(data[_LENGTH.size : start]))
    except (ValueError, RecursionError) as error:
        raise BadResultError("the header is no JSON") from error
    if not isinstance(header, dict):
        raise BadResultError("the header is no object")
    if "arrays" not in header:
        return header, {}
    return header, _read_arrays(header["arrays"], memoryview(data)[start:])


def check_description(described: Any) -> dict[str, tuple[int, ...]]:
    """Shapes from ``{name: [dtype, shape]}`` when they are those of an analysis.

    Raises:
        BadResultError: A name, dtype or shape does not fit ``ARRAYS``.
    """
    if not isinstance(described, dict) or set(described) != set(ARRAYS):
        raise BadResultError("the arrays are not those of an analysis")
    return {name: _checked_shape(described[name], spec, name) for name, spec in ARRAYS.items()}


def _read_arrays(described: Any, body: memoryview) -> Arrays:
    arrays: Arrays = {}
    for name, shape in check_description(described).items():
        spec, count = ARRAYS[name], prod(shape)
        if count * np.dtype(spec.dtype).itemsize > len(body):
            raise BadResultError(f"{name} is longer than the result")
        part = np.frombuffer(body, dtype=spec.dtype, count=count).reshape(shape)
        # single bytes lie well anywhere, and the frames are most of a result
        arrays[name] = part if part.itemsize == 1 else part.copy()
        body = body[part.nbytes :]
    if body:
        raise BadResultError("bytes after the last array")
    return arrays


def _checked_shape(described: Any, spec: ArraySpec, name: str) -> tuple[int, ...]:
    match described:
        case [str(dtype), list(shape)] if (
            dtype == spec.dtype
            and len(shape) == len(spec.shape)
            and all(type(n) is int and 0 <= n < 2**28 for n in shape)
            and all(want in (-1, n) for want, n in zip(spec.shape, shape, strict=True))
        ):
            return tuple(shape)
    raise BadResultError(f"{name} has a wrong type or shape")
