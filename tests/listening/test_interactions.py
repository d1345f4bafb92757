"""Plays as arrays: sorted, each once, aligned with other ids, written and read again."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.errors import DataError
from audiomae.listening.tables import (
    Interactions,
    TableSettings,
    read_interactions,
)

plays_of = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9), st.sampled_from([1.0, 2.0])),
    min_size=1,
)


@settings(max_examples=50, deadline=None)
@given(plays_of, st.booleans())
def test_the_order_of_the_rows_does_not_matter(rows_of, rows, timed):
    users, tracks, times, weights = (np.array(column) for column in zip(*rows, strict=True))
    names = ["e", "d", "c", "b", "a"]
    one = Interactions.build(names, names, users, tracks, times if timed else None, weights)
    two = Interactions.build(
        names, names, users[::-1], tracks[::-1], times[::-1] if timed else None, weights[::-1]
    )
    assert one.fingerprint == two.fingerprint
    keys = {(names[u], names[t], time if timed else None) for u, t, time, _ in rows}
    assert sorted(row[:3] for row in rows_of(one)) == sorted(keys)
    assert rows_of(one) == sorted(rows_of(one), key=lambda row: (row[2] or 0, row[0], row[1]))


def small() -> Interactions:
    return Interactions.build(
        ["a", "b"],
        ["x", "y", "z"],
        np.array([0, 0, 1]),
        np.array([0, 2, 2]),
        np.array([5, 6, 7]),
        np.array([1, 2, 4]),
    )


def test_aligning_gives_places_in_the_list_and_drops_other_tracks():
    plays = small().align(["w", "x", "y"], ["0", "a", "b"])
    assert plays.tracks.tolist() == [1]
    assert plays.users.tolist() == [1]
    assert plays.user_ids == ["0", "a", "b"]
    assert len(small().align(["nothing"])) == 0
    with pytest.raises(DataError, match="is not sorted, or names one twice"):
        small().align(["y", "x"])


def test_pairs_sum_the_weights_of_a_user_and_a_track():
    plays = Interactions.build(["a"], ["x", "y"], np.zeros(3, int), np.array([1, 1, 1]), np.array([1, 2, 3]))
    assert plays.pairs().toarray().tolist() == [[0, 3]]


def test_selecting_keeps_order_and_vocabulary():
    assert small().select(np.array([2, 0])).times.tolist() == [5, 7]
    assert small().select(np.array([False, True, False])).track_ids == ["x", "y", "z"]


@pytest.mark.parametrize("timed", [True, False])
def test_what_is_written_is_read_again(rows_of, tmp_path, timed):
    plays = small()
    if not timed:
        plays = Interactions.build(plays.user_ids, plays.track_ids, plays.users, plays.tracks)
    plays.write(tmp_path / "plays.parquet")
    again = read_interactions(TableSettings(str(tmp_path / "plays.parquet")))
    assert rows_of(again) == rows_of(plays)
    columns = pq.read_schema(tmp_path / "plays.parquet")
    assert columns.names == ["user_id", "track_id", "timestamp", "weight"]


def test_sums_do_not_depend_on_how_many_ids_there_are():
    users, tracks = np.array([0, 1, 0]), np.array([1, 0, 1])
    few = Interactions.build(["a", "b"], ["x", "y"], users, tracks, weights=np.array([1.5, 2, 3]))
    names = [f"{number:08d}" for number in range(4)]
    assert few.weights.tolist() == [4.5, 2]
    assert Interactions.build(
        names, names, users, tracks, weights=np.array([1.5, 2, 3])
    ).weights.tolist() == [4.5, 2]
