"""Rows of all processes, and a gradient as if there were one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import torch

from audiomae.disk.tensors import read_tensors
from audiomae.training.gather import gather_rows

SCRIPT = """
    import os, sys
    from pathlib import Path
    import torch
    from torch import distributed, nn
    from torch.nn.parallel import DistributedDataParallel
    from audiomae.cli.main import leave
    from audiomae.disk.tensors import write_tensors
    from audiomae.training.gather import gather_rows

    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    torch.manual_seed(0)
    module = DistributedDataParallel(nn.Linear(3, 2))
    points = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    out = gather_rows(module(points[rank * 3 : rank * 3 + 3]))
    loss = (out @ out.T).exp().sum()
    loss.backward()
    names = gather_rows(torch.arange(3) + 10 * rank)
    tensors = {"out": out, "gradient": module.module.weight.grad, "loss": loss.reshape(1), "names": names}
    write_tensors(Path(sys.argv[1]) / f"{rank}.safetensors", tensors)
    leave(0)
"""


def test_one_process_has_its_own_rows():
    rows = torch.ones(3, 2)
    assert gather_rows(rows) is rows


@pytest.mark.processes
def test_two_processes_have_the_rows_and_the_gradient_of_one(tmp_path):
    script = tmp_path / "gather.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = torch.nn.Linear(3, 2)
    out = module(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)))
    loss = (out @ out.T).exp().sum()
    torch.autograd.backward(loss)
    for rank in (0, 1):
        found = read_tensors(tmp_path / f"{rank}.safetensors")
        assert found["names"].tolist() == [0, 1, 2, 10, 11, 12]
        # The same sums in another order.
        torch.testing.assert_close(found["out"], out.detach(), atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(found["gradient"], module.weight.grad, atol=1e-5, rtol=1e-6)
        torch.testing.assert_close(found["loss"], loss.detach().reshape(1))
