"""The training step: draw, loss, backward, clipping, optimiser; what training and its profile both make."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from audiomae.training.batches import move_to, pin
from audiomae.training.optimizer import make_optimizer
from audiomae.training.processes import prepare, share_of
from audiomae.training.settings import LoopSettings
from audiomae.training.task import ComparingTask, Task

__all__ = ["Phase", "Stepper", "Totals"]

B = TypeVar("B", bound=tuple[Any, ...])

Phase = Literal["copy to the device", "forward", "backward", "clip and optimiser"]


class Totals:
    """Sums of what steps gave, kept on the device, so that no step waits for it.

    Args:
        sums: What an earlier session had summed.
        steps: Steps that are in them.
        device: Where the sums lie.
    """

    def __init__(self, sums: dict[str, float], steps: int, device: torch.device) -> None:
        self.sums = {name: torch.tensor(value, device=device) for name, value in sums.items()}
        self.steps = steps

    def add(self, name: str, value: Tensor) -> None:
        """Add to one of the sums."""
        self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self, accelerator: Accelerator) -> dict[str, float]:
        """Return the means of a step over the steps and the processes; every process calls it."""
        return {
            name: float(accelerator.reduce(value / self.steps, "mean")) for name, value in self.sums.items()
        }

    def saved(self, accelerator: Accelerator) -> dict[str, float]:
        """Return the sums, averaged over the processes; every process calls it."""
        return {name: float(accelerator.reduce(value, "mean")) for name, value in self.sums.items()}

    def clear(self) -> None:
        """Begin again."""
        self.sums, self.steps = {}, 0


def _unmarked(phase: Phase) -> None:
    """Note nothing."""


class Stepper(Generic[B]):
    """A task made ready for these processes, and its step.

    Args:
        task: Model, data and loss.
        config: How to train.
        accelerator: From `make_accelerator`.
        optimizer: Another one than the settings', to compare.
    """

    def __init__(
        self,
        task: Task[B],
        config: LoopSettings,
        accelerator: Accelerator,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.task, self.config, self.accelerator = task, config, accelerator
        units = task.units()
        chosen = make_optimizer(task.module, config, units) if optimizer is None else optimizer
        self.module, self.optimizer, self.plain = prepare(accelerator, task.module, chosen, units)

    def draw(self, step: int) -> list[B]:
        """Return what this process takes of a step, a batch for each part of its accumulation, on the CPU."""
        parts = range(self.config.accumulate)
        drawn = [self.task.draw(step, share_of(self.config, self.accelerator, part)) for part in parts]
        return drawn if self.accelerator.device.type != "cuda" else [pin(batch) for batch in drawn]

    def step(
        self,
        batches: list[B],
        totals: Totals,
        *,
        rate: float | None = None,
        mark: Callable[[Phase], None] = _unmarked,
    ) -> None:
        """Make one step.

        Args:
            batches: From `draw`.
            totals: What the losses and the gradient's norm are added to.
            rate: Learning rate; without it, the one before.
            mark: Called at the end of each phase.
        """
        if rate is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
        parts = self._compared(batches)
        for number, batch in enumerate(parts):
            last = number == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.module):
                moved = move_to(batch, self.accelerator.device)
                mark("copy to the device")
                with self.accelerator.autocast():
                    losses = self.task.loss(self.module, moved)
                mark("forward")
                self.accelerator.backward(losses["loss"] / len(parts))
                mark("backward")
            for name, value in losses.items():
                totals.add(name, value.detach() / len(parts))
        totals.add("gradient_norm", self._clip())
        self.optimizer.step()
        self.optimizer.zero_grad()
        totals.steps += 1
        mark("clip and optimiser")

    def _compared(self, batches: list[B]) -> list[B]:
        """Return the parts of a step, each with what its loss needs of the others."""
        if len(batches) == 1 or not isinstance(self.task, ComparingTask):
            return batches
        moved = [move_to(batch, self.accelerator.device) for batch in batches]
        with self.accelerator.autocast():
            compared: list[B] = self.task.compare_parts(self.module, moved)
        return compared

    def _clip(self) -> Tensor:
        """Scale long gradients down, and return the norm they had."""
        limit = self.config.clip_norm or float("inf")
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), limit)
        whole: Tensor = norm.full_tensor() if isinstance(norm, DTensor) else norm
        return whole.detach()
