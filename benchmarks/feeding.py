"""Clips a second that the loader delivers, beside those that training consumes on the same cores.

    python benchmarks/feeding.py CORPUS [--size tiny] [--batch 64] [--rounds 5] [--seconds 4] [--threads 1]

The loader makes whole batches as `pretrain` draws them: places, log-mels read from the shards, masks, and the order
of visible and masked patches. Training makes whole steps on batches that already lie in memory. The two take
turns in one process; medians over the rounds, by the wall clock and by the CPU seconds of this process, which a
shared machine disturbs less. The target is 20 times.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from report import conditions, markdown

from audiomae.corpus.clips import split_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.model.config import model_of_size
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.pretraining.task import MaskedTask
from audiomae.training.optimizer import make_optimizer
from audiomae.training.settings import LoopSettings


class Rate(NamedTuple):
    """Clips a second."""

    wall: float
    cpu: float


def measure(step: Callable[[int], None], first: int, *, batch: int, seconds: float) -> tuple[Rate, int]:
    """Call `step` with rising numbers for a while; return its rate and the next number."""
    number = first
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        step(number)
        number += 1
    clips = (number - first) * batch
    return Rate(clips / (time.perf_counter() - wall), clips / (time.process_time() - cpu)), number


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", help="folder made by audiomae prepare")
    parser.add_argument("--size", default="tiny", help="named size of the model, default tiny")
    parser.add_argument("--batch", type=int, default=64, help="clips a step, default 64")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, default 5")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of each side a round, default 4")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, default 1")
    parser.add_argument(
        "--pairs", type=float, default=PairSettings().weight, help="weight of the clip-level term"
    )
    parser.add_argument("--seed", type=int, default=0, help="key of order, masks and weights, default 0")
    return parser.parse_args()


def make_task(corpus: Corpus, options: argparse.Namespace) -> MaskedTask:
    """Make what `pretrain` trains, of the named size."""
    sizes = model_of_size(options.size)
    if options.pairs:
        sizes = dataclasses.replace(sizes, projection=128)
    with tempfile.TemporaryDirectory() as pictures:
        return MaskedTask(
            corpus,
            sizes,
            MaskSettings("spans", 0.7, 4),
            PairSettings(weight=options.pairs),
            split=split_corpus(corpus, sizes.clip_frames, 0.05),
            batch=options.batch,
            seed=options.seed,
            pictures=Path(pictures),
        )


def print_rates(loaded: list[Rate], learned: list[Rate], size: str) -> None:
    """Print the rates of the rounds, and how often the loader's are training's."""
    rows = []
    for name, rates in (("loader alone", loaded), (f"training, {size}", learned)):
        rows.append([name, *(f"{statistics.median(column):.1f}" for column in zip(*rates, strict=True))])
    times = [
        [one / other for one, other in zip(first, second, strict=True)]
        for first, second in zip(loaded, learned, strict=True)
    ]
    spread = [sorted(column) for column in zip(*times, strict=True)]
    rows.append(
        [
            "times (median of rounds; lowest to highest)",
            *(f"{statistics.median(column):.1f} ({column[0]:.1f} to {column[-1]:.1f})" for column in spread),
        ]
    )
    print(markdown(["what", "clips/s", "clips a CPU second"], rows))


def main() -> None:
    """Measure, and print a Markdown table."""
    options = read_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    corpus = Corpus.open(options.corpus)
    task = make_task(corpus, options)
    whole = slice(0, options.batch)
    ready = [task.draw(number, whole) for number in range(8)]
    optimizer = make_optimizer(task.module, LoopSettings())

    def load(number: int) -> None:
        task.draw(number, whole)

    def learn(number: int) -> None:
        torch.autograd.backward(task.loss(task.module, ready[number % len(ready)])["loss"])
        torch.nn.utils.clip_grad_norm_(task.module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    learn(0)  # warms up
    loaded: list[Rate] = []
    learned: list[Rate] = []
    number = len(ready)  # every batch is a new one
    for _ in range(options.rounds):
        rate, number = measure(load, number, batch=options.batch, seconds=options.seconds)
        loaded.append(rate)
        learned.append(measure(learn, 0, batch=options.batch, seconds=options.seconds)[0])
    print_rates(loaded, learned, options.size)
    print(
        f"\n- corpus: {len(corpus)} tracks, {corpus.hours:.1f} h; "
        f"batch {options.batch}, {options.threads} threads"
    )
    print(conditions(options.seed))


if __name__ == "__main__":
    main()
