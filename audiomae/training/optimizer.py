"""The optimiser of every training, and its state by the names of the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from audiomae.errors import ConfigError
from audiomae.training.muon import Muon
from audiomae.training.settings import LoopSettings

__all__ = ["empty_state", "fill_state", "make_optimizer", "named_state"]


def make_optimizer(module: nn.Module, config: LoopSettings, units: Sequence[nn.Module] = ()) -> Optimizer:
    """Return the optimiser, which decays matrices only; AdamW is fused on a GPU, or where the module asks for it.

    Args:
        module: What is trained.
        config: How to train.
        units: Parts of it whose linear layers Muon moves; AdamW moves the rest.

    Raises:
        ConfigError: If Muon is asked for and there are no such layers.
    """
    turned = _matrices(units) if config.optimizer == "muon" else []
    taken = {id(value) for value in turned}
    others = [value for value in module.parameters() if value.requires_grad and id(value) not in taken]
    groups = [
        {"params": [value for value in others if value.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [value for value in others if value.ndim < 2], "weight_decay": 0.0},
    ]
    fused = torch.cuda.is_available() or bool(getattr(module, "fused_optimizer", False))
    rate, betas = config.learning_rate, (0.9, config.beta2)
    if config.optimizer == "adamw":
        return AdamW(groups, lr=rate, betas=betas, fused=fused)
    if not turned:
        raise ConfigError(
            "train.optimizer muon moves the matrices of linear layers that repeat, as in a transformer's blocks, and "
            "this network has none. Use --train.optimizer adamw."
        )
    return Muon(turned, groups, lr=rate, weight_decay=config.weight_decay, betas=betas, fused=fused)


def _matrices(units: Sequence[nn.Module]) -> list[Tensor]:
    """Return the weights of the units' linear layers that are trained, each once."""
    layers = [part for unit in units for part in unit.modules() if isinstance(part, nn.Linear)]
    weights: dict[Tensor, None] = dict.fromkeys(part.weight for part in layers)
    return [weight for weight in weights if weight.requires_grad]


def named_state(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state as `PARAMETER/ENTRY`: its moments, and AdamW's step as a tensor of one entry."""
    found = {}
    for name, parameter in module.named_parameters():
        for entry, value in optimizer.state.get(parameter, {}).items():
            found[f"{name}/{entry}"] = value.reshape(1) if entry == "step" else value
    return found


def empty_state(module: nn.Module, stored: Iterable[str]) -> dict[str, Tensor]:
    """Return zeros in the shape (and the places) of those entries of `named_state` that are stored, to be filled."""
    parameters = {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}
    found: dict[str, Tensor] = {}
    for key in stored:
        name, _, entry = key.rpartition("/")
        if name in parameters:
            found[key] = torch.zeros(1) if entry == "step" else torch.zeros_like(parameters[name])
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
