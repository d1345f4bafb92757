from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomae.recommend.artists import code_artists, credit_artists
from audiomae.recommend.serving.places import first_of_each, first_of_number


@pytest.mark.parametrize(
    ("artists", "most", "kept"),
    [
        (["a", "a feat. b", "b", "c"], 1, [True, False, True, True]),
        (["a feat. b", "a", "b", "c"], 1, [True, False, False, True]),
        (["a & b", "b; c", "c", "b", "c"], 2, [True, True, True, False, False]),
        (["", "a", "", "a"], 1, [True, True, True, False]),
    ],
)
def test_a_song_counts_for_every_artist_it_names(artists, most, kept):
    assert first_of_each(credit_artists(artists), np.arange(len(artists)), most).tolist() == kept


@given(st.lists(st.sampled_from(["", "a", "b", "AC/DC"]), max_size=12), st.integers(1, 3))
def test_songs_of_one_artist_each_are_limited_as_by_their_numbers(artists, most):
    rows = np.arange(len(artists))[::-1]
    wanted = first_of_number(code_artists(artists)[rows], most)
    assert first_of_each(credit_artists(artists), rows, most).tolist() == wanted.tolist()
    joined = credit_artists([*artists, "y & z"])  # a song of two artists takes the other way
    longer = first_of_each(joined, np.append(rows, len(artists)), most)
    assert longer.tolist() == [*wanted.tolist(), True]
