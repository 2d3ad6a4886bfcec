"""A codec for all modules."""

from __future__ import annotations

import pytest

from schemas.codec import Codec
from tests.fakes.runtime import codec


@pytest.fixture(scope="module")
def known() -> Codec:
    return codec()
