"""Writes the dashboard and the list of metrics in docs/operations.md."""

import sys

from infra.monitoring import generated

for path in generated.write():
    sys.stdout.write(f"wrote {path}\n")
