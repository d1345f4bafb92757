from __future__ import annotations

import pyarrow as pa

from audiomae.recommend.artists import code_artists, credit_artists


def test_artists_are_numbered_as_they_come_and_an_unknown_one_is_nobody():
    assert code_artists(["", "z", "a", "", "z"]).tolist() == [-1, 0, 1, -1, 0]
    assert code_artists([]).tolist() == []
    assert code_artists(["", ""]).tolist() == [-1, -1]


def test_guests_and_joined_artists_are_credited_each():
    named = credit_artists(pa.chunked_array([["a feat. b", "b & c", ""], ["c; a", "a"]]))
    assert [named.of(row) for row in range(5)] == [[0, 1], [1, 2], [], [2, 0], [0]]
    assert len(credit_artists([]).numbers) == 0


def test_a_column_of_a_table_is_numbered_alike():
    column = pa.chunked_array([["", "z"], ["a", "", "z"]])
    assert code_artists(column).tolist() == [-1, 0, 1, -1, 0]
