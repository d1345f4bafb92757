"""Where the time of a training step goes, and how much of the device's arithmetic it uses."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from accelerate import Accelerator
from torch.optim import Optimizer
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from audiomae.training.batches import move_to
from audiomae.training.loop import Task
from audiomae.training.optimizer import make_optimizer
from audiomae.training.processes import compare_parts, draw_parts, prepare
from audiomae.training.settings import LoopSettings

__all__ = ["PHASES", "Profile", "Stepper", "count_flops", "matrix_peak", "profile_steps"]

PHASES = ("waiting for data", "copy to the device", "forward", "backward", "clip and optimiser")

B = TypeVar("B", bound=tuple[Any, ...])

WARM_UP = 3
"""Steps before the clock starts: allocations, compiling, the choice of kernels."""


@dataclass(frozen=True)
class Profile:
    """What some steps took."""

    seconds: dict[str, float]
    """Seconds of a step, by phase."""
    step_seconds: float
    """Seconds of a step by the clock."""
    clips_per_second: float
    """Over all processes."""
    flops: float
    """Operations of a step in matrix products and attention, forward and backward, over all processes."""
    peak: float
    """Operations a second of a square matrix product in the same precision, times the processes."""

    @property
    def flops_per_second(self) -> float:
        """Operations a second that the steps reached."""
        return self.flops / self.step_seconds

    @property
    def share_of_peak(self) -> float:
        """Share of the matrix peak, in (0, 1)."""
        return self.flops_per_second / self.peak


class _Marks:
    """Moments on the device's own clock: events on a GPU, where the host runs ahead, else the host's clock."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.moments: list[Any] = []

    def mark(self) -> None:
        """Note the moment at which everything asked for so far is done."""
        if not self.on_gpu:
            self.moments.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self.moments.append(event)

    def spans(self) -> list[float]:
        """Return the seconds between neighbouring moments, once the device has passed them all."""
        if self.on_gpu:
            torch.cuda.synchronize()
            return [
                one.elapsed_time(other) / 1000
                for one, other in zip(self.moments, self.moments[1:], strict=False)
            ]
        return [other - one for one, other in zip(self.moments, self.moments[1:], strict=False)]


class Stepper(Generic[B]):
    """The training loop's step, without records and checkpoints: the same draw, loss, clipping and optimiser.

    Args:
        task: Model, data and loss.
        config: How to train.
        accelerator: From `make_accelerator`.
        optimizer: Another one than the loop's, to compare.
    """

    def __init__(
        self,
        task: Task[B],
        config: LoopSettings,
        accelerator: Accelerator,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.task, self.config, self.accelerator = task, config, accelerator
        chosen = make_optimizer(task.module, config) if optimizer is None else optimizer
        self.module, self.optimizer, _ = prepare(accelerator, task.module, chosen)

    def draw(self, number: int) -> list[B]:
        """Return this process's parts of a step, on the CPU."""
        return draw_parts(self.task, number, self.config, self.accelerator)

    def run(self, batches: list[B], marks: _Marks | None = None) -> list[int]:
        """Make one step; return the phase that each span between two marks belongs to."""
        phases: list[int] = []

        def mark(phase: int) -> None:
            phases.append(phase)
            if marks is not None:
                marks.mark()

        batches = compare_parts(self.task, self.module, batches, self.accelerator)
        for number, batch in enumerate(batches):
            last = number == len(batches) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.module):
                moved = move_to(batch, self.accelerator.device)
                mark(1)
                with self.accelerator.autocast():
                    loss = self.task.loss(self.module, moved)["loss"]
                mark(2)
                self.accelerator.backward(loss / len(batches))
                mark(3)
        self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.clip_norm or float("inf"))
        self.optimizer.step()
        self.optimizer.zero_grad()
        mark(4)
        return phases


def profile_steps(
    task: Task[B],
    config: LoopSettings,
    accelerator: Accelerator,
    steps: int,
    *,
    optimizer: Optimizer | None = None,
) -> Profile:
    """Make some steps as training makes them, batches drawn one step ahead, and say where the time went.

    Nothing waits for the device between the steps; on a GPU the phases are read from events on its own clock, so that
    "waiting for data" is the time in which the GPU had nothing to do before a step.

    Args:
        task: Model, data and loss; its model learns.
        config: How to train.
        accelerator: From `make_accelerator`.
        steps: Steps on the clock, after some to warm up.
        optimizer: Another one than the loop's.
    """
    stepper = Stepper(task, config, accelerator, optimizer)
    flops = count_flops(stepper)
    before = matrix_peak(accelerator.device, config.precision)
    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(stepper.draw, 1)
        for number in range(2, 2 + WARM_UP):
            batches = waiting.result()
            waiting = ahead.submit(stepper.draw, number)
            stepper.run(batches)
        _settle(accelerator)
        marks, phases = _Marks(accelerator.device), []
        started = time.perf_counter()
        marks.mark()
        for number in range(2 + WARM_UP, 2 + WARM_UP + steps):
            batches = waiting.result()
            waiting = ahead.submit(stepper.draw, number)
            marks.mark()
            phases.append(0)
            phases += stepper.run(batches, marks)
        spans = marks.spans()
        _settle(accelerator)
        taken = (time.perf_counter() - started) / steps
        waiting.result()
    seconds = dict.fromkeys(PHASES, 0.0)
    for phase, span in zip(phases, spans, strict=True):
        seconds[PHASES[phase]] += span / steps
    processes = accelerator.num_processes
    # Measured on both sides of the steps, as another program may have had the machine for a while.
    peak = max(before, matrix_peak(accelerator.device, config.precision)) * processes
    return Profile(seconds, taken, config.batch / taken, flops * processes, peak)


def _settle(accelerator: Accelerator) -> None:
    accelerator.wait_for_everyone()
    if accelerator.device.type == "cuda":
        torch.cuda.synchronize()


def count_flops(stepper: Stepper[Any]) -> int:
    """Make step 0 without compiling, and return this process's operations in matrix products and attention.

    A multiplication and an addition are two operations; what elementwise functions and norms do is left out, as usual.
    """
    aten = torch.ops.aten
    on_cpu = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    batches = stepper.draw(0)
    with (
        torch.compiler.set_stance("force_eager"),
        FlopCounterMode(display=False, custom_mapping=on_cpu) as counter,
    ):
        stepper.run(batches)
    return int(counter.get_total_flops())


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]


def matrix_peak(device: torch.device, precision: str, *, size: int = 0, rounds: int = 5) -> float:
    """Return the operations a second of a square matrix product, the best of some rounds.

    Args:
        device: Where.
        precision: As in LoopSettings.
        size: Rows of the matrices; 0 takes 8192 on a GPU and 1536 on a CPU.
        rounds: Products on the clock.
    """
    kinds = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    rows = size or (8192 if device.type == "cuda" else 1536)
    left = torch.ones(rows, rows, device=device, dtype=kinds[precision])
    out = torch.empty_like(left)
    torch.mm(left, left, out=out)
    marks = _Marks(device)
    marks.mark()
    for _ in range(rounds):
        torch.mm(left, left, out=out)
        marks.mark()
    return 2 * rows**3 / min(marks.spans())
