"""Decoding in a process that may meet schemas it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from schemas.codec import Codec, UnknownSchemaError
from schemas.record import Record

R = TypeVar("R", bound=Record)

Learn = Callable[[int], str]
"""Fetches a schema's text by id; blocks; raises ``BadEventError`` (no such id) or ``UnavailableError``."""


class Decoder:
    """``Codec.decode`` that asks the registry once for each schema id it does not know."""

    def __init__(self, codec: Codec, learn: Learn) -> None:
        self._codec = codec
        self._learn = learn

    def decode(self, data: bytes | None, expected: type[R]) -> R:
        """Record of class ``expected``.

        Raises:
            BadEventError: the bytes are no such record.
            UnavailableError: the registry does not answer.
        """
        try:
            return self._codec.decode(data, expected)
        except UnknownSchemaError as unknown:
            self._codec.learn(unknown.schema_id, self._learn(unknown.schema_id))
        return self._codec.decode(data, expected)
