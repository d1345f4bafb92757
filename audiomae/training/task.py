"""What a verb hands the training: a network, its data and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

__all__ = ["ComparingTask", "Task"]

B = TypeVar("B", bound=tuple[Any, ...])


class Task(Protocol[B]):
    """What is trained; `B` is its batch: a named tuple of tensors, flags, Nones and further named tuples."""

    module: nn.Module

    def units(self) -> Sequence[nn.Module]:
        """Return the parts of the module that repeat, such as a transformer's blocks, in their order.

        Where weights lie in parts on the processes, each unit is gathered by itself, and all of one class are; Muon
        moves the matrices of their linear layers. A small network has none and is one part.
        """

    def draw(self, step: int, share: slice) -> B:
        """Return this process's share of the samples of a step, on the CPU; a function of its arguments alone."""

    def loss(self, module: nn.Module, batch: B) -> dict[str, Tensor]:
        """Return the loss under "loss", averaged over the samples, and any parts of it to write down."""

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:
        """Judge the module on held-out data; on the first process alone, or on all where the weights lie in parts."""


@runtime_checkable
class ComparingTask(Protocol[B]):
    """A task whose loss compares the samples of a step with each other: an optional step before the loss."""

    def compare_parts(self, module: nn.Module, parts: list[B]) -> list[B]:
        """Return the parts that a process cuts a step into, each with what its loss needs of the others.

        Called where there are several parts, on the device, before `loss` takes them one by one, so that cutting a
        step changes nothing.
        """
