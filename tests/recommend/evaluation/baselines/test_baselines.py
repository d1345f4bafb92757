"""Baselines find what is known to be right on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.baselines.baseline import Context, as_weights, count_users, weight_kinds
from audiomae.recommend.evaluation.baselines.factorisation import Bpr, Ials, implicit_is_there
from audiomae.recommend.evaluation.baselines.neighbours import (
    ContentNeighbours,
    ItemNeighbours,
    keep_largest,
    nearest_items,
)
from audiomae.recommend.evaluation.baselines.popularity import DAY, Popularity, Random, RecentPopularity

needs_implicit = pytest.mark.skipif(not implicit_is_there(), reason="implicit (extra bench) is not installed")


def build(users, tracks, times=None, weights=None, *, shape=None):
    n_users, n_tracks = shape or (max(users) + 1, max(tracks) + 1)
    names = [f"u{code:04}" for code in range(n_users)], [f"t{code:04}" for code in range(n_tracks)]
    return Interactions.build(
        *names, np.array(users), np.array(tracks), None if times is None else np.array(times), weights
    )


def checkerboard(size=20):
    """Even users play even tracks, odd users odd ones; user and track of the same number never met."""
    pairs = [(u, t) for u in range(size) for t in range(size) if (u + t) % 2 == 0 and u != t]
    users, tracks = zip(*pairs, strict=True)
    return build(users, tracks, shape=(size, size))


def everyone(plays, until=None):
    return Context(plays, np.arange(len(plays.user_ids)), until)


def expect_own_number_first(lister, size=20):
    users = np.arange(size)
    assert lister.top(users, 1)[:, 0].tolist() == users.tolist()


def test_item_neighbours_complete_the_checkerboard():
    plays = checkerboard()
    fitted = ItemNeighbours(plays.pairs()).fit({"neighbours": 9, "weights": "binary"})
    lister = fitted(everyone(plays))
    expect_own_number_first(lister)
    # Nothing heard is near a track of the other colour: it is not listed at all.
    assert lister.top(np.array([0]), 3).tolist() == [[0, -1, -1]]


@needs_implicit
def test_ials_completes_the_checkerboard():
    plays = checkerboard()
    fitted = Ials(plays.pairs()).fit(
        {"factors": 4, "regularization": 0.1, "alpha": 10.0, "weights": "binary", "iterations": 50}
    )
    expect_own_number_first(fitted(everyone(plays)))


@needs_implicit
def test_bpr_completes_the_checkerboard_and_repeats_itself():
    plays = checkerboard()
    settings = {"factors": 8, "learning_rate": 0.1, "regularization": 0.001, "iterations": 300}
    listers = [Bpr(plays.pairs(), seed=1).fit(settings)(everyone(plays)) for _ in range(2)]
    expect_own_number_first(listers[0])
    users = np.arange(20)
    assert listers[0].top(users, 10).tolist() == listers[1].top(users, 10).tolist()


@needs_implicit
@pytest.mark.parametrize("kind", [Ials, Bpr])
def test_factorisations_list_only_tracks_played_in_training(kind):
    plays = build([0, 0, 1, 1], [0, 1, 1, 2], shape=(2, 5))
    baseline = kind(plays.pairs())
    chosen = {name: values[0] for name, values in baseline.grid.items()} | {"factors": 2, "iterations": 2}
    lists = baseline.fit(chosen)(everyone(plays)).top(np.arange(2), 5)
    assert lists.tolist() == [[2, -1, -1, -1, -1], [0, -1, -1, -1, -1]]


def test_content_neighbours_find_the_heard_kind_of_track():
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0.9, 0]], np.float32)
    plays = build([0, 1], [0, 2], shape=(2, 5))
    lister = ContentNeighbours(vectors, plays).fit({})(everyone(plays))
    assert lister.top(np.arange(2), 1).tolist() == [[4], [3]]


def test_users_of_no_known_play_get_the_popularity_list():
    plays = build([0, 1, 1, 2], [0, 0, 1, 2], shape=(4, 3))
    expected = Popularity().fit({})(everyone(plays)).top(np.array([3]), 3).tolist()
    assert expected == [[0, 1, 2]]
    for baseline in (ItemNeighbours(plays.pairs()), ContentNeighbours(np.eye(3, dtype=np.float32), plays)):
        lister = baseline.fit({name: values[0] for name, values in baseline.grid.items()})(everyone(plays))
        assert lister.top(np.array([3]), 3).tolist() == expected


def test_popularity_counts_listeners_not_plays_and_leaves_out_what_was_heard():
    plays = build([0, 0, 0, 1, 2], [0, 0, 0, 1, 1], times=[1, 2, 3, 4, 5])
    assert count_users(plays).tolist() == [1, 2]
    lister = Popularity().fit({})(everyone(plays))
    assert lister.top(np.array([0, 1]), 2).tolist() == [[1, -1], [0, -1]]


def test_recent_popularity_looks_back_the_given_days():
    plays = build([0, 1, 2, 3], [0, 0, 1, 2], times=[0, 0, 9 * DAY, 10 * DAY], shape=(5, 4))
    now = Context(plays, np.array([4]), 10 * DAY + 1)
    lists = {
        days: RecentPopularity().fit({"days": days})(now).top(np.array([4]), 4)[0] for days in (1, 3, 30)
    }
    assert lists[1].tolist() == [2, 0, 1, 3]
    assert lists[3].tolist() == [1, 2, 0, 3]
    assert lists[30].tolist() == [0, 1, 2, 3]


def test_recent_popularity_sees_no_play_at_or_after_the_split():
    """Even where the known plays are handed over with later ones among them."""
    until = 100 * DAY
    early = build([0, 1], [0, 1], times=[until - DAY, until - DAY], shape=(4, 3))
    late = build(
        [0, 1, 2, 3, 3],
        [0, 1, 2, 2, 0],
        times=[until - DAY, until - DAY, until, until + 1, until],
        shape=(4, 3),
    )
    for days in (1, 30):
        one, other = (
            RecentPopularity()
            .fit({"days": days})(Context(plays, np.array([2]), until))
            .scorer.score(np.array([2]), slice(0, 3))
            for plays in (early, late)
        )
        assert one.tolist() == other.tolist()


def test_recent_popularity_needs_times():
    plays = build([0], [0])
    with pytest.raises(ValueError, match="needs plays with times"):
        RecentPopularity().fit({"days": 3})(everyone(plays))


def test_random_lists_repeat_themselves_and_differ_by_user_and_seed():
    plays = build([0], [0], shape=(3, 1000))
    users = np.arange(3)
    one, again, other = (Random(seed).fit({})(everyone(plays)).top(users, 10) for seed in (0, 0, 1))
    assert one.tolist() == again.tolist()
    assert not set(one[0]) & {0}
    assert len({tuple(row) for row in (*one.tolist(), *other.tolist())}) == 6


def test_random_lists_favour_no_track():
    plays = build([0], [0], shape=(2000, 20))
    users = np.arange(1, 2000)
    counts = np.bincount(Random(0).fit({})(everyone(plays)).top(users, 1).ravel(), minlength=20)
    assert counts.min() > 60
    assert counts.max() < 145


def test_neighbours_are_cosines_of_listeners():
    pairs = build([0, 1, 1, 2], [0, 0, 1, 1], shape=(3, 3)).pairs()
    found = nearest_items(pairs, 2).toarray()
    assert found == pytest.approx(np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]))


def test_the_largest_of_each_row_are_kept_and_ties_go_to_the_smaller_column():
    from scipy.sparse import csr_matrix

    kept = keep_largest(csr_matrix(np.array([[1.0, 3, 3, 3], [0, 0, 2, 0]])), 2)
    assert kept.toarray().tolist() == [[0, 3, 3, 0], [0, 0, 2, 0]]


def test_weights_are_ones_or_logarithms():
    pairs = build([0, 0], [0, 1], weights=np.array([1.0, 7.0])).pairs()
    assert as_weights(pairs, "binary").toarray().tolist() == [[1, 1]]
    assert as_weights(pairs, "log").toarray() == pytest.approx(np.log([[2, 8]]))
    assert weight_kinds(pairs) == ("binary", "log")
    assert weight_kinds(as_weights(pairs, "binary")) == ("binary",)
