"""Rows of matrices that lie on disk, read as they are needed and not kept in memory."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from audiomae.data.search import unit_rows

__all__ = ["UnitRows", "release_pages", "take_rows"]

GATHERED_ROWS = 64
"""Rows read at once from all over a memory-mapped matrix; each may bring in a quarter of a megabyte around it."""


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
            unit = unit_rows(self._matrix[rows])
            release_pages(self._matrix)
            return unit
        return unit_rows(take_rows(self._matrix, rows.ravel())).reshape(*rows.shape, self._matrix.shape[1])


def take_rows(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return rows of a matrix, (*rows.shape, d); of a memory-mapped one, few pages at a time are held."""
    if _mapping_of(matrix) is None:
        return matrix[rows]
    flat = rows.ravel()
    taken = np.empty((len(flat), matrix.shape[1]), matrix.dtype)
    for start in range(0, len(flat), GATHERED_ROWS):
        part = slice(start, start + GATHERED_ROWS)
        taken[part] = matrix[flat[part]]
        release_pages(matrix)
    return taken.reshape(*rows.shape, matrix.shape[1])


def release_pages(array: NDArray[np.float32]) -> None:
    """Let go of the pages that reading a memory-mapped array has brought in; other arrays are left alone."""
    held = _mapping_of(array)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def _mapping_of(array: NDArray[np.float32]) -> mmap.mmap | None:
    held: object = array.base
    return held if isinstance(held, mmap.mmap) else None
