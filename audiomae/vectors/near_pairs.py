"""Pairs of vectors with a large cosine, out of a whole collection: block by block, never as a matrix of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DataError
from audiomae.progress import SILENT, Progress

__all__ = [
    "NearPairs",
    "near_pairs",
]

EXACT_PRODUCTS = 20_000_000_000
"""Pairs that are multiplied out at most: all those of 200,000 rows, of more rows where lengths must agree."""

MOST_PAIRS = 1_000_000
"""Pairs that are returned at most."""

ROWS = 1024
COLUMNS = 8192
CELLS = 4096
PROBES = 32


class NearPairs(NamedTuple):
    """Pairs of rows, each once."""

    first: NDArray[np.int64]
    """(pairs,)"""
    second: NDArray[np.int64]
    """(pairs,), each larger than its `first`"""
    cosines: NDArray[np.float32]
    """(pairs,)"""


def near_pairs(
    unit: NDArray[np.float32],
    lengths: NDArray[np.floating],
    threshold: float,
    *,
    seconds: float | None = None,
    exact_products: int = EXACT_PRODUCTS,
    progress: Progress = SILENT,
) -> NearPairs:
    """Return the pairs of rows with a cosine of at least a threshold, and lengths that agree.

    Rows are sorted by length, and each block of them is multiplied with the rows whose length may agree. Where that
    would be more than `exact_products` pairs, faiss's inverted lists look for them; these may miss some.

    Args:
        unit: Rows of length 1 or 0, (rows, d).
        lengths: Length of each row's song, in seconds, (rows,).
        threshold: Least cosine, in [-1, 1].
        seconds: Most that two lengths may differ by; None for any.
        exact_products: Pairs that are multiplied out at most.
        progress: Is told how far the search is.

    Raises:
        DataError: If more than a million pairs are found.

    Example:
        >>> rows = np.array([[1, 0], [0, 1], [0.8, 0.6]], np.float32)
        >>> near_pairs(rows, np.array([9.0, 9.0, 9.5]), 0.7, seconds=1.0)[:2]
        (array([0]), array([2]))
    """
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    ordered = lengths[order].astype(np.float64)
    widest = np.inf if seconds is None else seconds
    ends = np.searchsorted(ordered, ordered + widest, side="right")
    exact = int((ends - np.arange(len(order))).sum()) <= exact_products
    blocks = _multiplied(unit, order, ends, threshold) if exact else _listed(unit, order, threshold)
    found = [NearPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    total = 0
    with progress.stage("comparing", total=len(order), unit="songs") as stage:
        for done, (rows, columns, cosines) in blocks:
            fits = (columns > rows) & (ordered[columns] - ordered[rows] <= widest)
            one, other = order[rows[fits]], order[columns[fits]]
            found.append(NearPairs(np.minimum(one, other), np.maximum(one, other), cosines[fits]))
            total += len(one)
            if total > MOST_PAIRS:
                raise DataError(
                    f"more than {MOST_PAIRS:,} pairs of songs have a cosine of at least {threshold:g}: these vectors "
                    "hardly tell the songs apart, or the limits are too wide. Raise --threshold or lower --seconds."
                )
            stage.update(done)
    return NearPairs(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _multiplied(
    unit: NDArray[np.float32], order: NDArray[np.int64], ends: NDArray[np.int64], threshold: float
) -> Iterator[tuple[int, NearPairs]]:
    """Yield places in `order` with a large cosine, by exact products, and how many rows are done."""
    for first in range(0, len(order), ROWS):
        last = min(first + ROWS, len(order))
        block = unit[order[first:last]]
        for start in range(first, int(ends[last - 1]), COLUMNS):
            stop = min(start + COLUMNS, int(ends[last - 1]))
            scores = np.clip(block @ unit[order[start:stop]].T, -1.0, 1.0)
            rows, columns = np.nonzero(scores >= threshold)
            yield last, NearPairs(rows + first, columns + start, scores[rows, columns])


def _listed(
    unit: NDArray[np.float32], order: NDArray[np.int64], threshold: float
) -> Iterator[tuple[int, NearPairs]]:
    """Yield the same by inverted lists: a row is compared with those in the cells nearest to it."""
    import faiss

    count, dim = unit.shape
    cells = min(CELLS, max(1, count // 40))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed = 10, 0
    sample = np.random.default_rng(0).permutation(count)[: 64 * cells]
    index.train(unit[np.sort(sample)])
    for first in range(0, count, COLUMNS):
        index.add(unit[order[first : first + COLUMNS]])
    index.nprobe = min(PROBES, cells)
    below = float(np.nextafter(np.float32(threshold), np.float32(-2)))
    for first in range(0, count, ROWS):
        last = min(first + ROWS, count)
        limits, cosines, columns = index.range_search(unit[order[first:last]], below)
        rows = np.repeat(np.arange(first, last), (limits[1:] - limits[:-1]).astype(np.int64))
        yield last, NearPairs(rows, columns.astype(np.int64), np.clip(cosines, -1.0, 1.0))
