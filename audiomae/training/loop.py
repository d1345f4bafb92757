"""The one training loop, over Accelerate: every training verb hands it a task."""

from __future__ import annotations

import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor

from audiomae.errors import DivergedError, FingerprintError
from audiomae.progress import SILENT, Progress, Stage
from audiomae.training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    save_sharded_checkpoint,
)
from audiomae.training.processes import gathered, whole_weights
from audiomae.training.ranks import (
    agreed_signal,
    common_seconds,
    fail_together,
    is_sharded,
    name_lost_peers,
    stop_requests,
)
from audiomae.training.records import Records
from audiomae.training.schedule import learning_rate_at
from audiomae.training.settings import Length, LoopSettings
from audiomae.training.step import Stepper, Totals
from audiomae.training.task import Task

__all__ = ["Outcome", "train"]

LOG = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 300.0

B = TypeVar("B", bound=tuple[Any, ...])


class Outcome(NamedTuple):
    """How a training ended; the same on every process but for the weights."""

    steps: int
    """Optimiser steps made, all sessions together."""
    finished: bool
    """False where a signal asked it to stop early; the checkpoint holds the rest."""
    metrics: dict[str, float]
    """The last look at held-out data."""
    weights: dict[str, Tensor]
    """The module's whole state on the CPU, on the first process and where it has finished alone."""
    stopped_by: int | None = None
    """Number of the signal that asked it to stop early, SIGINT or SIGTERM."""


def train(
    task: Task[B],
    length: Length,
    config: LoopSettings,
    folder: Path,
    accelerator: Accelerator,
    identity: str,
    *,
    label: str,
    unit: str,
    progress: Progress = SILENT,
) -> Outcome:
    """Train `task.module` to the end, going on from the newest checkpoint in `folder`.

    SIGINT and SIGTERM end it after the step under way, with a checkpoint; `Outcome.stopped_by` names the signal.

    Args:
        task: Model, data and loss.
        length: Steps or minutes.
        config: How to train.
        folder: Run folder; metrics and checkpoints lie below it.
        accelerator: From `make_accelerator`.
        identity: Fingerprint of all settings that a checkpoint must share with this run.
        label: Name of the work for `progress`, such as "pretrain".
        unit: What samples are, such as "clips".
        progress: Told how far the training is, as a share of its steps or minutes.

    Raises:
        DivergedError: If the loss or a gradient is not a number; the last checkpoint is intact.
        FingerprintError: If the folder's checkpoint is of another run.
        PeerError: If another process has died.
        StorageError: If the disk refuses a checkpoint.
    """
    with name_lost_peers(accelerator), stop_requests() as stops:
        session = _Session(task, length, config, folder, accelerator, identity, unit)
        session.restore()
        with progress.stage(label, total=1.0, done=session.share) as stage:
            session.run(stops, stage)
        return session.end()


class _Session(Generic[B]):
    """A training from where its folder stands to the end, or to a stop; arguments as for `train`."""

    def __init__(
        self,
        task: Task[B],
        length: Length,
        config: LoopSettings,
        folder: Path,
        accelerator: Accelerator,
        identity: str,
        unit: str,
    ) -> None:
        self.task, self.length, self.config, self.folder = task, length, config, folder
        self.accelerator, self.identity, self.unit = accelerator, identity, unit
        self.main = accelerator.is_main_process
        self.stepper = Stepper(task, config, accelerator)
        self.checkpoints = folder / "checkpoints"
        self.step, self.judged, self.stopped_by = 0, False, 0
        self.metrics: dict[str, float] = {}
        self.totals = Totals({}, 0, accelerator.device)
        self.earlier, self.started = 0.0, time.monotonic()
        self.seconds = self.saved_at = self.share = 0.0
        self.rate, self.note = 0.0, ""
        self.timed, self.timed_since = 0, 0.0
        self.records: Records | None = None

    @property
    def elapsed(self) -> float:
        """Seconds trained by this process's clock, over all sessions."""
        return self.earlier + time.monotonic() - self.started

    def restore(self) -> None:
        """Go on from the newest checkpoint, if there is one, and open the records."""
        found, known = latest_checkpoint(self.checkpoints), None
        if found is not None:
            with fail_together(self.accelerator):
                state = load_checkpoint(found, self.stepper.plain, self.stepper.optimizer)
                if state["identity"] != self.identity:
                    raise FingerprintError(
                        f"{found}: is of a run with other settings. Name another --out folder."
                    )
            self.step, self.earlier = int(state["step"]), float(state["elapsed"])
            known = int(state["lines"]) if "lines" in state else None
            self.judged, self.metrics = bool(state.get("judged", False)), dict(state.get("metrics", {}))
            self.totals = Totals(state["sums"], int(state["counted"]), self.accelerator.device)
        self.records = Records(self.folder, self.step, known) if self.main else None
        self.started, self.saved_at = time.monotonic(), self.earlier
        self._read_clock(0)

    def _read_clock(self, step: int) -> None:
        """Renew the share that is done; where minutes decide, all processes take the first one's clock."""
        if self.length.steps is not None:
            self.seconds = self.elapsed
        else:
            self.seconds = common_seconds(self.accelerator, self.elapsed, step, self.seconds)
        self.share = self.length.progress(self.step, self.seconds)

    def run(self, stops: list[int], stage: Stage) -> None:
        """Step to the end, or until a process is asked to stop; batches are drawn one step ahead."""
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(self.stepper.draw, self.step)
            self._begin_timing()
            while self.share < 1.0 and not self._is_stopped(stops):
                batches = waiting.result()
                waiting = ahead.submit(self.stepper.draw, self.step + 1)
                self._step(batches)
                self._write_down()
                stage.update(self.share, self.note)
            waiting.cancel()

    def _is_stopped(self, stops: list[int]) -> bool:
        self.stopped_by = agreed_signal(self.accelerator, stops[0] if stops else 0, self.step)
        return self.stopped_by != 0

    def _begin_timing(self) -> None:
        self.timed, self.timed_since = 0, time.monotonic()

    def _step(self, batches: list[B]) -> None:
        config = self.config
        self.rate = learning_rate_at(self.share, peak=config.learning_rate, warmup=config.warmup)
        self.stepper.step(batches, self.totals, rate=self.rate)
        self.step, self.timed = self.step + 1, self.timed + 1
        self._read_clock(self.step)

    def _write_down(self) -> None:
        """Log, look at held-out data and save, where it is time to."""
        overdue = self.length.steps is None and self.seconds - self.saved_at > CHECKPOINT_SECONDS
        saving = self.step % self.config.checkpoint_every == 0 or overdue
        looking = self.step % self.config.evaluate_every == 0 and self.share < 1.0
        if not (self.step % self.config.log_every == 0 or saving or looking or self.share >= 1.0):
            return
        self._log()
        if looking:
            self._look()
        if saving:
            self._save()
            self.saved_at = self.seconds
        self._begin_timing()

    def _log(self) -> None:
        """Write down the means since the last time."""
        means = self.totals.means(self.accelerator)
        self._refuse_nan(means)
        speed = self.timed * self.config.batch / (time.monotonic() - self.timed_since)
        if self.records is not None:
            self.records.write("metrics", self.step, {**means, "learning_rate": self.rate})
            timing = {f"{self.unit}_per_second": speed, "elapsed_seconds": self.elapsed}
            self.records.write("speed", self.step, {**timing, "processes": self.accelerator.num_processes})
        self.note = f"step {self.step:,}, loss {means['loss']:.4f}, {speed:,.0f} {self.unit}/s"
        self.totals.clear()

    def _refuse_nan(self, means: dict[str, float]) -> None:
        for name, value in means.items():
            if not math.isfinite(value):
                error = DivergedError(
                    f"step {self.step}: {name} is {value}. The last checkpoint is intact; use a lower "
                    "--train.learning_rate, a longer --train.warmup or --train.precision bf16 instead of fp16, in a "
                    "new --out folder."
                )
                error.told = not self.main  # the means are those of all processes
                raise error

    def _look(self) -> None:
        """Judge the module on held-out data."""
        plain, self.metrics = self.stepper.plain, {}
        with fail_together(self.accelerator):
            if self.main or is_sharded(self.accelerator):
                plain.eval()
                # Parts of the network may be called by themselves, without the whole one's gathering.
                with torch.no_grad(), gathered(plain):
                    self.metrics = self.task.evaluate(plain, self.step)
                plain.train()
            if self.records is not None:
                self.records.write("metrics", self.step, self.metrics)

    def _save(self) -> None:
        """Write a checkpoint."""
        state = {
            "elapsed": self.elapsed,
            "identity": self.identity,
            "samples": self.step * self.config.batch,
            "counted": self.totals.steps,
            "judged": self.judged,
            "lines": 0 if self.records is None else self.records.lines,  # the first process writes this
            "metrics": self.metrics,
            "sums": self.totals.saved(self.accelerator),
        }
        plain, optimizer = self.stepper.plain, self.stepper.optimizer
        if is_sharded(self.accelerator):
            save_sharded_checkpoint(self.accelerator, self.checkpoints, self.step, plain, optimizer, state)
            return
        with fail_together(self.accelerator):
            if self.main:
                save_checkpoint(self.checkpoints, self.step, plain, optimizer, state)

    def end(self) -> Outcome:
        """Judge a finished model once, save, and return how it ended."""
        finished = self.share >= 1.0
        if finished and not self.judged:  # by a run that was killed between its last checkpoint and its end
            self.judged = True
            self._look()
        self._save()
        if self.records is not None:
            self.records.close()
        if finished:
            return Outcome(self.step, True, self.metrics, whole_weights(self.accelerator, self.stepper.plain))
        LOG.info("stopped at step %d; the same command goes on from there.", self.step)
        self.accelerator.wait_for_everyone()  # a launcher ends the others as soon as one has left
        return Outcome(self.step, False, self.metrics, {}, self.stopped_by)
