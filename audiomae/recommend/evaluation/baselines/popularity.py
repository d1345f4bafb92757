"""What a recommender must beat, without anything trained: chance and popularity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.corpus.clips import mix_bits
from audiomae.recommend.evaluation.baselines.baseline import Context, Fitted, count_users
from audiomae.recommend.evaluation.lists import BlockLister, BlockScorer, Lister

__all__ = ["CountScorer", "Popularity", "Random", "RecentPopularity"]

DAY = 86_400
GOLDEN = 0x9E3779B97F4A7C15


class CountScorer(BlockScorer):
    """One number an item, the same for every user."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.items = len(counts)
        self._counts = counts.astype(np.float32)

    def score(self, users: NDArray[np.int64], items: slice) -> NDArray[np.float32]:
        """See `BlockScorer.score`."""
        return np.repeat(self._counts[None, items], len(users), axis=0)

    def exact(self, users: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:  # noqa: ARG002
        """See `BlockScorer.exact`."""
        return self._counts[rows].astype(np.float64)


class RandomScorer(BlockScorer):
    """A hash of seed, user and item in [0, 1)."""

    def __init__(self, items: int, seed: int) -> None:
        self.items = items
        self._start = np.uint64((seed * 2 + 1) * GOLDEN % 2**64)

    def score(self, users: NDArray[np.int64], items: slice) -> NDArray[np.float32]:
        """See `BlockScorer.score`."""
        return self._draw(users, np.arange(items.start, min(items.stop, self.items))[None])

    def exact(self, users: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `BlockScorer.exact`; 24 bits, so that float32 holds them."""
        return self._draw(users, rows).astype(np.float64)

    def _draw(self, users: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Hash users and rows apart (splitmix64; Steele, Lea & Flood 2014), and mix both in 32 bits (murmur3)."""
        start = mix_bits(users.astype(np.uint64) + self._start).astype(np.uint32)
        bits = start[:, None] ^ mix_bits(rows.astype(np.uint64) * np.uint64(GOLDEN)).astype(np.uint32)
        bits ^= bits >> np.uint32(16)
        bits *= np.uint32(0x85EBCA6B)
        bits ^= bits >> np.uint32(13)
        bits *= np.uint32(0xC2B2AE35)
        bits ^= bits >> np.uint32(16)
        return (bits >> np.uint32(8)).astype(np.float32) / np.float32(2**24)


class Random:
    """Any track not heard, by a seeded hash of user and track."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {}

    def fit(self, parameters: dict[str, Any]) -> Fitted:  # noqa: ARG002
        """See `Baseline.fit`."""
        return lambda now: BlockLister(
            self.name, RandomScorer(len(now.known.track_ids), self.seed), now.heard
        )


class Popularity:
    """The tracks that most users played among the known plays."""

    name = "popularity"

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {}

    def fit(self, parameters: dict[str, Any]) -> Fitted:  # noqa: ARG002
        """See `Baseline.fit`."""
        return lambda now: BlockLister(self.name, CountScorer(count_users(now.known)), now.heard)


class RecentPopularity:
    """The tracks that most users played in the last days before the moment judged from; `days` is tuned."""

    name = "recent popularity"

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {"days": (30, 1, 3, 7, 14, 90, 180, 365)}

    def fit(self, parameters: dict[str, Any]) -> Fitted:
        """See `Baseline.fit`."""

        def lister(now: Context) -> Lister:
            times, until = now.known.times, now.until
            if times is None or until is None:
                raise ValueError("recent popularity needs plays with times and a moment to look back from.")
            recent = now.known.select((times < until) & (times >= until - parameters["days"] * DAY))
            # Ties of few plays are told apart by all plays before: a fraction below 1, whatever their number.
            every = count_users(now.known.select(times < until))
            scores = count_users(recent) * (len(every) + 1) + np.unique(every, return_inverse=True)[1]
            ranks = np.unique(scores, return_inverse=True)[1].astype(np.int64)
            return BlockLister(self.name, CountScorer(ranks), now.heard)

        return lister
