from __future__ import annotations

import numpy as np
import pytest

from audiomae.recommend.ranking.features import (
    FEATURES,
    Items,
    UserProfile,
    describe_candidates,
    hide_plays,
)

UNIT = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
DAY = 86_400


def items(**changes: object) -> Items:
    about = {
        "unit": UNIT,
        "plays": np.array([0, 1, 9]),
        "first_seen": np.array([-1, 0, 5 * DAY]),
        "artists": np.array([0, 1, 0]),
        "now": 7 * DAY,
    }
    return Items(**{**about, **changes})


def profile(heard: list[int], weights: list[float] | None = None) -> UserProfile:
    given = np.array(weights or [1] * len(heard), np.float32)
    rows = np.array(heard, np.int64)
    return UserProfile(np.array([1, 0], np.float32), np.unique(rows), rows, given)


def column(table: np.ndarray, name: str) -> list[float]:
    return table[:, FEATURES.index(name)].tolist()


def test_every_column_is_what_a_hand_counts():
    table = describe_candidates(
        items(), profile([1, 2]), np.array([0, 1, 2]), np.array([3.0, 2.0, 1.0])
    ).astype(float)
    assert column(table, "retrieval")[1:] == [2, 1]
    assert column(table, "cosine") == pytest.approx([1, 0, 0.6])
    assert column(table, "popularity")[1:] == pytest.approx(np.log([2, 10]).tolist())
    assert np.isnan(column(table, "age_days")[0])
    assert column(table, "age_days")[1:] == [7, 2]
    assert column(table, "recent_max") == pytest.approx([0.6, 1, 1])
    assert column(table, "recent_mean") == pytest.approx([0.3, 0.9, 0.9])
    assert column(table, "artist_share") == pytest.approx([0.5, 0.5, 0.5])
    assert column(table, "activity") == pytest.approx([np.log(3)] * 3)


def test_a_play_of_weight_w_counts_as_log_of_one_more():
    table = describe_candidates(items(), profile([1, 2], [3, 1]), np.array([0, 1]), np.zeros(2))
    assert column(table, "artist_share") == pytest.approx([1 / 3, 2 / 3])


def test_an_unknown_artist_has_no_share():
    table = describe_candidates(
        items(artists=np.array([-1, -1, 0])), profile([1]), np.array([0, 1, 2]), np.zeros(3)
    )
    assert column(table, "artist_share") == [0, 0, 0]


def test_what_is_not_known_of_a_new_user_or_without_times_is_missing():
    table = describe_candidates(items(now=None), profile([]), np.array([1]), np.zeros(1))
    for name in ("age_days", "recent_max", "recent_mean", "artist_share"):
        assert np.isnan(column(table, name)).all()
    assert column(table, "activity") == [0]


def test_rows_do_not_depend_on_the_rows_beside_them():
    draw = np.random.default_rng(0)
    unit = draw.normal(size=(400, 64)).astype(np.float32)
    many = Items(unit, np.ones(400, np.int64), np.zeros(400, np.int64), np.zeros(400, np.int64), 9)
    one = UserProfile(unit[0], np.arange(50), np.arange(50), np.ones(50, np.float32))
    whole = describe_candidates(many, one, np.arange(400), np.zeros(400))
    again = describe_candidates(many, one, np.arange(400), np.zeros(400))
    assert whole.tobytes() == again.tobytes()
    np.testing.assert_allclose(
        describe_candidates(many, one, np.arange(7), np.zeros(7)), whole[:7], rtol=1e-6
    )


def test_a_track_that_nobody_played_has_no_figures_of_plays():
    table = describe_candidates(items(), profile([1], [1]), np.array([0, 1]), np.array([0.5, 0.6]))
    columns = [FEATURES.index(name) for name in ("retrieval", "popularity")]
    assert np.isnan(table[0, columns]).all()
    assert not np.isnan(table[1, columns]).any()
    assert not np.isnan(table[:, FEATURES.index("cosine")]).any()


def test_hiding_plays_touches_only_what_says_how_often_a_track_was_played():
    table = np.ones((1000, len(FEATURES)), np.float32)
    hidden = hide_plays(table, 0.3, np.random.default_rng(0))
    gone = np.isnan(hidden)
    assert set(np.flatnonzero(gone.any(axis=0))) == {
        FEATURES.index(name) for name in ("retrieval", "popularity", "age_days")
    }
    assert gone[:, 0].mean() == pytest.approx(0.3, abs=0.05)
    assert (gone.sum(axis=1) % 3 == 0).all()
    assert not np.isnan(table).any()
