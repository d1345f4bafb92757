from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import DataError
from audiomae.vectors import near_pairs as module
from audiomae.vectors.near_pairs import near_pairs
from audiomae.vectors.search import unit_rows


def some_rows(count: int = 300, copied: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which the last are copies of the first with a little noise, and lengths from 0 to 100 s."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(count, 16))
    rows[-copied:] = rows[:copied] + 0.1 * draw.normal(size=(copied, 16))
    lengths = draw.uniform(0, 100, count)
    lengths[-copied:] = lengths[:copied] + draw.uniform(-3, 3, copied)
    return unit_rows(rows), lengths


def by_hand(unit, lengths, threshold, seconds) -> set[tuple[int, int]]:
    cosines = unit.astype(np.float64) @ unit.T.astype(np.float64)
    return {
        (one, other)
        for one in range(len(unit))
        for other in range(one + 1, len(unit))
        if cosines[one, other] >= threshold and abs(lengths[one] - lengths[other]) <= seconds
    }


@pytest.mark.parametrize("seconds", [0.0, 1.5, 50.0, None])
@pytest.mark.parametrize("blocks", [(1024, 8192), (7, 11)])
def test_pairs_are_those_of_the_whole_matrix(monkeypatch, seconds, blocks):
    monkeypatch.setattr(module, "ROWS", blocks[0])
    monkeypatch.setattr(module, "COLUMNS", blocks[1])
    unit, lengths = some_rows()
    found = near_pairs(unit, lengths, 0.6, seconds=seconds)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert set(pairs) == by_hand(unit, lengths, 0.6, np.inf if seconds is None else seconds)
    assert len(set(pairs)) == len(pairs)
    assert np.allclose(found.cosines, (unit[found.first] * unit[found.second]).sum(axis=1), atol=1e-6)


def test_inverted_lists_find_the_near_ones_where_there_are_too_many_to_multiply(monkeypatch):
    unit, lengths = some_rows(2000, 200)
    monkeypatch.setattr(module, "CELLS", 16)
    found = near_pairs(unit, lengths, 0.9, seconds=3.0, exact_products=1000)
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    wanted = by_hand(unit, lengths, 0.9, 3.0)
    assert pairs <= wanted
    assert len(pairs) >= 0.95 * len(wanted) > 0


def test_no_row_is_no_pair():
    found = near_pairs(np.zeros((0, 4), np.float32), np.zeros(0), 0.5)
    assert [len(column) for column in found] == [0, 0, 0]


def test_more_pairs_than_anybody_reads_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 100)
    with pytest.raises(
        DataError, match=r"more than 100 pairs of songs .* Raise --threshold or lower --seconds"
    ):
        near_pairs(np.ones((40, 1), np.float32), np.zeros(40), 0.5)
