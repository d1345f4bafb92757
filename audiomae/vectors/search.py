"""Exact search for the nearest vectors by cosine: one product, no index, nothing approximate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Standardiser", "nearest", "unit_rows"]


class Neighbours(NamedTuple):
    """What a search finds, best first."""

    rows: NDArray[np.int64]
    """Rows of the collection, (queries, k)."""
    cosines: NDArray[np.float32]
    """Their cosines with the query, in [-1, 1], (queries, k)."""


class Standardiser(NamedTuple):
    """Brings every entry of a collection to mean 0 and deviation 1; a constant entry becomes 0."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def fit(cls, vectors: NDArray[np.floating]) -> Standardiser:
        """Learn mean and deviation of (vectors, d)."""
        values = vectors.astype(np.float64)
        deviation = values.std(axis=0)
        still = deviation <= 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0, initial=0.0))
        deviation[still] = np.inf
        return cls(values.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def __call__(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardise (vectors, d)."""
        return np.asarray((vectors - self.mean) / self.deviation, dtype=np.float32)


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale every row to length 1; a row of zeros stays zero."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def nearest(
    collection: NDArray[np.floating],
    queries: NDArray[np.floating],
    k: int,
    *,
    names: Sequence[str] | None = None,
    without: Sequence[int] | None = None,
    block: int = 256,
) -> Neighbours:
    """Find the k rows of `collection` with the largest cosine to each query.

    Args:
        collection: (rows, d).
        queries: (queries, d).
        k: Rows to find; fewer are returned where there are fewer.
        names: Decide between equal cosines, smallest first; the row number does without them.
        without: A row for each query that it must not find (itself), -1 for none.
        block: Queries in one product.

    Example:
        >>> nearest(np.eye(3), np.array([[1.0, 0.5, 0.0]]), 2).rows.tolist()
        [[0, 1]]
    """
    known = unit_rows(collection)
    rows = len(known)
    skip = np.full(len(queries), -1) if without is None else np.asarray(without)
    rank = np.arange(rows)
    if names is not None:
        rank[np.array(sorted(range(rows), key=lambda row: names[row]), dtype=np.int64)] = np.arange(rows)
    k = max(0, min(k, rows - (1 if len(skip) and skip.min() >= 0 else 0)))
    found = np.zeros((len(queries), k), np.int64)
    cosines = np.zeros((len(queries), k), np.float32)
    for first in range(0, len(queries), block):
        last = min(first + block, len(queries))
        scores = np.clip(unit_rows(queries[first:last]) @ known.T, -1.0, 1.0)
        for place in range(first, last):
            score = scores[place - first]
            if skip[place] >= 0:
                score[skip[place]] = -np.inf
            # Every row that ties with the k-th best stays in, so that names alone decide among them.
            limit = np.partition(score, rows - k)[rows - k] if 0 < k < rows else -np.inf
            kept = np.flatnonzero(score >= limit)
            order = kept[np.lexsort((rank[kept], -score[kept]))][:k]
            found[place], cosines[place] = order, score[order]
    return Neighbours(found, cosines)
