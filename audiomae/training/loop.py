"""The one training loop, over Accelerate: every training verb hands it a task."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from audiomae.errors import DivergedError, FingerprintError
from audiomae.training.batches import move_to
from audiomae.training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    save_sharded_checkpoint,
)
from audiomae.training.optimizer import make_optimizer
from audiomae.training.processes import compare_parts, draw_parts, gathered, prepare, whole_weights
from audiomae.training.ranks import (
    agreed,
    common_seconds,
    fail_together,
    is_sharded,
    name_lost_peers,
    stop_requests,
)
from audiomae.training.records import Records
from audiomae.training.schedule import learning_rate_at
from audiomae.training.settings import Length, LoopSettings

__all__ = ["Outcome", "Task", "train"]

CHECKPOINT_SECONDS = 300.0

B = TypeVar("B", bound=tuple[Any, ...])


class Task(Protocol[B]):
    """What a verb gives the loop; `B` is its batch: a named tuple of tensors, Nones and further named tuples."""

    module: nn.Module

    def draw(self, step: int, share: slice) -> B:
        """Return this process's share of the samples of a step, on the CPU; a function of its arguments alone."""

    def loss(self, module: nn.Module, batch: B) -> dict[str, Tensor]:
        """Return the loss under "loss", averaged over the samples, and any parts of it to write down.

        Where a step is cut into parts and the task has a `compare`, the batch is one that it returned.
        """

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:
        """Judge the module on held-out data; on the first process alone, or on all where the weights lie in parts."""


class Outcome(NamedTuple):
    """How a training ended."""

    steps: int
    """Optimiser steps made, all sessions together."""
    finished: bool
    """False where a signal asked it to stop early; the checkpoint holds the rest."""
    metrics: dict[str, float]
    """The last look at held-out data."""
    weights: dict[str, Tensor]
    """The module's whole state on the CPU, on the first process alone."""


class _Clock:
    """Seconds trained, over all sessions."""

    def __init__(self, elapsed: float) -> None:
        self.before, self.started = elapsed, time.monotonic()

    @property
    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.started


def train(
    task: Task[B],
    length: Length,
    config: LoopSettings,
    folder: Path,
    accelerator: Accelerator,
    identity: str,
    *,
    label: str = "pretrain",
    unit: str = "clips",
) -> Outcome:
    """Train `task.module` to the end, going on from the newest checkpoint in `folder`.

    Args:
        task: Model, data and loss.
        length: Steps or minutes.
        config: How to train.
        folder: Run folder; metrics and checkpoints lie below it.
        accelerator: From `make_accelerator`.
        identity: Fingerprint of all settings that a checkpoint must share with this run.
        label: Name of the work, beside the progress bar.
        unit: What a sample is.

    Raises:
        DivergedError: If the loss or a gradient is not a number; the last checkpoint is intact.
        FingerprintError: If the folder's checkpoint is of another run.
        PeerError: If another process has died.
        StorageError: If the disk refuses a checkpoint.
    """
    with name_lost_peers(accelerator):
        return _train(task, length, config, folder, accelerator, identity, label, unit)


def _train(
    task: Task[B],
    length: Length,
    config: LoopSettings,
    folder: Path,
    accelerator: Accelerator,
    identity: str,
    label: str,
    unit: str,
) -> Outcome:
    module, wrapped, plain = prepare(accelerator, task.module, make_optimizer(task.module, config))
    checkpoints = folder / "checkpoints"
    step, elapsed, counted, judged = 0, 0.0, 0, False
    metrics: dict[str, float] = {}
    sums: dict[str, Tensor] = {}
    found = latest_checkpoint(checkpoints)
    if found is not None:
        with fail_together(accelerator):
            state = load_checkpoint(found, plain, wrapped.optimizer)
            if state["identity"] != identity:
                raise FingerprintError(
                    f"{found}: is of a run with other settings. Name another --out folder."
                )
        step, elapsed = int(state["step"]), float(state["elapsed"])
        counted, judged = int(state["counted"]), bool(state.get("judged", False))
        metrics = dict(state.get("metrics", {}))
        sums = {name: torch.tensor(value, device=accelerator.device) for name, value in state["sums"].items()}
    main = accelerator.is_main_process
    records = Records(folder, step) if main else None
    clock = _Clock(elapsed)

    def save() -> None:
        state = {
            "elapsed": clock.elapsed,
            "identity": identity,
            "samples": step * config.batch,
            "counted": counted,
            "judged": judged,
            "metrics": metrics,
            "sums": {name: float(accelerator.reduce(value, "mean")) for name, value in sums.items()},
        }
        if is_sharded(accelerator):
            save_sharded_checkpoint(accelerator, checkpoints, step, plain, wrapped.optimizer, state)
            return
        with fail_together(accelerator):
            if main:
                save_checkpoint(checkpoints, step, plain, wrapped.optimizer, state)

    bar = Progress(
        TextColumn(label),
        BarColumn(),
        TextColumn(
            "{task.percentage:>3.0f} %  step {task.fields[step]}  loss {task.fields[loss]}  {task.fields[speed]}"
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not main or not sys.stderr.isatty(),
    )
    with stop_requests() as stops, ThreadPoolExecutor(1) as ahead, bar:
        line = bar.add_task("", total=1.0, step=step, loss="-", speed="")

        def draw_step(number: int) -> list[B]:
            return draw_parts(task, number, config, accelerator)

        waiting: Future[list[B]] = ahead.submit(draw_step, step)
        since, timed, saved = time.monotonic(), 0, elapsed
        seconds = clock.elapsed if length.steps else common_seconds(accelerator, clock.elapsed, 0, 0.0)
        progress = length.progress(step, seconds)
        while progress < 1.0 and not agreed(accelerator, bool(stops), step):
            batches = waiting.result()
            waiting = ahead.submit(draw_step, step + 1)
            rate = learning_rate_at(progress, peak=config.learning_rate, warmup=config.warmup)
            for group in wrapped.param_groups:
                group["lr"] = rate
            batches = compare_parts(task, module, batches, accelerator)
            for number, batch in enumerate(batches):
                last = number == len(batches) - 1
                with contextlib.nullcontext() if last else accelerator.no_sync(module):
                    moved = move_to(batch, accelerator.device)
                    with accelerator.autocast():
                        losses = task.loss(module, moved)
                    accelerator.backward(losses["loss"] / len(batches))
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value.detach() / len(batches)
            limit = config.clip_norm or float("inf")
            norm = accelerator.clip_grad_norm_(module.parameters(), limit)
            norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
            sums["gradient_norm"] = sums.get("gradient_norm", 0.0) + norm.detach()
            wrapped.step()
            wrapped.zero_grad()
            step, counted, timed = step + 1, counted + 1, timed + 1
            seconds = (
                clock.elapsed if length.steps else common_seconds(accelerator, clock.elapsed, step, seconds)
            )
            progress = length.progress(step, seconds)
            overdue = length.steps is None and seconds - saved > CHECKPOINT_SECONDS
            saving = step % config.checkpoint_every == 0 or overdue
            looking = step % config.evaluate_every == 0 and progress < 1.0
            if step % config.log_every == 0 or saving or looking or progress >= 1.0:
                means = {
                    name: float(accelerator.reduce(value / counted, "mean")) for name, value in sums.items()
                }
                _refuse_nan(means, step, accelerator)
                speed = timed * config.batch / (time.monotonic() - since)
                if records is not None:
                    records.write("metrics", step, {**means, "learning_rate": rate})
                    timing = {f"{unit}_per_second": speed, "elapsed_seconds": clock.elapsed}
                    records.write("speed", step, {**timing, "processes": accelerator.num_processes})
                shown = f"{means['loss']:.4f}"
                bar.update(line, completed=progress, step=step, loss=shown, speed=f"{speed:.0f} {unit}/s")
                sums, counted = {}, 0
            if looking:
                metrics = _evaluate(task, accelerator, plain, records, step)
            if saving:
                save()
                saved = seconds
            if counted == 0:
                timed, since = 0, time.monotonic()
        waiting.cancel()
        finished = progress >= 1.0
        if finished and not judged:  # by a run that was killed between its last checkpoint and its end
            judged = True
            metrics = _evaluate(task, accelerator, plain, records, step)
        save()
    if records is not None:
        records.close()
    if not finished and stops and stops[0] == signal.SIGINT:
        raise KeyboardInterrupt
    return Outcome(step, finished, metrics, whole_weights(accelerator, plain))


def _refuse_nan(means: dict[str, float], step: int, accelerator: Accelerator) -> None:
    for name, value in means.items():
        if value != value or value in (float("inf"), float("-inf")):
            error = DivergedError(
                f"step {step}: {name} is {value}. The last checkpoint is intact; use a lower --train.learning_rate, "
                "a longer --train.warmup or --train.precision bf16 instead of fp16, in a new --out folder."
            )
            error.told = not accelerator.is_main_process  # the means are those of all processes
            raise error


def _evaluate(
    task: Task[B], accelerator: Accelerator, plain: nn.Module, records: Records | None, step: int
) -> dict[str, float]:
    metrics: dict[str, float] = {}
    with fail_together(accelerator):
        if records is not None or is_sharded(accelerator):
            plain.eval()
            # Parts of the network may be called by themselves, without the whole one's gathering.
            with torch.no_grad(), gathered(plain):
                metrics = task.evaluate(plain, step)
            plain.train()
        if records is not None:
            records.write("metrics", step, metrics)
    return metrics
