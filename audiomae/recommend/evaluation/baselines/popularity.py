"""What a recommender must beat, without anything trained: chance and popularity.

A baseline is fitted on the training plays and then lists from a `Situation`: the plays known at that moment. More
baselines are in `neighbours.py` and `factorisation.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from audiomae.corpus.clips import mix_bits
from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.lists import BlockLister, BlockScorer, Lister

__all__ = [
    "Baseline",
    "CountScorer",
    "Fitted",
    "Popularity",
    "Random",
    "RecentPopularity",
    "Situation",
    "as_weights",
    "count_listeners",
    "weight_kinds",
]

DAY = 86_400
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Situation:
    """What is known when lists are made.

    Attributes:
        known: Plays so far; none at or after the moment judged from.
        users: Codes of the users that lists are asked for, ascending, (n,).
        until: That moment, seconds since 1970; None where plays carry no time.
    """

    known: Interactions
    users: NDArray[np.int64]
    until: int | None = None

    @cached_property
    def heard(self) -> csr_matrix:
        """Summed weights, users × tracks."""
        return self.known.pairs()

    @cached_property
    def knows(self) -> NDArray[np.bool_]:
        """Whether a user has any known play, (users,)."""
        some: NDArray[np.bool_] = np.diff(self.heard.indptr) > 0
        return some


Fitted = Callable[[Situation], Lister]


class Baseline(Protocol):
    """Something to compare with."""

    name: str

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """Values to try of each parameter, the default first."""

    def fit(self, parameters: dict[str, Any]) -> Fitted:
        """Fit on the training plays it was made with; what comes back lists from any situation."""


def as_weights(pairs: csr_matrix, kind: str) -> csr_matrix:
    """Return the summed weights of pairs as 1 each ("binary") or log(1 + weight) ("log"), float32."""
    result = pairs.astype(np.float32)
    result.data = np.ones_like(result.data) if kind == "binary" else np.log1p(result.data)
    return result


def weight_kinds(pairs: csr_matrix) -> tuple[str, ...]:
    """Return the kinds of `as_weights` that differ: one where all weights are alike."""
    alike = not pairs.nnz or float(pairs.data.min()) == float(pairs.data.max())
    return ("binary",) if alike else ("binary", "log")


def count_listeners(interactions: Interactions) -> NDArray[np.int64]:
    """Return how many different users played each track, (tracks,)."""
    tracks = max(len(interactions.track_ids), 1)
    keys = np.unique(interactions.users.astype(np.int64) * tracks + interactions.tracks)
    return np.bincount(keys % tracks, minlength=len(interactions.track_ids)).astype(np.int64)


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
    """The tracks with most listeners among the known plays."""

    name = "popularity"

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {}

    def fit(self, parameters: dict[str, Any]) -> Fitted:  # noqa: ARG002
        """See `Baseline.fit`."""
        return lambda now: BlockLister(self.name, CountScorer(count_listeners(now.known)), now.heard)


class RecentPopularity:
    """The tracks with most listeners in the last days before the moment judged from; `days` is tuned."""

    name = "recent popularity"

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {"days": (30, 1, 3, 7, 14, 90, 180, 365)}

    def fit(self, parameters: dict[str, Any]) -> Fitted:
        """See `Baseline.fit`."""

        def lister(now: Situation) -> Lister:
            times, until = now.known.times, now.until
            if times is None or until is None:
                raise ValueError("recent popularity needs plays with times and a moment to look back from.")
            recent = now.known.select((times < until) & (times >= until - parameters["days"] * DAY))
            # Ties of few plays are told apart by all plays before: a fraction below 1, whatever their number.
            every = count_listeners(now.known.select(times < until))
            scores = count_listeners(recent) * (len(every) + 1) + np.unique(every, return_inverse=True)[1]
            ranks = np.unique(scores, return_inverse=True)[1].astype(np.int64)
            return BlockLister(self.name, CountScorer(ranks), now.heard)

        return lister
