"""The clip-level term: pooled by hand, and the loss as a plain loop says."""

from __future__ import annotations

import math

import pytest
import torch

from audiomae.model.clip_head import ClipHead, pair_loss, pool_visible
from audiomae.model.config import ModelSettings


def unit_vectors(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 5, generator=generator), dim=1)


def loss_in_a_loop(projected: torch.Tensor, tracks: list[int], temperature: float) -> float:
    """Cross-entropy of the partner among all clips but the clip itself and others of its song."""
    vectors, losses = projected.tolist(), []
    for own, vector in enumerate(vectors):
        partner = own + 1 if own % 2 == 0 else own - 1
        scores = {
            other: sum(a * b for a, b in zip(vector, vectors[other], strict=True)) / temperature
            for other in range(len(vectors))
            if other == partner or tracks[other] != tracks[own]
        }
        losses.append(math.log(sum(math.exp(score) for score in scores.values())) - scores[partner])
    return sum(losses) / len(losses)


@pytest.mark.parametrize("tracks", [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 0, 0], [3, 3, 3, 3, 3, 3], [4, 4]])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_loss_is_what_a_plain_loop_gives(generator, tracks, temperature):
    projected = unit_vectors(len(tracks), generator)
    ours = float(pair_loss(projected, torch.tensor(tracks), temperature))
    # float32 of exponents up to 10.
    assert ours == pytest.approx(loss_in_a_loop(projected, tracks, temperature), abs=1e-4)


def test_other_clips_of_the_same_song_are_neither_right_nor_wrong(generator):
    projected = unit_vectors(8, generator).requires_grad_()
    loss = pair_loss(projected, torch.zeros(8, dtype=torch.long), 0.1)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert projected.grad is not None
    assert not projected.grad.any()
    # The same clips as four songs have something to tell apart.
    assert float(pair_loss(projected.detach(), torch.arange(4).repeat_interleave(2), 0.1)) > 1.0


def test_clips_that_find_only_their_partner_cost_nothing():
    projected = torch.eye(4).repeat_interleave(2, dim=0)
    assert float(pair_loss(projected, torch.arange(4).repeat_interleave(2), 0.01)) < 1e-6


def test_a_clip_that_finds_another_song_first_costs_the_difference():
    projected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    loss = float(pair_loss(projected, torch.tensor([0, 0, 1, 1]), 1.0))
    # Each clip: partner 0, one other song's clip 1, the other 0; by hand ln(2 + e).
    assert loss == pytest.approx(math.log(2 + math.e), abs=1e-6)


def test_visible_tokens_are_averaged_row_by_row():
    # A grid of 3 columns x 2 rows; seen are places 0 (row 0), 3 (row 1), 4 (row 0).
    tokens = torch.tensor([[[2.0, 4.0], [10.0, 20.0], [6.0, 0.0]]])
    seen = torch.tensor([[0, 3, 4]])
    assert pool_visible(tokens, seen, rows=2).tolist() == [[4.0, 2.0, 10.0, 20.0]]


def test_a_row_with_nothing_visible_is_zero():
    tokens = torch.tensor([[[2.0], [4.0]], [[1.0], [5.0]]])
    seen = torch.tensor([[0, 3], [1, 5]])
    assert pool_visible(tokens, seen, rows=3).tolist() == [[3.0, 0.0, 0.0], [0.0, 1.0, 5.0]]


def test_the_head_gives_one_unit_vector_a_clip(generator):
    sizes = ModelSettings(width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, projection=8)
    tokens = torch.randn(3, 10, 16, generator=generator)
    projected = ClipHead(sizes)(tokens, torch.arange(10).expand(3, 10))
    assert projected.shape == (3, 8)
    torch.testing.assert_close(projected.norm(dim=1), torch.ones(3))
