"""The one training loop, over Accelerate: every training verb hands it a task."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from audiomae.errors import ConfigError, DivergedError, FingerprintError
from audiomae.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from audiomae.training.config import Length, LoopConfig
from audiomae.training.records import Records
from audiomae.training.schedule import learning_rate_at

__all__ = ["Outcome", "Task", "make_accelerator", "set_threads", "train"]

CHECKPOINT_SECONDS = 300.0


class Task(Protocol):
    """What a verb gives the loop."""

    module: nn.Module

    def draw(self, step: int, share: slice) -> tuple[Tensor, ...]:
        """Return this process's share of the samples of a step, on the CPU; a function of its arguments alone."""

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the loss under "loss", averaged over the samples, and any parts of it to write down."""

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:
        """Judge the module on held-out data; called on the first process alone."""


class Outcome(NamedTuple):
    """How a training ended."""

    steps: int
    """Optimiser steps made, all sessions together."""
    finished: bool
    """False where a signal asked it to stop early; the checkpoint holds the rest."""
    metrics: dict[str, float]
    """The last look at held-out data."""


def make_accelerator(config: LoopConfig) -> Accelerator:
    """Return the Accelerate handle; without a GPU it stays on the CPU.

    Raises:
        ConfigError: If the batch cannot be shared evenly between the processes, or fp16 has no GPU.
    """
    cpu = not torch.cuda.is_available()
    if cpu and config.precision == "fp16":
        raise ConfigError("train.precision fp16 needs a GPU, and there is none. Use bf16 or no.")
    accelerator = Accelerator(cpu=cpu, mixed_precision=config.precision)
    parts = accelerator.num_processes * config.accumulate
    if config.batch % parts:
        raise ConfigError(
            f"train.batch {config.batch} cannot be shared by {accelerator.num_processes} processes in "
            f"{config.accumulate} parts each. Use a multiple of {parts}."
        )
    return accelerator


def set_threads(threads: int, processes: int) -> None:
    """Give this process its share of the cores; 0 shares them between the processes of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(threads or (int(given) if given else max(1, cores // processes)))


def make_optimizer(module: nn.Module, config: LoopConfig) -> Optimizer:
    """Return AdamW that decays matrices only."""
    named = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    groups = [
        {"params": [value for _, value in named if value.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [value for _, value in named if value.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=torch.cuda.is_available())


@contextlib.contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying in the middle of a step."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class _Clock:
    """Seconds trained, over all sessions."""

    def __init__(self, elapsed: float) -> None:
        self.before, self.started = elapsed, time.monotonic()

    @property
    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.started


def _share(config: LoopConfig, accelerator: Accelerator, part: int) -> slice:
    """Return the samples of a global batch that this process takes in one part of its accumulation."""
    size = config.batch // (accelerator.num_processes * config.accumulate)
    first = (accelerator.process_index * config.accumulate + part) * size
    return slice(first, first + size)


def train(
    task: Task, length: Length, config: LoopConfig, folder: Path, accelerator: Accelerator, identity: str
) -> Outcome:
    """Train `task.module` to the end, going on from the newest checkpoint in `folder`.

    Args:
        task: Model, data and loss.
        length: Steps or minutes.
        config: How to train.
        folder: Run folder; metrics and checkpoints lie below it.
        accelerator: From `make_accelerator`.
        identity: Fingerprint of all settings that a checkpoint must share with this run.

    Raises:
        DivergedError: If the loss or a gradient is not a number; the last checkpoint is intact.
        FingerprintError: If the folder's checkpoint is of another run.
        StorageError: If the disk refuses a checkpoint.
    """
    optimizer = make_optimizer(task.module, config)
    checkpoints = folder / "checkpoints"
    step, elapsed, counted, judged = 0, 0.0, 0, False
    metrics: dict[str, float] = {}
    sums: dict[str, Tensor] = {}
    found = latest_checkpoint(checkpoints)
    if found is not None:
        state = load_checkpoint(found, task.module, optimizer)
        step, elapsed = int(state["step"]), float(state["elapsed"])
        if state["identity"] != identity:
            raise FingerprintError(f"{found}: is of a run with other settings. Name another --out folder.")
        counted, judged = int(state["counted"]), bool(state.get("judged", False))
        metrics = dict(state.get("metrics", {}))
        sums = {name: torch.tensor(value, device=accelerator.device) for name, value in state["sums"].items()}
    module, wrapped = accelerator.prepare(task.module, optimizer)
    main = accelerator.is_main_process
    records = Records(folder, step) if main else None
    clock = _Clock(elapsed)

    def save() -> None:
        if main:
            state = {
                "elapsed": clock.elapsed,
                "identity": identity,
                "samples": step * config.batch,
                "counted": counted,
                "judged": judged,
                "metrics": metrics,
                "sums": {name: float(value) for name, value in sums.items()},
            }
            save_checkpoint(checkpoints, step, accelerator.unwrap_model(module), wrapped.optimizer, state)
        accelerator.wait_for_everyone()

    bar = Progress(
        TextColumn("pretrain"),
        BarColumn(),
        TextColumn(
            "{task.percentage:>3.0f} %  step {task.fields[step]}  loss {task.fields[loss]}  {task.fields[speed]}"
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not main or not sys.stderr.isatty(),
    )
    with _stop_requests() as stops, ThreadPoolExecutor(1) as ahead, bar:
        line = bar.add_task("", total=1.0, step=step, loss="-", speed="")

        def draw_step(number: int) -> list[tuple[Tensor, ...]]:
            parts = range(config.accumulate)
            return [task.draw(number, _share(config, accelerator, part)) for part in parts]

        waiting: Future[list[tuple[Tensor, ...]]] = ahead.submit(draw_step, step)
        since, timed, saved = time.monotonic(), 0, elapsed
        progress = length.progress(step, _common_seconds(accelerator, length, clock.elapsed))
        while progress < 1.0 and not _agreed(accelerator, bool(stops), step):
            batches = waiting.result()
            waiting = ahead.submit(draw_step, step + 1)
            rate = learning_rate_at(progress, peak=config.learning_rate, warmup=config.warmup)
            for group in wrapped.param_groups:
                group["lr"] = rate
            for number, batch in enumerate(batches):
                last = number == len(batches) - 1
                with contextlib.nullcontext() if last else accelerator.no_sync(module):
                    moved = tuple(value.to(accelerator.device, non_blocking=True) for value in batch)
                    with accelerator.autocast():
                        losses = task.loss(module, moved)
                    accelerator.backward(losses["loss"] / len(batches))
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value.detach() / len(batches)
            limit = config.clip_norm or float("inf")
            norm = accelerator.clip_grad_norm_(module.parameters(), limit)
            sums["gradient_norm"] = sums.get("gradient_norm", 0.0) + norm.detach()
            wrapped.step()
            wrapped.zero_grad()
            step, counted, timed = step + 1, counted + 1, timed + 1
            seconds = _common_seconds(accelerator, length, clock.elapsed)
            progress = length.progress(step, seconds)
            overdue = length.steps is None and seconds - saved > CHECKPOINT_SECONDS
            saving = step % config.checkpoint_every == 0 or overdue
            looking = step % config.evaluate_every == 0 and progress < 1.0
            if step % config.log_every == 0 or saving or looking or progress >= 1.0:
                means = {
                    name: float(accelerator.reduce(value / counted, "mean")) for name, value in sums.items()
                }
                _refuse_nan(means, step)
                speed = timed * config.batch / (time.monotonic() - since)
                if records is not None:
                    records.write("metrics", step, {**means, "learning_rate": rate})
                    timing = {"clips_per_second": speed, "elapsed_seconds": clock.elapsed}
                    records.write("speed", step, {**timing, "processes": accelerator.num_processes})
                shown = f"{means['loss']:.4f}"
                bar.update(line, completed=progress, step=step, loss=shown, speed=f"{speed:.0f} clips/s")
                sums, counted = {}, 0
            if looking:
                metrics = _evaluate(task, accelerator, module, records, step)
            if saving:
                save()
                saved = seconds
            if counted == 0:
                timed, since = 0, time.monotonic()
        waiting.cancel()
        finished = progress >= 1.0
        if finished and not judged:  # by a run that was killed between its last checkpoint and its end
            judged = True
            metrics = _evaluate(task, accelerator, module, records, step)
        save()
    if records is not None:
        records.close()
    if not finished and stops and stops[0] == signal.SIGINT:
        raise KeyboardInterrupt
    return Outcome(step, finished, metrics)


def _common_seconds(accelerator: Accelerator, length: Length, seconds: float) -> float:
    """Return the first process's seconds, where they decide when all stop, and how fast they learn."""
    if accelerator.num_processes == 1 or length.steps is not None:
        return seconds
    return float(broadcast(torch.tensor([seconds], device=accelerator.device)).item())


def _agreed(accelerator: Accelerator, wish: bool, step: int) -> bool:
    """Return whether any process wishes to stop, so that all stop at the same step; asked every ten steps."""
    if accelerator.num_processes == 1 or step % 10:
        return wish and accelerator.num_processes == 1
    flag = torch.tensor([float(wish)], device=accelerator.device)
    return bool(accelerator.reduce(flag, "sum").item() > 0)


def _refuse_nan(means: dict[str, float], step: int) -> None:
    for name, value in means.items():
        if value != value or value in (float("inf"), float("-inf")):
            raise DivergedError(
                f"step {step}: {name} is {value}. The last checkpoint is intact; use a lower --train.learning_rate, "
                "a longer --train.warmup or --train.precision bf16 instead of fp16, in a new --out folder."
            )


def _evaluate(
    task: Task, accelerator: Accelerator, module: Any, records: Records | None, step: int
) -> dict[str, float]:
    metrics: dict[str, float] = {}
    if records is not None:
        plain = accelerator.unwrap_model(module)
        plain.eval()
        with torch.no_grad():
            metrics = task.evaluate(plain, step)
        plain.train()
        records.write("metrics", step, metrics)
    accelerator.wait_for_everyone()
    return metrics
