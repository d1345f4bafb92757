"""Losses, against hand counts and against the softmax over everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from audiomae.recommend.towers.losses.bce import bce_loss
from audiomae.recommend.towers.losses.loss import keep_hardest
from audiomae.recommend.towers.losses.siglip import siglip_loss
from audiomae.recommend.towers.losses.softmax import softmax_loss
from audiomae.recommend.towers.negatives import NegativeSettings, PopularityKind, log_offsets

ALL = torch.ones(1, 2, dtype=torch.bool)


def test_the_softmax_loss_is_minus_the_log_of_the_share_of_the_positive():
    loss = softmax_loss(torch.tensor([math.log(2.0)]), torch.tensor([[0.0, math.log(5.0)]]), ALL)
    assert float(loss) == pytest.approx(-math.log(2 / 8))


def test_a_negative_that_does_not_count_changes_nothing():
    positive, valid = torch.tensor([0.3]), torch.tensor([[True, False]])
    for loss in (softmax_loss, bce_loss):
        one, other = (loss(positive, torch.tensor([[1.0, last]]), valid) for last in (-3.0, 50.0))
        assert torch.equal(one, other)


def test_cross_entropy_of_pairs_sums_over_negatives_and_averages_over_positives():
    positive, others = torch.tensor([0.0, 0.0]), torch.zeros(2, 3)
    assert float(bce_loss(positive, others, torch.ones(2, 3, dtype=torch.bool))) == pytest.approx(
        4 * math.log(2.0)
    )


def test_siglip_is_the_paper_s_sum_over_all_pairs_of_the_batch():
    random = np.random.default_rng(0)
    users, items = (torch.from_numpy(random.normal(size=(5, 3))) for _ in range(2))
    logits = users @ items.T * 7.0 - 10.0
    labels = 2 * np.eye(5) - np.ones((5, 5))
    by_hand = -sum(
        math.log(1 / (1 + math.exp(-labels[i, j] * float(logits[i, j])))) for i in range(5) for j in range(5)
    )
    nobody = torch.zeros(5, 5, dtype=torch.bool)  # all pairs count, known plays too
    assert float(siglip_loss(logits.diagonal(), logits, nobody)) == pytest.approx(by_hand / 5, rel=1e-6)


def test_the_hardest_negatives_are_the_valid_ones_with_the_largest_logits():
    others = torch.tensor([[3.0, 1.0, 2.0, 9.0], [0.0, 0.0, 0.0, 5.0]])
    valid = torch.tensor([[True, True, True, False], [False, False, False, True]])
    kept, still = keep_hardest(others, valid, 2)
    assert kept[0].tolist() == [3.0, 2.0]
    assert still.tolist() == [[True, True], [True, False]]


def learn(
    popularity: PopularityKind, negatives: NegativeSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit free logits of 2 kinds of users over 1,000 items by sampled softmax; return them, the truth, and q."""
    items, batch, random = 1000, 128, np.random.default_rng(0)
    common = 1.0 / np.arange(1, items + 1)
    taste = np.exp(random.normal(0, 2.0, (2, items)))
    truth = common * taste
    truth /= truth.sum(axis=1, keepdims=True)
    q, ends = truth.mean(axis=0), np.cumsum(truth, axis=1) / truth.sum(axis=1, keepdims=True) * (1 - 1e-12)
    counts = np.maximum(1, (q * 1e7).astype(np.int64))
    offsets = torch.from_numpy(log_offsets(counts, negatives, batch, popularity))
    logits = torch.zeros(2, items, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.2)
    steps = 1000
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.2 * (1 - step / steps)
        who = random.integers(0, 2, batch)
        draws = np.array([np.searchsorted(ends[kind], random.random(batch)) for kind in (0, 1)])
        played = draws[who, np.arange(batch)]
        columns = np.concatenate([played, random.integers(0, items, negatives.shared)])
        rows = logits[torch.from_numpy(who)] + offsets
        others = rows[:, torch.from_numpy(columns)]
        valid = torch.from_numpy(columns[None] != played[:, None])
        loss = softmax_loss(others[torch.arange(batch), torch.arange(batch)], others, valid)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return logits.detach().double().softmax(dim=1).numpy(), truth, q


def divergence(truth: np.ndarray, found: np.ndarray) -> float:
    return float((truth * np.log(truth / found)).sum(axis=1).mean())


@pytest.mark.parametrize("kind", ["in_batch", "mixed"])
def test_sampled_softmax_with_log_q_converges_to_the_full_softmax(kind):
    found, truth, q = learn("learned", NegativeSettings(kind=kind, extra=128))
    # The full softmax's optimum is the truth itself; q alone, a guess that knows no user, is at 0.4.
    assert divergence(truth, np.broadcast_to(q, truth.shape)) > 0.25
    assert divergence(truth, found) < 0.05


def test_sampled_softmax_without_log_q_learns_what_popularity_does_not_explain():
    found, truth, q = learn("separate", NegativeSettings(kind="in_batch"))
    assert divergence(truth, found) > 0.5
    with_prior = found * q
    assert divergence(truth, with_prior / with_prior.sum(axis=1, keepdims=True)) < 0.05


def test_the_softmax_gradient_tends_to_that_of_all_items_as_more_are_drawn():
    items, random = 1000, np.random.default_rng(1)
    q = 1.0 / np.arange(1, items + 1)
    q /= q.sum()
    logits = torch.from_numpy(random.normal(0, 1, items)).requires_grad_()
    target = 7
    full = torch.autograd.grad(-logits.log_softmax(0)[target], logits)[0]
    distances = []
    for count in (100, 1_000, 100_000):
        drawn = torch.from_numpy(random.choice(items, count, p=q))
        corrected = logits - torch.from_numpy(np.log(q * count))
        others, valid = corrected[drawn][None], (drawn != target)[None]
        # The positive stands in for all draws of its own, so it keeps its logit.
        loss = softmax_loss(logits[target][None], others, valid)
        found = torch.autograd.grad(loss, logits)[0]
        distances.append(float((found - full).norm() / full.norm()))
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.02


def test_the_softmax_loss_and_its_gradient_are_those_of_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    positive, others = torch.randn(6, generator=generator), 30 * torch.randn(6, 9, generator=generator)
    valid = torch.rand(6, 9, generator=generator) > 0.3
    valid[2] = False  # the user has played all of them
    found = []
    for loss_of in (softmax_loss, _cross_entropy):
        given = positive.clone().requires_grad_(), others.clone().requires_grad_()
        loss = loss_of(*given, valid)
        found.append((loss.detach(), *torch.autograd.grad(loss, given)))
    for ours, expected in zip(*found, strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)
    assert (found[0][2][~valid] == 0).all()


def _cross_entropy(positive: torch.Tensor, others: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    logits = torch.cat([positive[:, None], others.masked_fill(~valid, -math.inf)], dim=1)
    return torch.nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))
