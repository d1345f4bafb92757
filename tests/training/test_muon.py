"""Muon: matrices inside blocks move by orthogonalised momentum, the rest as AdamW moves it."""

from __future__ import annotations

import math

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from audiomae.errors import ConfigError
from audiomae.training.muon import Muon, orthogonalise
from audiomae.training.optimizer import make_optimizer
from audiomae.training.settings import LoopSettings

CONFIG = LoopSettings(optimizer="muon", learning_rate=1e-2, weight_decay=0.1)


class Blocks(nn.Module):
    """A first and a last layer with two layers in a row between them."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = nn.Linear(5, 8)
            self.blocks = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 8)])
            self.last = nn.Linear(8, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = self.first(values)
        for block in self.blocks:
            values = torch.relu(block(values))
        return self.last(values)


def gradients_of(module: nn.Module, seed: int) -> None:
    values = torch.randn(32, 5, generator=torch.Generator().manual_seed(seed))
    module.zero_grad()
    module(values).square().mean().backward()


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16), (1, 9)])
def test_the_directions_stay_and_the_lengths_become_one(generator, shape):
    matrix = 100 * torch.randn(*shape, generator=generator)
    turned = orthogonalise(matrix)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    lengths = left.T @ turned @ right.T
    # The five steps are made to be fast, not exact: lengths end between about 0.7 and 1.2.
    assert ((lengths.diagonal() > 0.6) & (lengths.diagonal() < 1.3)).all()
    assert float((lengths - lengths.diagonal().diag()).abs().max()) < 1e-3


def test_nothing_to_turn_stays_nothing():
    assert not orthogonalise(torch.zeros(4, 6)).any()


def test_only_matrices_inside_the_units_are_turned():
    module = Blocks()
    optimizer = make_optimizer(module, CONFIG, module.blocks)
    turned = optimizer.param_groups[0]["params"]
    assert [id(value) for value in turned] == [id(block.weight) for block in module.blocks]
    every = [id(value) for group in optimizer.param_groups for value in group["params"]]
    assert sorted(every) == sorted(id(value) for value in module.parameters())


def test_a_first_step_is_what_the_formula_says():
    module = Blocks()
    weight = module.blocks[0].weight
    before = weight.detach().clone()
    gradients_of(module, 1)
    assert weight.grad is not None
    # From rest, the momentum and the look ahead are both multiples of the gradient, which turning takes away.
    expected = before * (1 - 1e-2 * 0.1) - 1e-2 * 0.2 * math.sqrt(16) * orthogonalise(weight.grad)
    make_optimizer(module, CONFIG, module.blocks).step()
    assert torch.allclose(weight, expected, atol=1e-6)


def test_all_else_moves_as_adamw_would_move_it():
    ours, theirs = Blocks(), Blocks()
    optimizers = (
        make_optimizer(ours, CONFIG, ours.blocks),
        make_optimizer(theirs, LoopSettings(learning_rate=1e-2, weight_decay=0.1)),
    )
    for step in range(3):
        gradients_of(ours, step)
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert own.grad is not None
            other.grad = own.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    other = dict(theirs.named_parameters())
    for name, value in ours.named_parameters():
        turned = name.startswith("blocks") and value.ndim == 2
        assert torch.equal(value, other[name]) != turned, name


def test_it_fits_what_it_is_shown_wrapped_as_the_loop_wraps_it():
    """The wrapper puts groups and state of its own in place."""
    module = Blocks()
    wrapped = Accelerator(cpu=True).prepare(make_optimizer(module, CONFIG, module.blocks))
    assert isinstance(wrapped.optimizer, Muon)
    losses = []
    for step in range(40):
        gradients_of(module, 0)
        losses.append(float(module(torch.ones(4, 5)).square().mean().detach()))
        for group in wrapped.param_groups:
            group["lr"] = 1e-2 * (1 - step / 40)
        wrapped.step()
    assert losses[-1] < 0.2 * losses[0]


def test_a_network_without_units_is_refused():
    with pytest.raises(ConfigError, match=r"this network has none\. Use --train\.optimizer adamw"):
        make_optimizer(nn.Linear(3, 2), CONFIG)
