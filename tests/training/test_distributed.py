"""The loop on two processes of one machine, started by ``torchrun``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.distributed_program import fitted

ROOT = Path(__file__).parents[2]
BATCH = 16


def trained(folder: Path, processes: int, batch: int) -> list[dict[str, torch.Tensor]]:
    """Weights of each process."""
    folder.mkdir()
    program = ["-m", "tests.training.distributed_program", str(folder), str(batch)]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [load_file(folder / f"{rank}.safetensors") for rank in range(processes)]


@pytest.mark.timeout(600)
def test_two_processes_end_with_one_network_that_of_one_process_with_batches_twice_as_large(tmp_path: Path) -> None:
    one, other = trained(tmp_path / "two", 2, BATCH)
    alone = fitted(2 * BATCH).state_dict()
    small = fitted(BATCH).state_dict()
    for name, weights in one.items():
        assert torch.equal(weights, other[name])
        # the mean of the gradients of two halves is that of the whole, but for the order of the sums
        assert torch.allclose(weights, alone[name], atol=1e-5)
    # not for want of any difference: one process with small batches ends elsewhere
    assert max(float((weights - small[name]).abs().max()) for name, weights in one.items()) > 1e-2
