"""The optimiser of every training, and its state by the names of the parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from audiomae.training.config import LoopConfig

__all__ = ["empty_state", "fill_state", "make_optimizer", "named_state"]

MOMENTS = ("exp_avg", "exp_avg_sq")


def make_optimizer(module: nn.Module, config: LoopConfig) -> Optimizer:
    """Return AdamW that decays matrices only; fused where there is a GPU, or the module asks for it."""
    named = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    groups = [
        {"params": [value for _, value in named if value.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [value for _, value in named if value.ndim < 2], "weight_decay": 0.0},
    ]
    fused = torch.cuda.is_available() or bool(getattr(module, "fused_optimizer", False))
    return AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=fused)


def named_state(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state as `PARAMETER/ENTRY`: two moments, and the step as a tensor of one entry."""
    found = {}
    for name, parameter in module.named_parameters():
        for entry, value in optimizer.state.get(parameter, {}).items():
            found[f"{name}/{entry}"] = value.reshape(1) if entry == "step" else value
    return found


def empty_state(module: nn.Module) -> dict[str, Tensor]:
    """Return zeros in the shape (and the places) of `named_state` after a first step, to be filled."""
    found: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            found |= {f"{name}/{entry}": torch.zeros_like(parameter.detach()) for entry in MOMENTS}
            found[f"{name}/step"] = torch.zeros(1)
    return found


def fill_state(module: nn.Module, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give the optimiser the state that `named_state` returned, of the same or another process."""
    parameters = dict(module.named_parameters())
    fused = any(group.get("fused") for group in optimizer.param_groups)
    for key, value in tensors.items():
        name, entry = key.rsplit("/", 1)
        parameter = parameters[name]
        if entry == "step":
            value = value.reshape(()).to(parameter.device if fused else "cpu")
        else:
            value = value.to(parameter.device)
        optimizer.state[parameter][entry] = value
