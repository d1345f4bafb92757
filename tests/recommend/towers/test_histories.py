"""What may be looked at when a play is predicted: what came strictly before, and never the play itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.histories import Histories
from audiomae.recommend.towers.settings import TowerSettings

DAY = 86_400


def plays(
    rows: list[tuple[int, int, int]], *, timed: bool = True, users: int = 3, tracks: int = 6
) -> Interactions:
    """Build a table of (user, track, time) rows."""
    codes = np.array(rows, np.int64).reshape(-1, 3)
    return Interactions.build(
        [f"u{number}" for number in range(users)],
        [f"t{number}" for number in range(tracks)],
        codes[:, 0],
        codes[:, 1],
        codes[:, 2] if timed else None,
    )


def shown(items: np.ndarray, weights: np.ndarray) -> list[dict[int, float]]:
    return [
        {int(item): round(float(share), 4) for item, share in zip(row, shares, strict=True) if share > 0}
        for row, shares in zip(items, weights, strict=True)
    ]


def test_only_plays_strictly_before_are_shown():
    histories = Histories.build(plays([(0, 1, 10), (0, 2, 20), (0, 3, 30), (1, 4, 5)]))
    items, weights = histories.read(
        np.array([0, 0, 0, 1]), TowerSettings(longest=5), before=np.array([10, 30, 99, 5])
    )
    assert [sorted(row) for row in shown(items, weights)] == [[], [1, 2], [1, 2, 3], []]


def test_a_play_half_a_life_older_weighs_half():
    histories = Histories.build(plays([(0, 1, 0), (0, 2, 10 * DAY)]))
    items, weights = histories.read(np.array([0]), TowerSettings(longest=2, half_life_days=10.0))
    assert shown(items, weights) == [{1: 0.3333, 2: 0.6667}]
    assert items.tolist() == [[1, 2]]
    assert shown(*histories.read(np.array([0]), TowerSettings(longest=2, half_life_days=0))) == [
        {1: 0.5, 2: 0.5}
    ]


def test_the_last_plays_stay_when_there_are_too_many():
    histories = Histories.build(plays([(0, track, track) for track in range(6)]))
    assert [sorted(row) for row in shown(*histories.read(np.array([0]), TowerSettings(longest=2)))] == [
        [4, 5]
    ]


def test_the_play_that_is_predicted_is_left_out_and_another_takes_its_place():
    histories = Histories.build(plays([(0, track, 0) for track in range(4)], timed=False))
    for track in range(4):
        row = shown(*histories.read(np.array([0]), TowerSettings(longest=3), without=np.array([track])))[0]
        assert sorted(row) == [other for other in range(4) if other != track]
    assert len(shown(*histories.read(np.array([0]), TowerSettings(longest=3), without=np.array([5])))[0]) == 3


def test_a_user_without_a_play_has_an_empty_history():
    items, weights = Histories.build(plays([(0, 1, 1)])).read(np.array([2, 1, -1]), TowerSettings())
    assert not items.any()
    assert not weights.any()


def test_no_play_at_all_gives_empty_histories():
    items, weights = Histories.build(plays([])).read(np.array([0]), TowerSettings(longest=4))
    assert items.shape == weights.shape == (1, 4)


def test_all_plays_of_a_user_stand_with_their_weights():
    histories = Histories.build(plays([(0, 3, 1), (0, 1, 2), (0, 3, 9), (2, 5, 1)]))
    assert [histories.plays_of(user)[0].tolist() for user in (0, 1, 2, -1)] == [[3, 1, 3], [], [5], []]
    assert histories.plays_of(0)[1].tolist() == [1.0, 1.0, 1.0]
    assert len(histories) == 3


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 8)), max_size=25)


@given(ROWS, st.integers(0, 2), st.integers(0, 9), st.none() | st.integers(0, 5), st.integers(1, 6))
def test_histories_equal_those_of_a_loop(rows, user, before, without, longest):
    table = plays(rows)
    items, weights = Histories.build(table).read(
        np.array([user]),
        TowerSettings(longest=longest, half_life_days=1.0),
        before=np.array([before]),
        without=None if without is None else np.array([without]),
    )
    assert table.times is not None
    seen = sorted(
        (int(time), int(track))
        for who, track, time in zip(table.users, table.tracks, table.times, strict=True)
        if who == user and time < before
    )
    if without is not None:  # one spare play is looked at; a track heard twice leaves a gap
        seen = [pair for pair in seen[-longest - 1 :] if pair[1] != without]
    seen = seen[-longest:]
    assert items.shape == (1, longest)
    assert sorted(items[0][weights[0] > 0].tolist()) == sorted(track for _, track in seen)
    assert weights.sum() == pytest.approx(1.0 if seen else 0.0, abs=1e-6)
    assert without not in items[0][weights[0] > 0]
