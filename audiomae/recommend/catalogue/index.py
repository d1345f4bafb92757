"""The best items of the catalogue for each user: by the exact product, or by inverted lists when it is large.

What is searched is what was trained on: scale * cosine + gamma * log q, one inner product of [scale * u, gamma] and
[v, log q]. Candidates are taken in float32 with a margin for its rounding, then scored again in float64, a pair at a
time, so that a user's list does not depend on the users beside them, and equal scores go to the smaller row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from audiomae.errors import DataError
from audiomae.recommend.catalogue.inverted_lists import InvertedLists

__all__ = ["EXACT_BELOW", "Found", "Index", "search_vectors"]

EXACT_BELOW = 200_000
"""Items up to which the exact product is used; a filter that leaves fewer uses it too."""
_GROUP = 32
"""Items whose best score stands for them when the threshold is set."""
_BLOCK, _PART, _PAIRS = 128, 32, 4096
"""Users in one product, users in one selection, pairs scored again at once."""


class Found(NamedTuple):
    """What a search finds, best first."""

    rows: NDArray[np.int64]
    """Rows of the catalogue, (queries, k), -1 where there are no more."""
    scores: NDArray[np.floating]
    """scale * cosine + gamma * log q, (queries, k), -inf where there are no more."""


def search_vectors(
    unit: NDArray[np.float32], log_prior: NDArray[np.float32], *, scale: float, gamma: float
) -> NDArray[np.float32]:
    """Return what the product and the lists hold: [v, gamma / scale * log q], (items, dim + 1).

    Its inner product with [u, 1] is the score over the scale.
    """
    prior = gamma / scale * log_prior.astype(np.float64)
    return np.column_stack([unit, prior.astype(np.float32)])


class Index:
    """Searches a catalogue.

    Args:
        unit: Item vectors of length 1, (items, dim).
        log_prior: log q of each item, (items,).
        scale: Factor of the cosine, above 0.
        gamma: Factor of log q; 0 leaves popularity out.
        lists: Inverted lists over `search_vectors`; without them every search is exact.
        exact_below: Items up to which a search is exact though there are lists.
    """

    def __init__(
        self,
        unit: NDArray[np.float32],
        log_prior: NDArray[np.float32],
        *,
        scale: float = 1.0,
        gamma: float = 0.0,
        lists: InvertedLists | None = None,
        exact_below: int = EXACT_BELOW,
    ) -> None:
        """Hold the items; nothing is computed yet."""
        if not scale > 0:
            raise DataError(f"the scale of the towers is {scale}; it must be above 0. Train them again.")
        self.unit = unit
        self.log_prior = log_prior
        self.scale = scale
        self.gamma = gamma
        self.lists = lists
        self.exact_below = exact_below

    def __len__(self) -> int:
        return len(self.unit)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """What is searched, (items, dim + 1)."""
        return search_vectors(self.unit, self.log_prior, scale=self.scale, gamma=self.gamma)

    @cached_property
    def _columns(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.vectors.T)

    def score(
        self, queries: NDArray[np.float32], users: NDArray[np.integer], rows: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return the score of each pair of a query (its place) and an item (its row), (pairs,)."""
        scores = np.empty(len(rows))
        for first in range(0, len(rows), _PAIRS):
            part = slice(first, first + _PAIRS)
            left = queries[users[part]].astype(np.float64)
            cosines = np.einsum("ij,ij->i", left, self.unit[rows[part]].astype(np.float64))
            scores[part] = self.scale * cosines + self.gamma * self.log_prior[rows[part]].astype(np.float64)
        return scores

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        exclude: Sequence[NDArray[np.integer]] | csr_matrix | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Found:
        """Find the k best items of each query.

        Args:
            queries: User vectors of length 1, (n, dim).
            k: Items to find.
            exclude: Rows that a query must not find: one array a query, or a sparse matrix (n, items).
            allowed: Items that may be found at all, (items,); every one by default.

        Returns:
            Rows and scores, (n, k), padded where fewer are left.

        Raises:
            DataError: If a query is not finite.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if not np.isfinite(queries).all():
            row = int(np.flatnonzero(~np.isfinite(queries).all(axis=1))[0])
            raise DataError(f"query {row} holds NaN or infinity; check the user's fields and history.")
        found = Found(
            np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), -np.inf, np.float32)
        )
        if not k or not len(queries):
            return found
        offsets, heard = _stack(exclude, len(queries))
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if self.lists is not None and count > self.exact_below:
            short = self._search_lists(queries, k, offsets, heard, allowed, found)
            for place in short:  # the cells held fewer than there are
                one, mine = slice(place, place + 1), heard[offsets[place] : offsets[place + 1]]
                part = Found(found.rows[one], found.scores[one])
                self._search_exactly(queries[one], k, np.array([0, len(mine)]), mine, allowed, part)
        else:
            self._search_exactly(queries, k, offsets, heard, allowed, found)
        return found

    def _search_lists(
        self,
        queries: NDArray[np.float32],
        k: int,
        offsets: NDArray[np.int64],
        heard: NDArray[np.int64],
        allowed: NDArray[np.bool_] | None,
        found: Found,
    ) -> list[int]:
        """Fill `found`; return the queries for which there may be more than the cells held."""
        assert self.lists is not None
        short, count = [], len(self) if allowed is None else int(np.count_nonzero(allowed))
        every = np.packbits(np.ones(len(self), dtype=bool) if allowed is None else allowed, bitorder="little")
        for place, query in enumerate(queries):
            mine = heard[offsets[place] : offsets[place + 1]]
            bits = None
            if len(mine) or allowed is not None:
                bits = every.copy()
                np.bitwise_and.at(bits, mine >> 3, ~(np.uint8(1) << (mine & 7).astype(np.uint8)))
            rows = np.sort(self.lists.search(np.append(query, np.float32(1)), k + 8, bits))
            self._keep_best(queries, np.full(len(rows), place), rows, k, found)
            if len(rows) < min(k, count):
                short.append(place)
        return short

    def _search_exactly(
        self,
        queries: NDArray[np.float32],
        k: int,
        offsets: NDArray[np.int64],
        heard: NDArray[np.int64],
        allowed: NDArray[np.bool_] | None,
        found: Found,
    ) -> None:
        columns, rows = self._columns_of(allowed)
        places = np.arange(len(self)) if rows is None else np.full(len(self), -1)
        if rows is not None:
            places[rows] = np.arange(len(rows))
        longest = float(np.sqrt(np.square(columns, dtype=np.float64).sum(axis=0).max(initial=0.0)))
        # Twice the rounding of a float32 dot product with a vector of length sqrt(2).
        margin = np.float32(2 * 1.5 * (len(columns) + 2) * 2.0**-24 * longest)

        def select(first: int, scores: NDArray[np.float32]) -> None:
            last = first + len(scores)
            users = np.repeat(np.arange(last - first), np.diff(offsets[first : last + 1]))
            gone = places[heard[offsets[first] : offsets[last]]]
            scores[users[gone >= 0], gone[gone >= 0]] = -np.inf
            limit = np.maximum(_threshold(scores, k) - margin, np.finfo(np.float32).min)
            users, kept = np.divmod(np.flatnonzero(scores >= limit[:, None]), scores.shape[1])
            self._keep_best(queries, users + first, kept if rows is None else rows[kept], k, found)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            _product_by_blocks(queries, columns, select, pool)

    def _columns_of(
        self, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        if allowed is None:
            return self._columns, None
        rows = np.flatnonzero(allowed)
        return np.ascontiguousarray(self.vectors[rows].T), rows

    def _keep_best(
        self,
        queries: NDArray[np.float32],
        users: NDArray[np.int64],
        rows: NDArray[np.int64],
        k: int,
        found: Found,
    ) -> None:
        """Score pairs again and keep the k best of each user; pairs come user by user, rows ascending."""
        if not len(users):
            return
        scores = self.score(queries, users, rows)
        order = np.lexsort((rows, -scores, users))
        users, rows, scores = users[order], rows[order], scores[order]
        starts = np.flatnonzero(np.diff(users, prepend=users[0] - 1))
        place = np.arange(len(users)) - np.repeat(starts, np.diff(np.append(starts, len(users))))
        best = place < k
        found.rows[users[best], place[best]] = rows[best]
        found.scores[users[best], place[best]] = scores[best]


def _product_by_blocks(
    queries: NDArray[np.float32],
    columns: NDArray[np.float32],
    select: Callable[[int, NDArray[np.float32]], None],
    pool: ThreadPoolExecutor,
) -> None:
    """Hand `select` the scores of some users with all items at a time, with the first of these users."""
    right, workers = torch.from_numpy(columns), torch.get_num_threads()
    block = max(1, min(_BLOCK, 2**27 // max(1, columns.shape[1])))
    buffer = torch.empty(min(block, len(queries)), columns.shape[1])
    ones = np.ones((len(queries), 1), np.float32)
    left = torch.from_numpy(np.hstack([queries, ones]))
    for first in range(0, len(queries), block):
        last = min(first + block, len(queries))
        product = torch.mm(left[first:last], right, out=buffer[: last - first]).numpy()
        parts = range(0, last - first, _PART)
        run = map if workers == 1 or len(parts) == 1 else pool.map
        list(run(lambda at: select(first + at, product[at : at + _PART]), parts))  # noqa: B023


def _threshold(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return for each row of (n, items) a value that at least k of its scores reach, (n,).

    The k-th best among the best of groups is one, as k groups hold a score that reaches it, and close to the k-th
    best of all where there are many more groups than k.
    """
    users, items = scores.shape
    if k >= items:
        return np.full(users, -np.inf, np.float32)
    groups = items // _GROUP
    if groups >= 4 * k:
        scores = scores[:, : groups * _GROUP].reshape(users, _GROUP, groups).max(axis=1)
        items = groups
    limit: NDArray[np.float32] = np.partition(scores, items - k, axis=1)[:, items - k]
    return limit


def _stack(
    exclude: Sequence[NDArray[np.integer]] | csr_matrix | None, queries: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return offsets (queries + 1,) and rows of what each query must not find."""
    if exclude is None:
        return np.zeros(queries + 1, np.int64), np.zeros(0, np.int64)
    if isinstance(exclude, csr_matrix):
        return exclude.indptr.astype(np.int64), exclude.indices.astype(np.int64)
    lengths = [len(rows) for rows in exclude]
    rows = np.concatenate([np.asarray(rows, np.int64) for rows in exclude]) if any(lengths) else np.zeros(0)
    return np.append(0, np.cumsum(lengths)).astype(np.int64), rows.astype(np.int64)
