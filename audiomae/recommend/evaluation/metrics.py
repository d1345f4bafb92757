"""What a top list is worth: hits of each user's list, and what all lists together look like.

Lists are (n, k) item rows, best first, -1 where a list is shorter. Relevance is binary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Truth",
    "artist_diversity",
    "coverage",
    "gini",
    "ndcg",
    "novelty",
    "popularity_percentiles",
    "score_lists",
]


@dataclass(frozen=True)
class Truth:
    """Which items are relevant to which judged user.

    Attributes:
        users: User codes, (n,).
        offsets: Where a user's items begin in `items`, (n + 1,).
        items: Item rows, ascending within a user.
        catalogue: Items there are.
    """

    users: NDArray[np.int64]
    offsets: NDArray[np.int64]
    items: NDArray[np.int64]
    catalogue: int

    @classmethod
    def of_pairs(cls, users: NDArray[np.integer], items: NDArray[np.integer], catalogue: int) -> Truth:
        """Build it from (user, item) pairs in any order; a pair met twice counts once."""
        keys = np.unique(users.astype(np.int64) * max(catalogue, 1) + items.astype(np.int64))
        owners, rows = np.divmod(keys, max(catalogue, 1))
        codes, counts = np.unique(owners, return_counts=True)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]).astype(np.int64)
        return cls(codes, offsets, rows, catalogue)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Relevant items of each user, (n,)."""
        return np.diff(self.offsets)

    def among(self, kept: NDArray[np.bool_]) -> Truth:
        """Return the part whose items are True in `kept` (items,); users left without one are dropped."""
        owners = np.repeat(self.users, self.counts)
        mask = kept[self.items]
        return Truth.of_pairs(owners[mask], self.items[mask], self.catalogue)


def mark_hits(lists: NDArray[np.int64], truth: Truth) -> NDArray[np.bool_]:
    """Return (n, k), True where a listed item is relevant; row i is of user `truth.users[i]`."""
    catalogue = max(truth.catalogue, 1)
    place = np.arange(len(truth.users), dtype=np.int64)
    relevant = np.repeat(place, truth.counts) * catalogue + truth.items
    hits: NDArray[np.bool_] = np.isin(place[:, None] * catalogue + lists, relevant) & (lists >= 0)
    return hits


def recall(hits: NDArray[np.bool_], relevant: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Return each user's share of relevant items among the first k of their list: hits / relevant, (n,)."""
    share: NDArray[np.float64] = hits[:, :k].sum(axis=1) / relevant
    return share


def ndcg(hits: NDArray[np.bool_], relevant: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Return each user's discounted gain, 1 / log2(place + 1) a hit, over that of the best list of k, (n,).

    Source: Järvelin & Kekäläinen 2002, binary gains.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(relevant, k)]
    first = hits[:, :k]
    gains: NDArray[np.float64] = (first @ discounts[: first.shape[1]]) / best
    return gains


def reciprocal_rank(hits: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Return 1 / place of each user's first hit, 0 if there is none among the first k, (n,); its mean is the MRR."""
    first = hits[:, :k]
    ranks: NDArray[np.float64] = np.where(first.any(axis=1), 1 / (first.argmax(axis=1) + 1), 0.0)
    return ranks


def hit_rate(hits: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Return 1 for each user with a hit among the first k, else 0, (n,)."""
    found: NDArray[np.float64] = np.asarray(hits[:, :k].any(axis=1), np.float64)
    return found


def score_lists(lists: NDArray[np.int64], truth: Truth, ks: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Return recall@k, ndcg@k, mrr@k and hit_rate@k of each user, (n,) each; row i is of `truth.users[i]`."""
    hits, relevant = mark_hits(lists, truth), truth.counts
    scores = {}
    for k in ks:
        scores[f"recall@{k}"] = recall(hits, relevant, k)
        scores[f"ndcg@{k}"] = ndcg(hits, relevant, k)
        scores[f"mrr@{k}"] = reciprocal_rank(hits, k)
        scores[f"hit_rate@{k}"] = hit_rate(hits, k)
    return scores


def coverage(lists: NDArray[np.int64], catalogue: int) -> float:
    """Return the share of the catalogue that stands in at least one list."""
    return len(np.unique(lists[lists >= 0])) / catalogue


def gini(lists: NDArray[np.int64], catalogue: int) -> float:
    """Return the Gini coefficient of how often each item of the catalogue is listed: 0 all alike, near 1 a few only.

    Items never listed count as listed 0 times; 0 if nothing is listed.
    """
    counts = np.sort(np.bincount(lists[lists >= 0], minlength=catalogue)).astype(np.float64)
    if not counts.sum():
        return 0.0
    places = np.arange(1, catalogue + 1)
    return float(((2 * places - catalogue - 1) * counts).sum() / (catalogue * counts.sum()))


def novelty(lists: NDArray[np.int64], plays: NDArray[np.integer]) -> float:
    """Return the mean of -log2 p over all listed items, in bits; p is an item's share of the plays, one added to each.

    Source: Vargas & Castells 2011 (self-information); the added one keeps unplayed items finite.
    """
    shares = (plays + 1) / (plays.sum() + len(plays))
    listed = lists[lists >= 0]
    return float(-np.log2(shares[listed]).mean()) if len(listed) else 0.0


def artist_diversity(lists: NDArray[np.int64], artists: NDArray[np.integer]) -> float:
    """Return the mean over lists of distinct artists / listed items; an unknown artist (-1) is another each time.

    Args:
        lists: (n, k) rows; empty lists are left out of the mean.
        artists: Artist code of each item, (items,).
    """
    filled = lists >= 0
    codes = np.where(filled, artists[np.maximum(lists, 0)], -1)
    known = np.sort(codes, axis=1)
    firsts = (known >= 0) & np.concatenate(
        [np.ones((len(known), 1), np.bool_), known[:, 1:] != known[:, :-1]], axis=1
    )
    distinct = firsts.sum(axis=1) + (filled & (codes < 0)).sum(axis=1)
    lengths = filled.sum(axis=1)
    return float((distinct[lengths > 0] / lengths[lengths > 0]).mean()) if lengths.any() else 0.0


def popularity_percentiles(plays: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return each item's popularity percentile in [0, 1]: the share of items played less, ties counted half, (items,).

    The popularity bias of lists is the mean percentile of what is recommended minus that of what was consumed.
    """
    ordered = np.sort(plays)
    low, high = np.searchsorted(ordered, plays, "left"), np.searchsorted(ordered, plays, "right")
    percentiles: NDArray[np.float64] = (low + high) / (2 * len(plays))
    return percentiles
