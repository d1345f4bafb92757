"""Profiling a step: the phases add up, the operations are those that can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from audiomae.training.processes import make_accelerator
from audiomae.training.profile import PHASES, count_flops, matrix_peak, profile_steps
from audiomae.training.settings import LoopSettings
from audiomae.training.step import Stepper

CONFIG = LoopSettings(batch=8, threads=1)


class Lines:
    """Two matrices, and attention where it is asked for."""

    def __init__(self, *, attention: bool = False) -> None:
        self.module: nn.Module = nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 4))
        self.attention = attention
        self.drawn: list[int] = []

    def units(self) -> list[nn.Module]:
        return []

    def draw(self, step: int, share: slice) -> tuple[Tensor, ...]:
        self.drawn.append(step)
        return (torch.ones(8, 16)[share],)

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        out = module(batch[0])
        if self.attention:
            heads = out.reshape(1, 1, -1, 4)
            out = functional.scaled_dot_product_attention(heads, heads, heads)
        return {"loss": out.square().mean()}

    def evaluate(self, *_: object) -> dict[str, float]:
        raise AssertionError("nothing is judged")


def flops_of(task: Lines, config: LoopSettings = CONFIG) -> int:
    return count_flops(Stepper(task, config, make_accelerator(config)))


def test_the_operations_of_two_matrices_are_counted():
    # Forward both products; backward both gradients of weights, and of the input of the second.
    forward = 2 * 8 * (16 * 32 + 32 * 4)
    assert flops_of(Lines()) == 2 * forward + 2 * 8 * 32 * 4


def test_fused_attention_on_the_cpu_is_counted_too():
    product = 2 * 8 * 8 * 4
    # Two products forward; backward makes the scores again and four products more.
    assert flops_of(Lines(attention=True)) - flops_of(Lines()) == (2 + 5) * product


def test_accumulating_counts_all_parts():
    assert flops_of(Lines(), LoopSettings(batch=8, accumulate=2, threads=1)) == flops_of(Lines())


def test_phases_add_up_to_the_step():
    task = Lines()
    profile = profile_steps(task, CONFIG, make_accelerator(CONFIG), 20)
    assert tuple(profile.seconds) == PHASES
    assert all(seconds >= 0 for seconds in profile.seconds.values())
    assert 0 < sum(profile.seconds.values()) <= profile.step_seconds * 1.001
    assert profile.samples_per_second == pytest.approx(8 / profile.step_seconds)
    assert profile.flops == flops_of(Lines())
    assert profile.flops_per_second == profile.flops / profile.step_seconds
    assert 0 < profile.share_of_peak == profile.flops_per_second / profile.peak < 1
    assert task.drawn == [*range(3 + 20 + 2)]  # one to count, three to warm up, one ahead


def test_the_matrix_peak_is_a_rate():
    assert 1e7 < matrix_peak(torch.device("cpu"), "fp32", size=128, rounds=2) < 1e14
