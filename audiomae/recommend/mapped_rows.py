"""Rows of matrices that lie on disk, read as they are needed and not kept in memory."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from audiomae.data.search import unit_rows

__all__ = ["UnitRows", "release_pages"]

GATHERED_ROWS = 256
"""Rows read at once from all over a memory-mapped matrix; each may bring in a neighbourhood of pages."""


class UnitRows:
    """Rows of a matrix made of length 1 as they are asked for; a memory-mapped one does not stay in memory.

    Args:
        matrix: (items, d) float32; may be memory-mapped.
    """

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self._matrix = matrix

    def __len__(self) -> int:
        return len(self._matrix)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        if isinstance(rows, slice):
            return self._take(rows)
        flat = rows.ravel()
        unit = np.empty((len(flat), self._matrix.shape[1]), np.float32)
        for start in range(0, len(flat), GATHERED_ROWS):
            unit[start : start + GATHERED_ROWS] = self._take(flat[start : start + GATHERED_ROWS])
        return unit.reshape(*rows.shape, -1)

    def _take(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        unit = unit_rows(self._matrix[rows])
        release_pages(self._matrix)
        return unit


def release_pages(array: NDArray[np.float32]) -> None:
    """Let go of the pages that reading a memory-mapped array has brought in; other arrays are left alone."""
    held: object = array.base
    if isinstance(held, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)
