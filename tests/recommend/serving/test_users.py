from __future__ import annotations

import numpy as np
import pytest

from audiomae.errors import DataError
from audiomae.recommend.serving.engine import Engine


@pytest.fixture(scope="module")
def reader(small_recommender):
    return Engine.open(small_recommender).reader


def test_a_known_user_has_heard_what_they_played(reader):
    one = reader.known(["u03"])
    mine = reader.plays.tracks[reader.plays.users == 3]
    assert one.heard[0].tolist() == np.unique(mine).tolist()
    assert sorted(one.known[0].heard) == sorted(mine)
    assert np.linalg.norm(one.vectors[0]) == pytest.approx(1, abs=1e-6)


def test_a_user_who_played_nothing_is_known_by_their_fields(reader):
    assert reader.known(["zoe"]).heard[0].tolist() == []
    assert "zoe" in reader.names


def test_a_users_vector_does_not_depend_on_the_users_beside_them(reader):
    batch = reader.known(reader.names)
    for place, name in enumerate(batch.names):
        assert reader.known([name]).vectors.tobytes() == batch.vectors[place].tobytes()


def test_a_new_user_with_the_fields_of_a_known_one_without_plays_has_their_vector(reader):
    assert reader.new({"country": "FR"}).vectors.tobytes() == reader.known(["zoe"]).vectors.tobytes()


def test_songs_somebody_likes_count_as_heard_and_move_their_vector(reader):
    fan = reader.new({}, ["t005", "t002", "t005"])
    assert fan.heard[0].tolist() == [2, 5]
    assert (fan.vectors != reader.new({}).vectors).any()


def test_an_unknown_user_is_told_how_to_be_a_new_one(reader):
    with pytest.raises(DataError, match=r"user 'u3' is not among the 31 known. Close: u\d.*--new .*--liked"):
        reader.known(["u3"])


def test_an_unknown_track_is_told_close_ones(reader):
    with pytest.raises(
        DataError, match=r"track 't00' is not among the 60 of the catalogue. Close: t000, t001"
    ):
        reader.new({}, ["t00"])


def test_an_unknown_field_is_refused_by_name(reader):
    with pytest.raises(DataError, match=r"field 'agee' is not one .* They know age, country"):
        reader.new({"agee": 3})


def test_a_field_that_is_no_number_is_refused(reader):
    with pytest.raises(DataError, match="column age: 'old' is not a number"):
        reader.new({"age": "old"})


def test_songs_may_be_named_by_their_titles(reader):
    assert reader.new({}, ["song 5", "t002", "Song 5"]).heard[0].tolist() == [2, 5]
