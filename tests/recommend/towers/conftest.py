"""Towers on a checkerboard, whose right answer is known.

A test of several processes loads this file in each of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch

from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.negatives import NegativeSettings
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.recommend.towers.task import TowerTask

TINY = TowerSettings(dim=8, hidden=16, layers=2, longest=5)


def make_checkerboard(
    *, users: int = 40, tracks: int = 20, each: int = 6, timed: bool = True
) -> Interactions:
    """Even users play even tracks, odd ones odd tracks."""
    random = np.random.default_rng(0)
    rows = [
        (user, 2 * int(track) + user % 2)
        for user in range(users)
        for track in random.choice(tracks // 2, each, replace=False)
    ]
    codes = np.array(rows)
    return Interactions.build(
        [f"u{number:03d}" for number in range(users)],
        [f"t{number:03d}" for number in range(tracks)],
        codes[:, 0],
        codes[:, 1],
        random.permutation(len(codes)) if timed else None,
    )


def make_tower_task(
    train: Interactions,
    *,
    towers: TowerSettings = TINY,
    objective: ObjectiveSettings | None = None,
    negatives: NegativeSettings | None = None,
    batch: int = 32,
    values: int = 4,
    fields: bool = True,
    **settings,
) -> tuple[TowerTask, UserFeatures, torch.Tensor]:
    """Build a task on random content; the field "side" says whether a user is even or odd."""
    objective, negatives = (
        objective or ObjectiveSettings(),
        negatives or NegativeSettings(extra=8, per_positive=4),
    )
    sides = [str(int(name[1:]) % 2) for name in train.user_ids]
    users = pa.table({"user_id": train.user_ids, "side": sides if fields else [None] * len(sides)})
    features = UserFeatures.fit(
        users, train.user_ids, FeatureSettings(columns={"side": "categorical"}, least_count=1)
    )
    content = torch.randn(len(train.track_ids), values, generator=torch.Generator().manual_seed(3))
    played = np.unique(train.tracks)
    ids = np.zeros(len(train.track_ids), np.int64)
    ids[played] = np.arange(1, len(played) + 1) if towers.track_ids else 0
    count = len(played) if towers.track_ids else 0
    network = make_towers(features, content, count, towers, objective, negatives.count(batch), 0)
    encoded = features.encode(users)
    task = TowerTask(
        network, content, train, encoded, ids, objective, negatives, batch=batch, seed=0, **settings
    )
    return task, features, content


def fit_task(task: TowerTask, steps: int, *, first: int = 0, rate: float = 0.03) -> list[float]:
    """Train with Adam, without anything around it; return the losses."""
    optimizer = torch.optim.Adam([one for one in task.module.parameters() if one.requires_grad], lr=rate)
    losses = []
    for step in range(first, first + steps):
        loss = task.loss(task.module, task.draw(step, slice(0, task.batch)))["loss"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.fixture
def tiny() -> TowerSettings:
    """Sizes of the towers of `make_task`."""
    return TINY


@pytest.fixture
def checkerboard() -> Callable[..., Interactions]:
    """What makes the plays."""
    return make_checkerboard


@pytest.fixture
def make_task() -> Callable[..., tuple[TowerTask, UserFeatures, torch.Tensor]]:
    """What makes a task of plays."""
    return make_tower_task


@pytest.fixture
def fit() -> Callable[..., list[float]]:
    """What trains a task for a few steps."""
    return fit_task
