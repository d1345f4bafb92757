"""Pairs of user and item that probabilities are fitted and judged on: what was played later, and what was not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.recommend.evaluation.lists import BlockScorer
from audiomae.recommend.evaluation.metrics import Truth

__all__ = ["LabelledPairs", "draw_pairs", "score_pairs"]

ROUNDS = 100
BLOCK = 8192


class LabelledPairs(NamedTuple):
    """Users and items, and whether one played the other."""

    users: NDArray[np.int64]
    """User codes, (n,)."""
    items: NDArray[np.int64]
    """Item rows, (n,)."""
    labels: NDArray[np.bool_]
    """True for a play."""


def draw_pairs(
    truth: Truth, engaged: Truth, *, negatives: int, generator: np.random.Generator
) -> LabelledPairs:
    """Return every relevant pair, and for each some items drawn evenly from those its user never engaged with.

    Args:
        truth: The positives.
        engaged: All items a user engaged with at any time, before or later; never drawn.
        negatives: Items drawn for each positive; a user who engaged with all of the catalogue gets none.
        generator: Source of the draws.
    """
    catalogue = max(truth.catalogue, 1)
    owners = np.repeat(truth.users, truth.counts)
    played = np.concatenate(
        [
            np.repeat(engaged.users, engaged.counts) * catalogue + engaged.items,
            owners * catalogue + truth.items,
        ]
    )
    played = np.unique(played)
    users = np.repeat(owners, negatives)
    items = generator.integers(0, catalogue, len(users))
    for _ in range(ROUNDS):
        again = np.flatnonzero(np.isin(users * catalogue + items, played))
        if not len(again):
            break
        items[again] = generator.integers(0, catalogue, len(again))
    kept = ~np.isin(users * catalogue + items, played)
    users, items = users[kept], items[kept]
    labels = np.repeat([True, False], [len(owners), len(users)])
    return LabelledPairs(np.concatenate([owners, users]), np.concatenate([truth.items, items]), labels)


def score_pairs(scorer: BlockScorer, examples: LabelledPairs) -> NDArray[np.float64]:
    """Return the exact score of each example, (n,)."""
    scores = np.empty(len(examples.users))
    for start in range(0, len(scores), BLOCK):
        part = slice(start, start + BLOCK)
        scores[part] = scorer.exact(examples.users[part], examples.items[part, None])[:, 0]
    return scores
