"""What a loss needs of the other processes' samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

__all__ = ["gather_rows"]


class _Gather(torch.autograd.Function):
    """Rows of all processes; the gradient flows back to those of this one."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.size = len(rows)
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        first = distributed.get_rank() * ctx.size
        # Gradients of the weights are averaged over the processes afterwards; here each has its share of a sum.
        return gradients[0][first : first + ctx.size] * distributed.get_world_size()


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of their ranks; with one process, the rows themselves.

    Made for a loss over the whole batch that every process computes alike: the gradient of the weights, averaged
    over the processes, is that of one process with the whole batch.

    Args:
        rows: (rows, ...), equally many on every process.
    """
    if (
        not distributed.is_available()
        or not distributed.is_initialized()
        or distributed.get_world_size() == 1
    ):
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered
