"""Measures equal hand counts, and keep what they promise on any list."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.recommend.evaluation.metrics import (
    Truth,
    artist_diversity,
    coverage,
    gini,
    mark_hits,
    novelty,
    popularity_percentiles,
    score_lists,
)

TRUTH = Truth.of_pairs(np.array([7, 2, 2, 2, 7]), np.array([1, 4, 0, 4, 5]), 6)
"""User 2 is to find items 0 and 4, user 7 items 1 and 5."""
LISTS = np.array([[3, 4, 0], [2, 1, -1]])


def test_pairs_become_sorted_rows_each_once():
    assert TRUTH.users.tolist() == [2, 7]
    assert TRUTH.counts.tolist() == [2, 2]
    assert TRUTH.items.tolist() == [0, 4, 1, 5]


def test_a_part_of_the_truth_drops_users_left_without_an_item():
    part = TRUTH.among(np.array([True, False, False, False, True, False]))
    assert part.users.tolist() == [2]
    assert part.items.tolist() == [0, 4]


def test_hits_are_marked_where_a_listed_item_is_relevant():
    assert mark_hits(LISTS, TRUTH).tolist() == [[False, True, True], [False, True, False]]


def test_a_missing_item_is_no_hit_of_the_user_before():
    truth = Truth.of_pairs(np.array([0, 1]), np.array([5, 2]), 6)
    assert not mark_hits(np.array([[-1, -1], [-1, -1]]), truth).any()


def test_measures_equal_a_hand_count():
    scores = score_lists(LISTS, TRUTH, [2, 3])
    second, third = 1 / math.log2(3), 1 / 2
    best = 1 + second
    assert scores["recall@2"].tolist() == [0.5, 0.5]
    assert scores["recall@3"].tolist() == [1.0, 0.5]
    assert scores["ndcg@2"] == pytest.approx([second / best, second / best])
    assert scores["ndcg@3"] == pytest.approx([(second + third) / best, second / best])
    assert scores["mrr@2"].tolist() == [0.5, 0.5]
    assert scores["hit_rate@2"].tolist() == [1.0, 1.0]


def test_a_hit_beyond_k_counts_for_nothing():
    scores = score_lists(np.array([[3, 2, 4]]), Truth.of_pairs(np.array([0]), np.array([4]), 6), [2])
    assert {name: values.tolist() for name, values in scores.items()} == {
        "recall@2": [0.0],
        "ndcg@2": [0.0],
        "mrr@2": [0.0],
        "hit_rate@2": [0.0],
    }


def test_the_best_gain_of_two_places_is_two_hits_however_many_items_are_relevant():
    truth = Truth.of_pairs(np.zeros(4, int), np.arange(4), 6)
    assert score_lists(np.array([[2, 0]]), truth, [2])["ndcg@2"].tolist() == [1.0]
    assert score_lists(np.array([[2, 0]]), truth, [2])["recall@2"].tolist() == [0.5]


@st.composite
def lists_and_truth(draw):
    items = draw(st.integers(2, 12))
    users = draw(st.integers(1, 4))
    lists = [draw(st.permutations(range(items))) for _ in range(users)]
    pairs = [
        (user, item) for user in range(users) for item in draw(st.sets(st.integers(0, items - 1), min_size=1))
    ]
    truth = Truth.of_pairs(*(np.array(column) for column in zip(*pairs, strict=True)), items)
    return np.array(lists), truth


@settings(deadline=None)
@given(lists_and_truth())
def test_a_larger_k_never_lowers_recall_hits_or_reciprocal_rank(case):
    lists, truth = case
    ks = list(range(1, lists.shape[1] + 1))
    scores = score_lists(lists, truth, ks)
    for measure in ("recall", "hit_rate", "mrr"):
        for k in ks[1:]:
            assert (scores[f"{measure}@{k}"] >= scores[f"{measure}@{k - 1}"]).all()
    assert scores[f"recall@{ks[-1]}"].tolist() == [1.0] * len(truth.users)


@settings(deadline=None)
@given(lists_and_truth(), st.integers(1, 12))
def test_no_measure_leaves_zero_to_one(case, k):
    for values in score_lists(*case, [k]).values():
        assert (values >= 0).all()
        assert (values <= 1 + 1e-12).all()


@settings(deadline=None)
@given(lists_and_truth())
def test_a_perfect_list_scores_one(case):
    _, truth = case
    lists = np.full((len(truth.users), truth.catalogue), -1)
    for row, (start, stop) in enumerate(zip(truth.offsets, truth.offsets[1:], strict=False)):
        lists[row, : stop - start] = truth.items[start:stop]
    for values in score_lists(lists, truth, [truth.catalogue]).values():
        assert values == pytest.approx(np.ones(len(truth.users)))


def test_coverage_counts_what_is_listed_at_least_once():
    assert coverage(np.array([[0, 1], [1, -1]]), 8) == 0.25


def test_gini_is_zero_where_all_are_listed_alike_and_near_one_where_one_is():
    assert gini(np.array([[0, 1], [2, 3]]), 4) == 0.0
    assert gini(np.array([[2, -1], [2, -1]]), 4) == pytest.approx(0.75)
    # Counts 0, 0, 1, 3: mean absolute difference over twice the mean, by hand.
    counts = [0, 0, 1, 3]
    by_hand = sum(abs(a - b) for a in counts for b in counts) / (2 * 4 * 4)
    assert gini(np.array([[3, 2], [3, -1], [3, -1]]), 4) == pytest.approx(by_hand)
    assert gini(np.array([[-1]]), 4) == 0.0


def test_novelty_is_the_mean_surprise_in_bits():
    # One added to plays 3, 1, 0, 0: shares 4/8, 2/8, 1/8, 1/8.
    plays = np.array([3, 1, 0, 0])
    assert novelty(np.array([[0, 1], [2, -1]]), plays) == pytest.approx((1 + 2 + 3) / 3)


def test_artist_diversity_counts_each_artist_once_and_an_unknown_one_each_time():
    artists = np.array([0, 0, 1, -1, -1])
    assert artist_diversity(np.array([[0, 1, 2, 3]]), artists) == 0.75
    assert artist_diversity(np.array([[3, 4], [0, 1]]), artists) == pytest.approx((1 + 0.5) / 2)
    assert artist_diversity(np.array([[-1, -1], [0, -1]]), artists) == 1.0


def test_percentiles_count_ties_half():
    assert popularity_percentiles(np.array([5, 0, 0, 9])).tolist() == [0.625, 0.25, 0.25, 0.875]
