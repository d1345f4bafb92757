"""What `audiomae plan` says a training step takes of memory, beside what real steps took.

    python benchmarks/plan_memory.py [--cases tiny:64:one,small:32:ddp,…] [--precision fp32] [--optimizer muon]
                                     [--seed 0]

A case is SIZE:BATCH:ARRANGEMENT; `ddp` and `fsdp` run two processes, BATCH over both. Each case trains in processes
of its own: the masked autoencoder with the clip-level term, on clips read from a corpus of noise, through the same
draw, loss, Accelerate wrapping, clipping and optimiser as `audiomae pretrain`.

On a GPU the measure is torch.cuda.max_memory_allocated. On a CPU it is the operating system's: the largest resident
set of a step (VmHWM, reset before the step) over the resident set when all libraries are loaded and a smaller
model has trained three steps. malloc is told to give freed blocks back at once, so that the resident set follows
what is allocated. The figure is that of the process that took most. The aim is 15 %.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from noise_corpus import write_noise_corpus
from report import conditions, markdown
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from audiomae.cli.main import leave
from audiomae.corpus.corpus import Corpus
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.planning.memory import ARITHMETICS, need_of
from audiomae.planning.network import network_of
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.pretraining.task import MaskedBatch, MaskedTask
from audiomae.training.optimizer import make_optimizer
from audiomae.training.processes import make_accelerator
from audiomae.training.settings import LoopSettings
from audiomae.training.step import Stepper, Totals

CASES = (
    "tiny:64:one,tiny:256:one,small:32:one,small:64:one,base:8:one,tiny:128:ddp,small:32:ddp,small:32:fsdp"
)
SMALL = ModelSettings(
    width=64, depth=1, heads=1, decoder_width=32, decoder_depth=1, decoder_heads=1, projection=32
)
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def resident(field: str) -> int:
    """Return VmRSS or VmHWM of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


class CpuShards(Stepper[MaskedBatch]):
    """The same step over shards of FSDP2 on CPU processes, which this version of Accelerate has no name for."""

    def __init__(self, task: MaskedTask, config: LoopSettings, accelerator: Accelerator) -> None:
        self.task, self.config, self.accelerator = task, config, accelerator
        mesh = init_device_mesh("cpu", (accelerator.num_processes,))
        for unit in task.units():
            fully_shard(unit, mesh=mesh)
        self.module = self.plain = fully_shard(task.module, mesh=mesh)
        self.optimizer = make_optimizer(self.module, config, task.units())


def train(corpus: Corpus, sizes: ModelSettings, loop: LoopSettings, *, steps: int) -> Stepper[MaskedBatch]:
    """Build what pretrain builds and make some steps."""
    cpu_shards = loop.sharding == "fsdp" and not torch.cuda.is_available()
    accelerator = make_accelerator(replace(loop, sharding="launcher") if cpu_shards else loop)
    torch.manual_seed(loop.seed)
    task = MaskedTask(
        corpus,
        sizes,
        MaskSettings("spans", 0.7, 4),
        PairSettings(),
        split=(np.arange(1, len(corpus)), np.arange(1)),
        batch=loop.batch,
        seed=loop.seed,
        pictures=None,
    )
    stepper = CpuShards(task, loop, accelerator) if cpu_shards else Stepper(task, loop, accelerator)
    for number in range(steps):
        stepper.step(stepper.draw(number), totals_of(stepper))
    return stepper


def totals_of(stepper: Stepper[MaskedBatch]) -> Totals:
    """Return what a step adds its losses to."""
    return Totals({}, 0, stepper.accelerator.device)


def measure(options: argparse.Namespace) -> None:
    """Measure one case in this process; the first process prints the largest figure in bytes."""
    torch.set_num_threads(1)
    size, batch, arrangement = options.child.split(":")
    corpus = Corpus.open(options.corpus)
    sharding = "fsdp" if arrangement == "fsdp" else "launcher"
    same = {
        "precision": options.precision,
        "sharding": sharding,
        "optimizer": options.optimizer,
        "seed": options.seed,
    }
    loop, warm = LoopSettings(batch=int(batch), **same), LoopSettings(batch=16, **same)
    train(corpus, SMALL, warm, steps=3)
    gc.collect()
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
    else:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = resident("VmRSS")
    stepper = train(corpus, model_of_size(size, projection=128), loop, steps=2)
    batches = stepper.draw(2)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    stepper.step(batches, totals_of(stepper))
    taken = (torch.cuda.max_memory_allocated() if on_gpu else resident("VmHWM")) - before
    every = stepper.accelerator.gather(torch.tensor([float(taken)], device=stepper.accelerator.device))
    if stepper.accelerator.is_main_process:
        Path(options.out).write_text(json.dumps({"bytes": float(every.max())}), encoding="utf-8")
    leave(0)


def run_case(case: str, corpus: Path, options: argparse.Namespace) -> list[str]:
    """Measure a case in new processes, and return its row."""
    size, batch, arrangement = case.split(":")
    ranks = 1 if arrangement == "one" else 2
    out = corpus.parent / "figure.json"
    words = [__file__, "--child", case, "--corpus", str(corpus), "--out", str(out)]
    words += ["--precision", options.precision, "--optimizer", options.optimizer, "--seed", str(options.seed)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"] if ranks == 2 else []
    environment = {**os.environ, **MALLOC, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, *launcher, *words], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    taken = json.loads(out.read_text(encoding="utf-8"))["bytes"]
    arithmetic = ARITHMETICS[options.precision]
    network = network_of(model_of_size(size, projection=128), "spans", 0.7, arithmetic, options.optimizer)
    need = need_of(network, arrangement, arithmetic, gpus=ranks, batch=int(batch), compared=int(batch))
    off = need.total / taken - 1
    parts = [need.parameters, need.gradients, need.optimizer, need.activations, need.buffers]
    return [
        f"{size}, batch {batch}, {'one process' if ranks == 1 else f'{arrangement.upper()}, 2 processes'}",
        *(f"{part / 1e6:.0f}" for part in parts),
        f"{need.total / 1e6:.0f}",
        f"{taken / 1e6:.0f}",
        f"{off:+.1%}" if abs(off) <= 0.15 else f"**{off:+.1%}**",
    ]


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--cases", default=CASES, help="SIZE:BATCH:ARRANGEMENT, arrangement one, ddp or fsdp, by commas"
    )
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="default fp32")
    parser.add_argument("--optimizer", default="muon", choices=("adamw", "muon"), help="default muon")
    parser.add_argument("--seed", type=int, default=0, help="key of weights and data, default 0")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        write_noise_corpus(corpus, tracks=8, seconds=60)
        rows = [run_case(case, corpus, options) for case in options.cases.split(",")]
    header = [
        f"MB of a process, {options.precision}, {options.optimizer}",
        "parameters",
        "gradients",
        "optimiser",
        "activations",
        "buffers",
    ]
    print(markdown([*header, "estimated peak", "measured peak", "off"], rows))
    print(conditions(options.seed))


if __name__ == "__main__":
    main()
