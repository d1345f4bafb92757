"""Batches are moved whole, whatever they hold."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from audiomae.training.batches import move_to


class Inner(NamedTuple):
    rows: Tensor
    more: Tensor | None = None


class Batch(NamedTuple):
    inner: Inner
    columns: Tensor
    hardest: bool
    nothing: None = None


def test_every_tensor_moves_and_all_else_stays():
    batch = Batch(Inner(torch.ones(2)), torch.zeros(3), True)
    moved = move_to(batch, torch.device("meta"))
    assert isinstance(moved, Batch)
    assert isinstance(moved.inner, Inner)
    assert (moved.inner.rows.device.type, moved.columns.device.type) == ("meta", "meta")
    assert (moved.inner.more, moved.hardest, moved.nothing) == (None, True, None)
    assert batch.columns.device.type == "cpu"


def test_a_plain_tuple_of_tensors_moves_too():
    assert [value.device.type for value in move_to((torch.ones(1), torch.ones(1)), torch.device("meta"))] == [
        "meta",
        "meta",
    ]
