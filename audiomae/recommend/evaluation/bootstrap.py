"""How sure a mean over users is: bootstrap intervals, of one system or of the difference between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import ConfigError

__all__ = ["Interval", "bootstrap_means", "interval_of"]

BLOCK_CELLS = 500_000
"""Draws × users held at once."""


@dataclass(frozen=True)
class Interval:
    """A mean and where 95 % of the bootstrap means lie.

    Attributes:
        mean: Mean over users and seeds of training.
        low: 2.5 % quantile.
        high: 97.5 % quantile.
    """

    mean: float
    low: float
    high: float


def bootstrap_means(
    systems: Sequence[NDArray[np.float64]], draws: int, generator: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Return (draws,) means of each system, (seeds, users) each: one draw of users for all, one of seeds for each.

    The difference of two systems' means, draw by draw, is the bootstrap of a paired difference.

    Raises:
        ConfigError: If the users differ in number, or there is none, or no draw.

    Source: Efron 1979; percentile interval.
    """
    for system in systems[1:]:
        if system.shape[1] != systems[0].shape[1]:
            raise ConfigError(
                f"a paired bootstrap of {systems[0].shape[1]} against {system.shape[1]} users; give the same users."
            )
    users = systems[0].shape[1]
    if users < 1 or draws < 1:
        raise ConfigError(f"a bootstrap of {users} users in {draws} draws; at least one of each is needed.")
    block = max(1, BLOCK_CELLS // users)
    means: list[list[NDArray[np.float64]]] = [[] for _ in systems]
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        drawn = generator.integers(0, users, size=(rows, users)) + np.arange(rows)[:, None] * users
        counts = np.bincount(drawn.ravel(), minlength=rows * users).reshape(rows, users).astype(np.float64)
        for system, found in zip(systems, means, strict=True):
            of_seeds = counts @ system.T / users
            seeds = len(system)
            chosen = generator.integers(0, seeds, size=(rows, seeds))
            found.append(np.take_along_axis(of_seeds, chosen, axis=1).mean(axis=1))
    return [np.concatenate(found) for found in means]


def interval_of(mean: float, means: NDArray[np.float64]) -> Interval:
    """Return the interval that holds 95 % of the bootstrap means (draws,)."""
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(mean, float(low), float(high))
