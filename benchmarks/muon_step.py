"""Milliseconds of an optimiser's step on the encoder's blocks: our Muon beside torch's own and AdamW, in turns.

    python benchmarks/muon_step.py [--size tiny] [--rounds 5] [--threads 1]

torch's Muon orthogonalises in bfloat16 wherever it runs; ours in float32 on CPUs. All three move the same matrices.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from report import conditions, markdown
from torch.optim import AdamW, Optimizer

from audiomae.model.config import SIZES, model_of_size
from audiomae.model.encoder import Encoder
from audiomae.training.muon import Muon


def milliseconds(optimizer: Optimizer) -> float:
    """Time one step."""
    started = time.perf_counter()
    optimizer.step()
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--size", default="tiny", choices=sorted(SIZES), help="size of the encoder, default tiny"
    )
    parser.add_argument("--rounds", type=int, default=5, help="steps of each, default 5")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, default 1")
    parser.add_argument("--seed", type=int, default=0, help="key of weights and gradients, default 0")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    encoder = Encoder(model_of_size(options.size))
    matrices = [value for value in encoder.blocks.parameters() if value.ndim == 2]
    rest = [value for value in encoder.parameters() if value.ndim < 2]
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    arms: dict[str, Optimizer] = {
        # What AdamW would move has no gradient here, so nothing is timed but the matrices.
        "ours": Muon(matrices, [{"params": rest}], lr=1e-3, weight_decay=0.05, betas=(0.9, 0.95)),
        "torch.optim.Muon": torch.optim.Muon(matrices, lr=1e-3, adjust_lr_fn="match_rms_adamw"),
        "AdamW": AdamW(matrices, lr=1e-3),
    }
    for optimizer in arms.values():
        optimizer.step()  # makes the moments
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(options.rounds):
        for name, optimizer in arms.items():
            times[name].append(milliseconds(optimizer))
    ours = statistics.median(times["ours"])
    rows = []
    for name, taken in times.items():
        middle = statistics.median(taken)
        rows.append([name, f"{middle:.1f} ({min(taken):.1f} to {max(taken):.1f})", f"{middle / ours:.2f}"])
    print(markdown([f"optimiser, {len(matrices)} matrices of {options.size}", "ms a step", "of ours"], rows))
    print(conditions(options.seed))


if __name__ == "__main__":
    main()
