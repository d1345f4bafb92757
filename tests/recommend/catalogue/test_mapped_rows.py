"""Rows on disk are what they are in memory."""

from __future__ import annotations

import numpy as np

from audiomae.recommend.catalogue.mapped_rows import UnitRows, release_pages, take_rows
from audiomae.vectors.search import unit_rows


def test_rows_of_a_file_are_those_of_the_matrix(tmp_path):
    matrix = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
    np.save(tmp_path / "rows.npy", matrix, allow_pickle=False)
    mapped = UnitRows(np.load(tmp_path / "rows.npy", mmap_mode="r", allow_pickle=False))
    unit = unit_rows(matrix)
    assert len(mapped) == 3000
    assert mapped[10:20].tolist() == unit[10:20].tolist()
    rows = np.random.default_rng(1).integers(0, 3000, (3, 900))
    assert mapped[rows].tolist() == unit[rows].tolist()
    opened = np.load(tmp_path / "rows.npy", mmap_mode="r", allow_pickle=False)
    for one in (matrix, opened):
        assert take_rows(one, rows).tolist() == matrix[rows].tolist()
        assert take_rows(one, rows[:0]).shape == (0, 900, 8)
    (tmp_path / "rows.npy").unlink()
    assert take_rows(opened, rows).tolist() == matrix[rows].tolist()


def test_arrays_in_memory_keep_their_values():
    matrix = np.ones((2, 2), np.float32)
    release_pages(matrix)
    assert matrix.tolist() == [[1, 1], [1, 1]]
