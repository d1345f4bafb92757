from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomae.vectors.search import Standardiser, nearest, unit_rows


def test_search_equals_sorting_every_cosine():
    generator = np.random.default_rng(0)
    known, asked = generator.normal(size=(200, 12)), generator.normal(size=(7, 12))
    cosines = (asked @ known.T) / np.linalg.norm(asked, axis=1)[:, None] / np.linalg.norm(known, axis=1)
    found = nearest(known, asked, 9, block=3)
    assert np.array_equal(found.rows, np.argsort(-cosines, axis=1)[:, :9])
    # float32 products of unit vectors of 12 entries.
    assert np.allclose(found.cosines, -np.sort(-cosines, axis=1)[:, :9], atol=1e-6)


def test_length_does_not_matter_but_sign_does():
    known = np.array([[1.0, 0.0], [100.0, 1.0], [-1.0, 0.0]])
    found = nearest(known, np.array([[0.001, 0.0]]), 3)
    assert found.rows.tolist() == [[0, 1, 2]]
    assert found.cosines[0, 2] == -1


def test_equal_cosines_are_ordered_by_name_even_at_the_edge():
    known = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    found = nearest(known, np.array([[1.0, 0.0]]), 2, names=["c", "b", "a", "aa"])
    assert found.rows.tolist() == [[3, 1]]
    assert nearest(known, np.array([[1.0, 0.0]]), 2).rows.tolist() == [[0, 1]]


def test_a_query_does_not_find_itself():
    known = np.eye(3)
    assert 1 not in nearest(known, known[1:2], 5, without=[1]).rows
    assert nearest(known, known[1:2], 5, without=[1]).rows.shape == (1, 2)


@given(st.integers(1, 8), st.integers(0, 100))
def test_a_larger_k_only_adds_rows(k, seed):
    values = np.random.default_rng(seed).normal(size=(9, 3))
    fewer, more = nearest(values, values[:2], k).rows, nearest(values, values[:2], k + 1).rows
    assert np.array_equal(more[:, :k], fewer)


def test_a_row_of_zeros_stays_zero():
    assert unit_rows(np.zeros((1, 3))).tolist() == [[0, 0, 0]]


def test_standardised_entries_have_mean_0_and_deviation_1_and_constants_vanish():
    values = np.random.default_rng(0).normal(5, 3, (50, 3))
    values[:, 1] = 7.7
    ready = Standardiser.fit(values)(values)
    assert ready.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-5)
    assert ready.std(axis=0) == pytest.approx([1, 0, 1], abs=1e-5)
