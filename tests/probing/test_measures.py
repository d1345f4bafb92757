from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import DataError
from audiomae.probing.measures import bootstrap, draw_folds, probe_linear, probe_neighbours, retrieve_track


def cluster(
    classes: int = 3, clips: int = 12, noise: float = 0.05
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Well separated classes: vectors, labels, folds."""
    generator = np.random.default_rng(0)
    centres = np.eye(classes, 6) * 5
    labels = np.repeat(np.arange(classes), clips)
    vectors = (centres[labels] + generator.normal(0, noise, (classes * clips, 6))).astype(np.float32)
    return vectors, labels.astype(str), np.tile(np.arange(4), classes * clips // 4)


@pytest.mark.parametrize("judge", [probe_linear, probe_neighbours])
def test_separated_classes_are_all_named_and_shuffled_ones_are_not(judge):
    vectors, labels, folds = cluster()
    assert judge(vectors, labels, folds).all()
    shuffled = np.random.default_rng(1).permutation(labels)
    assert judge(vectors, shuffled, folds).mean() < 0.7


@pytest.mark.parametrize("judge", [probe_linear, probe_neighbours])
def test_a_label_that_only_the_asked_fold_has_cannot_be_named(judge):
    vectors, labels, _ = cluster(classes=4)
    assert not judge(vectors, labels, labels.astype(int)).any()


def test_neighbours_vote_and_the_nearest_breaks_a_tie():
    # The known ones are the same three in every quarter turn, so that standardising them changes no angle.
    angles = np.radians([0, *(turn + near for turn in (0, 90, 180, 270) for near in (5, 10, 15))])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = np.array(["a", "a", "b", "b", *"ccccccccc"])
    folds = np.array([0] + [1] * 12)
    assert probe_neighbours(vectors, labels, folds, k=2)[0]
    assert not probe_neighbours(vectors, labels, folds, k=3)[0]


def test_retrieval_is_what_a_hand_count_says():
    # 0 and 1 are each other's nearest, 2's nearest is 3 of another track, 4 is alone in its track.
    vectors = np.array([[9, 1, 0], [9, 1.5, 0], [0, 9, 1], [0, 9, 1.5], [0, 0, -9]], np.float32)
    tracks = np.array(["a", "a", "b", "c", "d"])
    assert retrieve_track(vectors, tracks).tolist() == [True, True, False, False, False]


def test_whitening_brings_out_a_weak_direction_that_tells_the_tracks():
    generator = np.random.default_rng(0)
    loud = generator.normal(0, 100, (60, 1)) @ np.ones((1, 12))
    weak = np.repeat(generator.normal(0, 1, (20, 12)), 3, axis=0)
    vectors = (loud + weak + generator.normal(0, 0.02, (60, 12))).astype(np.float32)
    tracks = np.repeat(np.arange(20), 3).astype(str)
    assert retrieve_track(vectors, tracks, whiten=11).mean() > retrieve_track(vectors, tracks).mean() + 0.3


def test_drawn_folds_keep_groups_whole_and_are_repeatable():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 3).astype(str)
    labels = np.repeat(generator.choice(["a", "b"], 30), 3)
    folds = draw_folds(labels, groups, folds=5, seed=1)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert set(folds.tolist()) == set(range(5))
    assert np.array_equal(folds, draw_folds(labels, groups, folds=5, seed=1))
    assert not np.array_equal(folds, draw_folds(labels, groups, folds=5, seed=2))
    with pytest.raises(DataError, match="two groups"):
        draw_folds(labels, np.full(90, "one"), folds=5, seed=1)


def test_fewer_folds_are_drawn_where_no_label_has_as_many_clips():
    labels = np.array(["a", "a", "a", "b", "b", "c"])
    folds = draw_folds(labels, np.arange(6).astype(str), folds=5, seed=0)
    assert set(folds.tolist()) == {0, 1, 2}
    with pytest.raises(DataError, match="every label has 1"):
        draw_folds(np.array(["a", "b"]), np.array(["1", "2"]), folds=5, seed=0)


def test_the_interval_is_that_of_a_binomial_share():
    hits = np.arange(400) % 4 == 0
    score, low, high = bootstrap(hits, np.arange(400).astype(str), resamples=2000, seed=0)
    assert score == 0.25
    # 1.96 * sqrt(0.25 * 0.75 / 400) = 0.042
    assert (low, high) == (pytest.approx(0.208, abs=0.006), pytest.approx(0.292, abs=0.006))


def test_clips_of_one_track_widen_the_interval():
    hits = np.repeat(np.arange(40) % 4 == 0, 10)
    alone = bootstrap(hits, np.arange(400).astype(str), resamples=500, seed=0)
    grouped = bootstrap(hits, np.repeat(np.arange(40), 10).astype(str), resamples=500, seed=0)
    assert grouped.high - grouped.low > 2.5 * (alone.high - alone.low)
    assert bootstrap(hits, hits.astype(str), resamples=0, seed=0) == (0.25, 0.25, 0.25)


def test_the_same_hits_have_a_paired_difference_of_nothing():
    hits = np.arange(50) % 3 == 0
    groups = np.repeat(np.arange(10), 5).astype(str)
    assert bootstrap(hits.astype(int) - hits, groups, resamples=100, seed=0) == (0, 0, 0)
