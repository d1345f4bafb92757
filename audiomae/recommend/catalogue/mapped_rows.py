"""Rows of matrices that lie on disk, read as they are needed and not kept in memory."""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomae.vectors.search import unit_rows

__all__ = ["UnitRows", "release_pages", "take_rows"]


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
    """Return rows of a matrix, (*rows.shape, d).

    Of a memory-mapped one they are read from its file: through the mapping, each row may bring in two megabytes
    around it that count as memory of this process.
    """
    if not isinstance(matrix, np.memmap) or _mapping_of(matrix) is None or not matrix.flags.c_contiguous:
        return matrix[rows]
    distinct, places = np.unique(rows, return_inverse=True)
    taken = np.empty((len(distinct), matrix.shape[1]), matrix.dtype)
    size = matrix.shape[1] * matrix.itemsize
    # Where a newer file has taken its place, the mapping still holds it.
    with contextlib.suppress(FileNotFoundError), Path(str(matrix.filename)).open("rb", buffering=0) as file:
        for place, row in enumerate(distinct.tolist()):
            file.seek(matrix.offset + row * size)
            taken[place] = np.frombuffer(file.read(size), matrix.dtype)
        return taken[places.reshape(rows.shape)]
    return np.asarray(matrix[rows])


def release_pages(array: NDArray[np.float32]) -> None:
    """Let go of the pages that reading a memory-mapped array has brought in; other arrays are left alone."""
    held = _mapping_of(array)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def _mapping_of(array: NDArray[np.float32]) -> mmap.mmap | None:
    held: object = array.base
    return held if isinstance(held, mmap.mmap) else None
