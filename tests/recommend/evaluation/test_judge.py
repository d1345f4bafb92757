"""Recommenders are judged in parts, against each other, on what is known beforehand alone."""

from __future__ import annotations

import numpy as np
import pytest

from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.baselines.baseline import Context
from audiomae.recommend.evaluation.baselines.popularity import CountScorer, Popularity
from audiomae.recommend.evaluation.data import find_truth, prepare_data
from audiomae.recommend.evaluation.labelled_pairs import draw_pairs, score_pairs
from audiomae.recommend.evaluation.metrics import Truth
from audiomae.recommend.evaluation.scores import SystemScores, score_fits, score_system, summarise

USERS = [f"u{code}" for code in range(4)]
TRACKS = [f"t{code}" for code in range(6)]
ARTISTS = np.array([0, 0, 1, 2, 0, -1])


def plays(pairs, times=None):
    users, tracks = zip(*pairs, strict=True) if pairs else ((), ())
    return Interactions.build(USERS, TRACKS, np.array(users, int), np.array(tracks, int), times)


TRAIN = plays([(0, 0), (1, 0), (1, 2), (2, 2)])
KNOWN = plays([(0, 0), (1, 0), (1, 2), (2, 2), (0, 1)])
LATER = plays([(0, 0), (0, 2), (0, 4), (1, 3), (3, 5), (3, 0)])


class Written:
    """Lists written down; with `allowed`, the rows that are allowed."""

    name = "written"

    def __init__(self, lists):
        self.lists = lists

    def top(self, users, k, allowed=None):
        result = np.full((len(users), k), -1)
        for place, user in enumerate(users):
            rows = [row for row in self.lists[user] if allowed is None or allowed[row]][:k]
            result[place, : len(rows)] = rows
        return result


def data(ks=(1, 3)):
    return prepare_data(TRAIN, KNOWN, LATER, ARTISTS, until=None, ks=ks)


def test_a_track_played_before_is_not_to_be_found():
    truth = find_truth(LATER, KNOWN)
    assert truth.users.tolist() == [0, 1, 3]
    assert [truth.items[a:b].tolist() for a, b in zip(truth.offsets, truth.offsets[1:], strict=False)] == [
        [2, 4],
        [3],
        [0, 5],
    ]


def test_the_parts_are_warm_and_cold_users_and_tracks():
    parts = data().parts
    assert {name: (part.users.tolist(), part.items.tolist()) for name, part in parts.items()} == {
        "all": ([0, 1, 3], [2, 4, 3, 0, 5]),
        "warm users": ([0, 1], [2, 4, 3]),
        "cold users": ([3], [0, 5]),
        "warm tracks": ([0, 3], [2, 0]),
        "cold tracks": ([0, 3], [4, 5]),  # its artist is known, or nobody knows its artist
        "cold artists": ([1], [3]),
    }


def test_a_play_of_the_validation_slice_warms_no_track():
    assert data().groups["warm tracks"].tolist() == [True, False, True, False, False, False]


def test_each_group_is_ranked_in_the_full_catalogue_and_by_itself():
    lists = {0: [3, 4, 2], 1: [4, 5, 3], 3: [4, 5, 0]}
    judged = score_system(Written(lists), data())
    assert judged.scores["all"]["hit_rate@1"].tolist() == [0, 0, 0]
    assert judged.scores["all"]["recall@3"].tolist() == [1, 1, 1]
    assert judged.scores["cold tracks"]["mrr@3"].tolist() == [0.5, 0.5]
    assert judged.scores["cold tracks among themselves"]["mrr@3"].tolist() == [1.0, 0.5]
    assert judged.scores["cold artists"]["hit_rate@1"].tolist() == [0]
    assert judged.scores["cold artists among themselves"]["hit_rate@1"].tolist() == [1]


def test_what_lists_look_like_is_counted_over_all_users():
    judged = score_system(Written({0: [3, 4, 2], 1: [4, 5, 3], 3: [4, 5, 0]}), data())
    assert judged.lists["coverage@1"] == pytest.approx(2 / 6)
    assert judged.lists["listed@3"] == 3
    # Users who played them: 2, 1, 2, 0, 0, 0: percentiles 5/6, 7/12, 5/6, 1/4, 1/4, 1/4; consumed 2, 4, 3, 0, 5.
    consumed = (5 / 6 + 1 / 4 + 1 / 4 + 5 / 6 + 1 / 4) / 5
    assert judged.lists["popularity_bias@1"] == pytest.approx(1 / 4 - consumed)


def test_the_summary_holds_means_differences_and_the_deviation_over_seeds():
    one = SystemScores({"all": {"m": np.array([0.0, 1.0, 1.0])}})
    two = SystemScores({"all": {"m": np.array([1.0, 1.0, 1.0])}})
    other = SystemScores({"all": {"m": np.array([0.0, 0.0, 1.0])}})
    part = summarise({"ours": [one, two], "other": [other]}, "ours", draws=200, seed=0)["all"]
    assert part.users == 3
    assert part.systems["ours"]["m"].mean == pytest.approx(5 / 6)
    assert part.systems["ours"]["m"].deviation_over_seeds == pytest.approx(np.std([2 / 3, 1], ddof=1))
    assert part.systems["other"]["m"].deviation_over_seeds is None
    assert part.differences["other"]["m"].mean == pytest.approx(0.5)
    assert part.differences["other"]["m"].low >= 0
    assert "ours" not in part.differences


def test_fits_are_judged_on_at_most_so_many_users():
    judge_fit = score_fits(data(), measure="recall@3", most_users=1, seed=0)
    asked = []

    def fitted(now):
        asked.append(now.users.tolist())
        return Popularity().fit({})(now)

    assert 0 <= judge_fit(fitted) <= 1
    assert len(asked[0]) == 1


def test_negatives_were_never_engaged_with_and_stand_beside_each_play():
    truth = Truth.of_pairs(np.array([0, 0, 1]), np.array([2, 3, 1]), 6)
    engaged = Truth.of_pairs(np.array([0, 0, 1]), np.array([0, 1, 5]), 6)
    examples = draw_pairs(truth, engaged, negatives=50, generator=np.random.default_rng(0))
    assert examples.labels.sum() == 3
    assert len(examples.labels) == 3 * 51
    drawn = [
        {int(item) for item in examples.items[~examples.labels & (examples.users == user)]} for user in (0, 1)
    ]
    assert drawn == [{4, 5}, {0, 2, 3, 4}]


def test_a_user_who_knows_the_whole_catalogue_gets_no_negative():
    truth = Truth.of_pairs(np.array([0]), np.array([1]), 2)
    engaged = Truth.of_pairs(np.array([0]), np.array([0]), 2)
    examples = draw_pairs(truth, engaged, negatives=3, generator=np.random.default_rng(0))
    assert examples.labels.tolist() == [True]


def test_examples_are_scored_pair_by_pair():
    truth = Truth.of_pairs(np.array([0, 1]), np.array([1, 2]), 3)
    examples = draw_pairs(truth, truth, negatives=1, generator=np.random.default_rng(0))
    scores = score_pairs(CountScorer(np.array([5, 6, 7])), examples)
    assert scores.tolist() == (examples.items + 5).tolist()


def test_a_context_says_who_is_known():
    assert Context(KNOWN, np.array([0])).knows.tolist() == [True, True, True, False]
