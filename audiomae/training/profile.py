"""Where the time of a training step goes, and how much of the device's arithmetic it uses."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar, get_args

import torch
from accelerate import Accelerator
from torch.optim import Optimizer
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from audiomae.training.settings import LoopSettings
from audiomae.training.step import Phase, Stepper, Totals
from audiomae.training.task import Task

__all__ = ["PHASES", "ProfileResult", "profile_steps"]

WAITING = "waiting for data"
PHASES: tuple[str, ...] = (WAITING, *get_args(Phase))

B = TypeVar("B", bound=tuple[Any, ...])

WARM_UP = 3
"""Steps before the clock starts: allocations, compiling, the choice of kernels."""


@dataclass(frozen=True)
class ProfileResult:
    """What some steps took.

    Attributes:
        steps: Steps on the clock.
        batch: Samples of a step, over all processes.
        processes: Processes.
        precision: Arithmetic of the forward pass, as in `LoopSettings`.
        seconds: Seconds of a step, by phase.
        step_seconds: Seconds of a step by the clock.
        samples_per_second: Samples a second, over all processes.
        flops: Operations of a step in matrix products and attention, forward and backward, over all processes.
        flops_per_second: Operations a second that the steps reached.
        peak: Operations a second of a square matrix product in the same precision, times the processes.
        share_of_peak: Share of that, in (0, 1).
    """

    steps: int
    batch: int
    processes: int
    precision: str
    seconds: dict[str, float]
    step_seconds: float
    samples_per_second: float
    flops: float
    flops_per_second: float
    peak: float
    share_of_peak: float


class _Marks:
    """Moments on the device's own clock: events on a GPU, where the host runs ahead, else the host's clock."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.moments: list[Any] = []
        self.phases: list[str] = []

    def mark(self, phase: str) -> None:
        """Note the moment at which everything asked for so far is done, and which phase ends with it."""
        self.phases.append(phase)
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
            return [one.elapsed_time(other) / 1000 for one, other in pairwise(self.moments)]
        return [other - one for one, other in pairwise(self.moments)]

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase."""
        found = dict.fromkeys(PHASES, 0.0)
        for phase, span in zip(self.phases[1:], self.spans(), strict=True):
            found[phase] += span
        return found


def profile_steps(
    task: Task[B],
    config: LoopSettings,
    accelerator: Accelerator,
    steps: int,
    *,
    optimizer: Optimizer | None = None,
) -> ProfileResult:
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
    stepper, totals = Stepper(task, config, accelerator, optimizer), Totals({}, 0, accelerator.device)
    flops = count_flops(stepper)
    before = matrix_peak(accelerator.device, config.precision)
    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(stepper.draw, 1)
        for number in range(2, 2 + WARM_UP):
            batches = waiting.result()
            waiting = ahead.submit(stepper.draw, number)
            stepper.step(batches, totals)
        _settle(accelerator)
        marks = _Marks(accelerator.device)
        started = time.perf_counter()
        marks.mark("")
        for number in range(2 + WARM_UP, 2 + WARM_UP + steps):
            batches = waiting.result()
            waiting = ahead.submit(stepper.draw, number)
            marks.mark(WAITING)
            stepper.step(batches, totals, mark=marks.mark)
        seconds = {phase: span / steps for phase, span in marks.seconds().items()}
        _settle(accelerator)
        taken = (time.perf_counter() - started) / steps
        waiting.result()
    processes = accelerator.num_processes
    # Measured on both sides of the steps, as another program may have had the machine for a while.
    peak = max(before, matrix_peak(accelerator.device, config.precision)) * processes
    return ProfileResult(
        steps=steps,
        batch=config.batch,
        processes=processes,
        precision=config.precision,
        seconds=seconds,
        step_seconds=taken,
        samples_per_second=config.batch / taken,
        flops=flops * processes,
        flops_per_second=flops * processes / taken,
        peak=peak,
        share_of_peak=flops * processes / taken / peak,
    )


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
        stepper.step(batches, Totals({}, 0, stepper.accelerator.device))
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
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    rows = size or (8192 if device.type == "cuda" else 1536)
    left = torch.ones(rows, rows, device=device, dtype=kinds[precision])
    out = torch.empty_like(left)
    torch.mm(left, left, out=out)
    marks = _Marks(device)
    marks.mark("")
    for _ in range(rounds):
        torch.mm(left, left, out=out)
        marks.mark("product")
    return 2 * rows**3 / min(marks.spans())
