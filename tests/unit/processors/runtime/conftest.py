from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
import stamina


@pytest.fixture
def no_waits() -> Iterator[None]:
    """Stamina tries again at once, as often as it was told to."""

    real = stamina.retry_context

    def at_once(**more: object) -> object:
        return real(**{**more, "wait_initial": 0, "wait_max": 0, "wait_jitter": 0})  # type: ignore[arg-type]

    with patch.object(stamina, "retry_context", at_once):
        yield
