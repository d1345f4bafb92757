"""Batches: named tuples of tensors, moved whole, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["move_to", "pin"]

B = TypeVar("B", bound=tuple[Any, ...])


def move_to(batch: B, device: torch.device) -> B:
    """Return a batch with its tensors on a device.

    Args:
        batch: A named tuple of tensors and further named tuples; what is neither (None, a flag) stays as it is.
        device: Where to; a copy to a GPU does not wait where the tensors are pinned.
    """
    return _map(batch, lambda value: value.to(device, non_blocking=True))


def pin(batch: B) -> B:
    """Return a batch with its tensors in memory that a GPU can read while the program goes on."""
    return _map(batch, lambda value: value.pin_memory())


def _map(batch: B, change: Callable[[Tensor], Tensor]) -> B:
    """Return a named tuple of the same kind, its tensors changed, those inside further ones too."""
    values = [
        change(value)
        if isinstance(value, Tensor)
        else _map(value, change)
        if isinstance(value, tuple)
        else value
        for value in batch
    ]
    made: B = type(batch)._make(values) if hasattr(batch, "_make") else type(batch)(values)
    return made
