from __future__ import annotations

import pytest

from audiomae.errors import ConfigError
from audiomae.similarity.radio import play_radio
from audiomae.similarity.rules import SongRules


def ids(songs) -> list[str]:
    return [song.track_id for song in songs]


def test_a_radio_goes_on_until_all_is_played_and_repeats_nothing(orchestra):
    played = ids(play_radio(orchestra, ["bells-00"], k=100))
    assert len(played) == len(set(played)) == 59
    assert "bells-00" not in played


def test_the_same_seed_plays_the_same_and_another_does_not(orchestra):
    first, again, other = (ids(play_radio(orchestra, ["bells-00"], seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_radio_taken_up_again_goes_on_as_if_it_had_not_stopped(orchestra):
    whole = ids(play_radio(orchestra, ["bells-00"], k=12, rules=SongRules(per_artist=3)))
    rest = ids(play_radio(orchestra, ["bells-00"], k=7, after=whole[:5], rules=SongRules(per_artist=3)))
    assert whole[:5] + rest == whole


def test_diversity_widens_it(orchestra):
    near, far = (
        sum(song.cosine for song in play_radio(orchestra, ["drums-00"], k=15, diversity=diversity))
        for diversity in (0.0, 1.0)
    )
    assert near > far


def test_an_artist_rests_for_three_songs(orchestra):
    artists = [song.artist for song in play_radio(orchestra, ["bells-00"], k=30, diversity=0.5)]
    assert all(artist not in artists[max(0, place - 3) : place] for place, artist in enumerate(artists))


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_a_diversity_out_of_range_is_refused(orchestra, diversity):
    with pytest.raises(ConfigError, match="diversity is .*; it must be from 0 to 1"):
        play_radio(orchestra, ["bells-00"], diversity=diversity)
