"""What the towers are trained on, and that they learn it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from audiomae.errors import ConfigError, DataError
from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.losses.loss import Loss
from audiomae.recommend.towers.losses.registry import LOSSES
from audiomae.recommend.towers.negatives import KnownPositives, NegativeSettings
from audiomae.recommend.towers.training_plays import TrainingPlays

KINDS = ("uniform", "in_batch", "mixed", "hard")


def flat(batch: tuple) -> list[torch.Tensor]:
    """The tensors of a batch, in their order."""
    parts = [flat(part) if isinstance(part, tuple) else [part] for part in batch]
    return [value for part in parts for value in part if isinstance(value, torch.Tensor)]


def test_a_draw_is_a_function_of_the_step_and_shares_make_up_the_batch(checkerboard, make_task):
    task, _, _ = make_task(checkerboard(), negatives=NegativeSettings(kind="uniform", per_positive=4))
    whole = task.draw(3, slice(0, 32))
    again = task.draw(3, slice(0, 32))
    assert all(torch.equal(one, other) for one, other in zip(flat(whole), flat(again), strict=True))
    halves = [task.draw(3, part) for part in (slice(0, 16), slice(16, 32))]
    for parts in zip(*(flat(half.users) for half in halves), flat(whole.users), strict=True):
        assert torch.equal(torch.cat(parts[:2]), parts[2])
    for name in ("positive_offsets", "offsets", "valid"):
        assert torch.equal(torch.cat([getattr(half, name) for half in halves]), getattr(whole, name))
    for name in ("tracks", "ids"):
        drawn = [getattr(one.items, name) for one in (*halves, whole)]
        assert torch.equal(torch.cat([half[:16] for half in drawn[:2]]), drawn[2][:32])
        assert torch.equal(torch.cat([half[16:] for half in drawn[:2]]), drawn[2][32:])


def test_every_example_is_drawn_once_in_an_epoch(checkerboard, make_task):
    train = checkerboard()
    task, _, _ = make_task(train, batch=40)
    rows = np.concatenate([task._rows(step) for step in range(len(train) // 40)])
    assert sorted(rows.tolist()) == list(range(len(train)))


def test_known_positives_are_never_negatives(checkerboard, make_task):
    train = checkerboard()
    known = KnownPositives(train.users, train.tracks, (40, 20))
    for kind in KINDS:
        task, _, _ = make_task(train, negatives=NegativeSettings(kind=kind, extra=8, per_positive=4))
        for step in range(5):
            batch, users = task.draw(step, slice(0, 32)), task.examples.users[task._rows(step)]
            tracks = batch.items.tracks
            others = tracks[32:].reshape(32, -1) if kind == "uniform" else tracks.expand(32, -1)
            assert not (known.contains(users[:, None], others.numpy()) & batch.valid.numpy()).any()


def test_hard_negatives_never_hold_a_positive(checkerboard, make_task, monkeypatch):
    seen = []
    look = Loss(
        lambda positive, others, valid: seen.append((others, valid)) or others[valid].sum() + positive.sum()
    )
    monkeypatch.setitem(LOSSES, "softmax", look)
    task, _, _ = make_task(
        checkerboard(), negatives=NegativeSettings(kind="hard", extra=8, hardest=5), hard_after=2
    )
    for step in (1, 2):
        task.loss(task.module, task.draw(step, slice(0, 32)))
    (before, _), (after, valid) = seen
    assert before.shape == (32, 40)
    assert after.shape == (32, 5)
    batch = task.draw(2, slice(0, 32))
    vectors = task.module(task.user_inputs(batch.users), task.item_inputs(batch.items))
    logits = (vectors.users @ vectors.items.T) * vectors.scale + vectors.bias + batch.offsets
    known = ~batch.valid
    for row in range(32):
        positives = set(logits[row][known[row]].tolist())
        assert not positives & set(after[row][valid[row]].tolist())


def test_no_history_holds_the_target_or_anything_at_its_time_or_later(checkerboard, make_task):
    train = checkerboard()
    pairs = zip(train.users.tolist(), train.tracks.tolist(), strict=True)
    times = dict(zip(pairs, train.times.tolist(), strict=True))
    task, _, _ = make_task(train)
    for step in range(7):
        batch, rows = task.draw(step, slice(0, 32)), task._rows(step)
        drawn = batch.users.history
        for row, tracks, weights in zip(rows, drawn.tracks, drawn.weights, strict=True):
            user, item = int(task.examples.users[row]), int(task.examples.items[row])
            shown = tracks[weights > 0].tolist()
            assert item not in shown
            assert all(times[user, track] < times[user, item] for track in shown)


def test_without_time_a_history_is_all_other_plays(tiny, checkerboard, make_task):
    train = checkerboard(timed=False)
    towers = dataclasses.replace(tiny, history_dropout=0.0, field_dropout=0.0, longest=9)
    task, _, _ = make_task(train, towers=towers)
    batch, rows = task.draw(0, slice(0, 32)), task._rows(0)
    drawn = batch.users.history
    for row, tracks, weights in zip(rows, drawn.tracks, drawn.weights, strict=True):
        user, item = int(task.examples.users[row]), int(task.examples.items[row])
        others = set(train.tracks[train.users == user].tolist()) - {item}
        assert set(tracks[weights > 0].tolist()) == others


def test_a_track_played_twice_is_one_example_at_its_first_time():
    train = Interactions.build(["a"], ["x", "y"], np.zeros(3, int), np.array([0, 0, 1]), np.array([5, 9, 7]))
    examples = TrainingPlays.of(train)
    assert examples.items.tolist() == [0, 1]
    assert examples.times.tolist() == [5, 7]


def test_a_batch_larger_than_the_data_is_refused(checkerboard, make_task):
    with pytest.raises(
        ConfigError, match=r"batch is 500, but there are 240 plays to train on\. Use .* of 128 or less"
    ):
        make_task(checkerboard(), batch=500)


def test_a_single_track_is_nothing_to_learn_from():
    train = Interactions.build(["a", "b"], ["x"], np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(DataError, match=r"has 2 plays of 1 tracks; towers need plays of at least 2"):
        TrainingPlays.of(train)
