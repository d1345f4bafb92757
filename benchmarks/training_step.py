"""Clips a second of our training step, beside AudioMAE's arrangement with the same encoder, tokens and share masked.

    python benchmarks/training_step.py [--sizes tiny,small] [--batch 32] [--rounds 5] [--threads 1]
    python benchmarks/training_step.py --vectors CORPUS [--clips 8000] [--size tiny]

The first form times whole steps (forward, backward, clipping, optimiser) on the same batches in memory; the arms take
turns in one process, medians over the rounds. The peer has AdamW, ours what `pretrain` has. The target is 8 times.

The second asks whether the vectors are as good: it trains both arms on one corpus for equally many clips and for
equally many CPU seconds, and reports same-track rank-1 retrieval on tracks that neither was trained on.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from audiomae_arrangement import Arm, AudioMaeArrangement
from report import conditions, markdown
from torch import nn
from vector_quality import compare_vectors

from audiomae.model.autoencoder import Autoencoder, split_places
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.model.masking import draw_mask
from audiomae.training.optimizer import make_optimizer
from audiomae.training.settings import LoopSettings

PEER = "AudioMAE's arrangement, decoder 8 x 512"


def arms_of(size: str, shares: list[float]) -> dict[str, Arm]:
    """Return the models to time, by name; the peer first."""
    arms: dict[str, Arm] = {PEER: AudioMaeArrangement(model_of_size(size, decoded=1.0))}
    for share in shares:
        sizes = model_of_size(size, decoded=share)
        arms[
            f"ours, decoder {sizes.decoder_depth} x {sizes.decoder_width}, decodes {share:.0%} of the masked"
        ] = Autoencoder(sizes)
    return arms


class Step:
    """Training steps of one arm on one batch in memory."""

    def __init__(self, module: Arm, options: argparse.Namespace) -> None:
        self.module, self.batch, self.bf16 = module, options.batch, options.bf16
        if isinstance(module, AudioMaeArrangement):
            self.optimizer = make_optimizer(module, LoopSettings())
        else:
            self.optimizer = make_optimizer(module, LoopSettings(optimizer=options.optimizer), module.blocks)
        sizes = module.config
        generator = torch.Generator().manual_seed(options.seed)
        self.clips = torch.randn(options.batch, sizes.clip_frames, sizes.mels, generator=generator)
        mask = draw_mask(
            options.mask,
            options.batch,
            sizes.columns,
            sizes.rows,
            ratio=options.ratio,
            longest=4,
            generator=generator,
        )
        self.seen, hidden = split_places(mask)
        self.hidden = hidden[:, : max(1, round(hidden.shape[1] * sizes.decoded))]

    def run(self) -> None:
        """Make one step."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.module(self.clips, self.seen, self.hidden).loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def rate(self, seconds: float) -> tuple[float, float]:
        """Return clips a wall-clock second and a CPU second."""
        wall, cpu, steps = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - wall < seconds or not steps:
            self.run()
            steps += 1
        clips = steps * self.batch
        return clips / (time.perf_counter() - wall), clips / (time.process_time() - cpu)


def time_size(size: str, options: argparse.Namespace) -> list[list[str]]:
    """Return the rows of one size."""
    arms = {name: Step(module, options) for name, module in arms_of(size, options.decoded).items()}
    for step in arms.values():
        step.run()  # warms up
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for _ in range(options.rounds):
        for name, step in arms.items():
            rates[name].append(step.rate(options.seconds))
    rows = []
    for name, ours in rates.items():
        wall, cpu = (statistics.median(column) for column in zip(*ours, strict=True))
        times = sorted(one[1] / peer[1] for one, peer in zip(ours, rates[PEER], strict=True))
        spread = f"{statistics.median(times):.1f} ({times[0]:.1f} to {times[-1]:.1f})"
        rows.append([f"{size}: {name}", f"{wall:.2f}", f"{cpu:.2f}", spread])
    return rows


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=["tiny", "small"])
    parser.add_argument(
        "--decoded",
        type=lambda text: [float(part) for part in text.split(",")],
        default=[1.0, ModelSettings().decoded],
        help="shares of the masked patches that our decoder rebuilds, default 1.0 and the model's own",
    )
    parser.add_argument("--mask", default="spans", choices=("spans", "one_span", "patches"))
    parser.add_argument("--ratio", type=float, default=0.7, help="share masked, of both, default 0.7")
    parser.add_argument("--batch", type=int, default=32, help="clips a step, default 32")
    parser.add_argument(
        "--optimizer", default="muon", choices=("adamw", "muon"), help="of ours, default muon"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds, default 5")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of each arm a round, default 4")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, default 1")
    parser.add_argument("--bf16", action="store_true", help="forward passes of both in bfloat16")
    parser.add_argument("--seed", type=int, default=0, help="key of weights, order and masks, default 0")
    parser.add_argument(
        "--vectors", metavar="CORPUS", help="compare the vectors after training on this corpus"
    )
    parser.add_argument("--learning_rate", type=float, default=1e-3, help="peak of both arms, default 1e-3")
    parser.add_argument(
        "--equal", default="both", choices=("time", "clips", "both"), help="what the peer has equal"
    )
    parser.add_argument(
        "--clips", type=int, default=8000, help="with --vectors, clips to train on, default 8000"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    np.seterr(all="raise", under="ignore")
    if options.vectors:
        print(compare_vectors(options))
    else:
        header = ["training step, float32" if not options.bf16 else "training step, bfloat16"]
        header += ["clips/s", "clips a CPU second", "times the peer (lowest to highest)"]
        print(markdown(header, [row for size in options.sizes for row in time_size(size, options)]))
        tokens = f"155 tokens, {options.ratio:.0%} masked ({options.mask})"
        print(f"\n- {tokens}, batch {options.batch}, {options.threads} threads, {options.optimizer}")
    print(conditions(options.seed))


if __name__ == "__main__":
    main()
