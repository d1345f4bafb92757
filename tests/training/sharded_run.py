"""Starts `audiomae` with its weights really in parts on CPU processes.

Accelerate turns FSDP into DDP where there is no GPU, unless it takes the processes for GPU ones.
"""

from __future__ import annotations

from accelerate import PartialState
from accelerate.utils import DistributedType

from audiomae.cli.main import start

if __name__ == "__main__":
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    start()
