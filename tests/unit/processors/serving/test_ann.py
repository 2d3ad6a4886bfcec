"""Two native libraries in one process."""

from __future__ import annotations

import subprocess
import sys


def test_onnxruntime_and_usearch_live_in_one_process() -> None:
    """Loaded after usearch, onnxruntime ends the process with a segmentation fault."""
    code = "import processors.serving.ann, onnxruntime; onnxruntime.get_available_providers()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
