from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from audiomae.errors import DataError
from audiomae.recommend.catalogue.index import Index, search_vectors
from audiomae.recommend.catalogue.inverted_lists import InvertedLists
from audiomae.vectors.search import unit_rows

COMPASS = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], np.float32)
EAST = np.array([[1, 0]], np.float32)


def random_index(items: int, seed: int = 0, dim: int = 8, **settings: float) -> Index:
    draw = np.random.default_rng(seed)
    unit = unit_rows(draw.normal(size=(items, dim)))
    return Index(unit, np.log(draw.random(items)).astype(np.float32), **settings)


def users_of(count: int, seed: int = 1, dim: int = 8) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)))


def brute_force(index, query, k, gone, allowed):
    """The slow way: every score by itself in float64, sorted by (-score, row)."""
    # fsum: equal rows must have equal scores, which a product of the whole matrix does not give.
    cosines = [math.fsum(row) for row in index.unit.astype(np.float64) * query.astype(np.float64)]
    every = index.scale * np.array(cosines)
    every += index.gamma * index.log_prior.astype(np.float64)
    left = [row for row in range(len(index)) if row not in gone and (allowed is None or allowed[row])]
    return sorted(left, key=lambda row: (-every[row], row))[:k], every


def test_the_nearest_come_first_with_their_cosines():
    found = Index(COMPASS, np.zeros(4, np.float32)).search(EAST, 3)
    assert found.rows.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(found.scores, [[1, 0.6, 0]], atol=1e-7)


def test_the_score_is_scale_times_cosine_plus_gamma_times_log_q():
    prior = np.log(np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    found = Index(COMPASS, prior, scale=10, gamma=0.5).search(EAST, 4)
    expected = 10 * COMPASS[:, 0].astype(np.float64) + 0.5 * prior
    assert found.rows.tolist() == [np.argsort(-expected).tolist()]
    np.testing.assert_allclose(found.scores[0], np.sort(expected)[::-1], rtol=1e-6)


def test_the_metric_that_is_searched_is_the_metric_that_was_trained():
    index = random_index(50, scale=7.0, gamma=0.8)
    user = users_of(1)
    held = search_vectors(index.unit, index.log_prior, scale=7.0, gamma=0.8)
    searched = np.append(user[0], 1.0) @ held.T
    trained = 7.0 * index.unit @ user[0] + 0.8 * index.log_prior
    np.testing.assert_allclose(7.0 * searched, trained, atol=1e-5)


def test_a_strong_prior_lifts_a_popular_item_over_a_nearer_one():
    prior = np.array([-10, -10, 0, -10], np.float32)
    assert Index(COMPASS, prior, scale=1, gamma=1).search(EAST, 1).rows.tolist() == [[2]]
    assert Index(COMPASS, prior, scale=1, gamma=0).search(EAST, 1).rows.tolist() == [[0]]


def test_equal_scores_go_to_the_smaller_row():
    index = Index(np.repeat(COMPASS[:2], 40, axis=0), np.zeros(80, np.float32))
    assert index.search(EAST, 50).rows[0].tolist() == list(range(50))


def test_a_list_past_the_end_is_padded():
    found = Index(COMPASS, np.zeros(4, np.float32)).search(EAST, 6, exclude=[np.array([1])])
    assert found.rows.tolist() == [[0, 2, 3, -1, -1, -1]]
    assert np.isneginf(found.scores[0, 3:]).all()


def test_nothing_allowed_finds_nothing():
    index = Index(COMPASS, np.zeros(4, np.float32))
    assert index.search(EAST, 2, allowed=np.zeros(4, bool)).rows.tolist() == [[-1, -1]]
    assert index.search(EAST[:0], 2).rows.shape == (0, 2)
    assert index.search(EAST, 0).rows.shape == (1, 0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_filters_equal_brute_force(data):
    items = data.draw(st.integers(1, 300))
    index = random_index(items, data.draw(st.integers(0, 99)), scale=5.0, gamma=0.3)
    if data.draw(st.booleans()):  # many ties
        index = Index(index.unit[np.arange(items) // 7], np.zeros(items, np.float32), scale=5.0)
    users = users_of(data.draw(st.integers(1, 5)))
    gone = [
        np.array(sorted(data.draw(st.sets(st.integers(0, items - 1), max_size=20))), np.int64) for _ in users
    ]
    allowed = None
    if data.draw(st.booleans()):
        allowed = np.random.default_rng(items).random(items) < 0.4
    k = data.draw(st.integers(1, 12))
    found = index.search(users, k, exclude=gone, allowed=allowed)
    for place, user in enumerate(users):
        rows, scores = brute_force(index, user, k, set(gone[place].tolist()), allowed)
        mine = found.rows[place][found.rows[place] >= 0]
        assert len(mine) == len(rows)
        np.testing.assert_allclose(scores[mine], scores[rows], atol=1e-9)
        assert mine.tolist() == rows


@pytest.mark.parametrize("threads", [1, 2])
def test_lists_of_a_batch_equal_lists_of_one(threads):
    index, users = random_index(3000, scale=10.0, gamma=0.5), users_of(300)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        batch = index.search(users, 20)
    finally:
        torch.set_num_threads(before)
    for place in range(0, 300, 17):
        alone = index.search(users[place : place + 1], 20)
        assert alone.rows[0].tolist() == batch.rows[place].tolist()
        assert alone.scores[0].tobytes() == batch.scores[place].tobytes()


def test_a_longer_list_begins_with_the_shorter():
    index, users = random_index(2000, scale=10.0, gamma=0.5), users_of(20)
    assert (index.search(users, 50).rows[:, :10] == index.search(users, 10).rows).all()


def test_heard_tracks_may_be_given_as_a_sparse_matrix():
    index, users = random_index(100), users_of(2)
    lists = [np.array([3, 50]), np.array([], np.int64)]
    matrix = csr_matrix((np.ones(2), (np.array([0, 0]), np.array([3, 50]))), shape=(2, 100))
    assert (index.search(users, 99, exclude=lists).rows == index.search(users, 99, exclude=matrix).rows).all()


def test_a_query_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="query 1 holds NaN or infinity"):
        Index(COMPASS, np.zeros(4, np.float32)).search(np.array([[1, 0], [np.nan, 0]], np.float32), 1)


def test_a_scale_that_orders_nothing_is_refused():
    with pytest.raises(DataError, match=r"scale of the towers is 0; it must be above 0"):
        Index(COMPASS, np.zeros(4, np.float32), scale=0)


@pytest.fixture(scope="module")
def large() -> tuple[Index, np.ndarray]:
    """20,000 items in 100 clusters, with lists that are used from 1,000 items on, and users near them."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(100, 16))
    unit = unit_rows(centres[draw.integers(0, 100, 20_000)] + 0.4 * draw.normal(size=(20_000, 16)))
    prior = np.log(draw.zipf(1.5, 20_000) / 1e5).astype(np.float32)
    users = unit_rows(centres[draw.integers(0, 100, 240)] + 0.6 * draw.normal(size=(240, 16)))
    exact = Index(unit, prior, scale=10.0, gamma=0.3)
    lists = InvertedLists.build(exact.vectors)
    held = np.column_stack([users[:120], np.ones(120, np.float32)])
    lists.tune(held, exact.search(users[:120], 50).rows, 0.95)
    return Index(unit, prior, scale=10.0, gamma=0.3, lists=lists, exact_below=1000), users[120:]


def test_probes_tuned_on_some_users_find_the_items_of_others(large):
    index, users = large
    exact = Index(index.unit, index.log_prior, scale=10.0, gamma=0.3).search(users, 50)
    found = index.search(users, 50)
    assert index.lists.probes < index.lists.cells / 2
    hits = [np.intersect1d(mine, true).size for mine, true in zip(found.rows, exact.rows, strict=True)]
    assert np.mean(hits) / 50 > 0.93
    # What is found has its exact score, and stands in its exact order.
    for rows, scores, true, truth in zip(*found, *exact, strict=True):
        assert set(scores[np.isin(rows, true)]) <= set(truth)
        assert (np.diff(scores) <= 0).all()


def test_the_lists_respect_filters(large):
    index, users = large
    allowed = np.arange(20_000) % 3 > 0
    first = index.search(users[:20], 20)
    found = index.search(users[:20], 20, exclude=list(first.rows), allowed=allowed)
    for rows, gone in zip(found.rows, first.rows, strict=True):
        assert not np.isin(rows, gone).any()
        assert allowed[rows].all()


def test_a_narrow_filter_is_searched_exactly(large):
    index, users = large
    allowed = np.arange(20_000) < 500
    exact = Index(index.unit, index.log_prior, scale=10.0, gamma=0.3)
    found, truth = (one.search(users[:10], 20, allowed=allowed) for one in (index, exact))
    assert (found.rows == truth.rows).all()


def test_a_list_longer_than_the_probed_cells_hold_is_still_whole(large):
    index, users = large
    found = index.search(users[:1], 19_000)
    assert (found.rows >= 0).all()
    assert len(np.unique(found.rows)) == 19_000


def test_lists_of_a_batch_equal_lists_of_one_with_inverted_lists(large):
    index, users = large
    batch = index.search(users[:30], 10)
    for place in range(30):
        assert (index.search(users[place : place + 1], 10).rows[0] == batch.rows[place]).all()
