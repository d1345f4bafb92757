"""Muon: some matrices move by their orthogonalised momentum, all the rest by AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import AdamW, Optimizer

__all__ = ["Muon"]

COEFFICIENTS = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


def orthogonalise(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix near 1 (between about 0.7 and 1.2), its directions kept.

    Five Newton-Schulz steps, in bfloat16 on a GPU and in float32 elsewhere: on CPUs without units for it, bfloat16
    is some twenty times slower, which rules out `torch.optim.Muon` there.

    Args:
        matrix: (rows, columns), any scale; zeros stay zeros.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    first, second, third = COEFFICIENTS
    turned: Tensor = matrix.bfloat16() if matrix.device.type == "cuda" else matrix.float()
    tall = matrix.shape[0] > matrix.shape[1]
    turned = turned.T if tall else turned
    turned = turned / turned.norm().clamp_min(1e-7)
    for _ in range(ITERATIONS):
        square = turned @ turned.T
        turned = first * turned + (second * square + third * (square @ square)) @ turned
    return (turned.T if tall else turned).to(matrix.dtype)


def _orthogonalise_whole(matrix: Tensor) -> Tensor:
    """Gather a matrix that lies in parts on several processes, and keep this one's part of the result."""
    if not isinstance(matrix, DTensor):
        return orthogonalise(matrix)
    whole = orthogonalise(matrix.full_tensor())
    return distribute_tensor(whole, matrix.device_mesh, matrix.placements, src_data_rank=None)


class Muon(Optimizer):
    """Muon for a network's inner matrices, AdamW for everything else, at one learning rate.

    The orthogonalised step is scaled to the size that AdamW's usually has, so a learning rate and a weight decay
    that suit AdamW suit both.

    Args:
        matrices: Two-dimensional parameters.
        rest: AdamW's groups: parameters, with their weight decay.
        lr: Learning rate of both.
        weight_decay: Decay of the matrices.
        momentum: Decay of the momentum of the matrices.
        betas: AdamW's.
        fused: Whether AdamW is one kernel.

    Source: Liu et al. 2025, "Muon is Scalable for LLM Training" (arXiv:2502.16982).
    """

    def __init__(
        self,
        matrices: list[Tensor],
        rest: list[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        momentum: float = 0.95,
        fused: bool = False,
    ) -> None:
        self._rest = AdamW(rest, lr=lr, betas=betas, fused=fused)
        turned = {"params": matrices, "lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__([turned, *self._rest.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None
        turned, *groups = self.param_groups
        for parameter in turned["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"]
            momentum.lerp_(parameter.grad, 1 - turned["momentum"])
            ahead = parameter.grad.lerp(momentum, turned["momentum"])
            scale = 0.2 * math.sqrt(max(parameter.shape))
            parameter.mul_(1 - turned["lr"] * turned["weight_decay"])
            parameter.add_(_orthogonalise_whole(ahead), alpha=-turned["lr"] * scale)
        # Whoever wraps an optimiser may put other groups and another state in place of those it was made with.
        self._rest.param_groups, self._rest.state = groups, self.state
        self._rest.step()
