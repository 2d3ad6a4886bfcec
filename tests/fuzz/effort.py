"""How long fuzzing lasts: ``FUZZ_CASES`` cases a property (``make fuzz``: 100 000); without it a short form for CI."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

SHORT = 120
CASES = int(os.environ.get("FUZZ_CASES", str(SHORT)))

fuzz = settings(
    max_examples=CASES,
    deadline=None,
    # CI tries the same cases each time; a long run looks for new ones
    derandomize=CASES == SHORT,
    database=None,
    suppress_health_check=list(HealthCheck),
)
patience = pytest.mark.timeout(120 if CASES == SHORT else 4 * 3600)
