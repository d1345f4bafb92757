"""Splits: no play at or after the split time trains, and no track is new in two ways."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.errors import ConfigError, DataError
from audiomae.listening.tables import Interactions
from audiomae.recommend.splits import SplitSettings, protocol, split_interactions


def make(rows, *, timed=True, users=6, tracks=8) -> Interactions:
    user, track, time = (np.array(column) for column in zip(*rows, strict=True))
    names = [f"u{number}" for number in range(users)], [f"t{number}" for number in range(tracks)]
    return Interactions.build(*names, user, track, time if timed else None)


def random_plays(seed: int = 0, count: int = 400, *, timed: bool = True) -> Interactions:
    draw = np.random.default_rng(seed)
    rows = np.stack(
        [draw.integers(0, 6, count), draw.integers(0, 8, count), draw.integers(0, 300, count)], axis=1
    )
    return make(rows.tolist(), timed=timed)


ARTISTS = ["A", "A", "A", "B", "B", "C", "", ""]
shares = st.sampled_from([0.0, 0.1, 0.3])
plays_of = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 20)), min_size=30, max_size=80, unique=True
)


@settings(max_examples=100, deadline=None)
@given(plays_of, shares, shares, shares, shares, st.integers(0, 3))
def test_time_separates_the_slices_and_cold_groups_are_disjoint(
    rows, validation, test, tracks, artists, seed
):
    plays = make(rows)
    if len(np.unique(plays.times)) < 4:
        return
    config = SplitSettings("time", validation, test, tracks, artists, seed)
    split = split_interactions(plays, config, ARTISTS)
    assert len(split.train)
    if split.test_time is not None:
        assert split.train.times.max() < split.test_time == split.test.times.min()
        assert not len(split.validation) or split.validation.times.max() < split.test_time
    if split.validation_time is not None:
        assert split.train.times.max() < split.validation_time
        assert not len(split.validation) or split.validation.times.min() >= split.validation_time
    assert len(split.train) + len(split.validation) + len(split.test) + split.dropped == len(plays)
    assert not (split.cold_track & split.cold_artist).any()
    played = np.zeros(8, bool)
    played[split.train.tracks] = True
    assert ((split.cold_track | split.cold_artist) == ~played).all()
    heard = {ARTISTS[track] for track in np.flatnonzero(played)}
    for track in np.flatnonzero(split.cold_artist):
        assert ARTISTS[track] not in heard | {""}
    for track in np.flatnonzero(split.cold_track):
        assert ARTISTS[track] in heard | {""}


def test_a_boundary_falls_where_the_time_changes_nearest_to_the_share():
    plays = make([(0, track, time) for track, time in enumerate([1, 2, 2, 2, 2, 3, 4, 5])])
    split = split_interactions(plays, SplitSettings(validation=0.3, test=0.3), ARTISTS)
    assert split.train.times.tolist() == [1, 2, 2, 2, 2]
    assert split.validation.times.tolist() == [3]
    assert split.test.times.tolist() == [4, 5]
    assert (split.validation_time, split.test_time) == (3, 4)


def test_too_few_times_and_no_time_are_refused():
    plays = make([(0, 0, 5), (1, 1, 5), (2, 2, 6)])
    with pytest.raises(
        DataError, match=r"the plays have 2 different times and 3 slices need one each\. Use kind per"
    ):
        split_interactions(plays, SplitSettings(), ARTISTS)
    with pytest.raises(DataError, match=r"no timestamp, which kind time splits by\. Use kind per_user"):
        split_interactions(random_plays(timed=False), SplitSettings(), ARTISTS)


@pytest.mark.parametrize("timed", [True, False])
def test_per_user_keeps_a_track_of_a_user_in_one_slice_and_one_of_each_user_in_train(timed):
    plays = random_plays(timed=timed)
    split = split_interactions(plays, SplitSettings("per_user", 0.2, 0.2, seed=1), ARTISTS)
    pairs = [
        set(zip(part.users, part.tracks, strict=True)) for part in (split.train, split.validation, split.test)
    ]
    assert not (pairs[0] & pairs[1] | pairs[0] & pairs[2] | pairs[1] & pairs[2])
    assert set(split.train.users) == set(plays.users)
    assert split.test_time is None


def test_per_user_shares_hold_on_average_for_users_of_few_tracks():
    rows = [(user, track, 0) for user in range(500) for track in range(4)]
    plays = make(rows, timed=False, users=500)
    split = split_interactions(plays, SplitSettings("per_user", 0.1, 0.1), ARTISTS)
    assert 160 < len(split.test) < 240
    assert 160 < len(split.validation) < 240


def test_the_seed_decides_and_repeats():
    plays = random_plays()
    config = SplitSettings("per_user", cold_tracks=0.3, seed=4)
    one, two = (split_interactions(plays, config, ARTISTS) for _ in range(2))
    other = split_interactions(plays, SplitSettings("per_user", cold_tracks=0.3, seed=5), ARTISTS)
    assert one.test.fingerprint == two.test.fingerprint != other.test.fingerprint
    assert (one.cold_track == two.cold_track).all()


def test_cold_tracks_and_artists_lose_all_plays_before_the_test():
    plays = random_plays()
    config = SplitSettings(cold_tracks=0.25, cold_artists=0.3)
    split = split_interactions(plays, config, ARTISTS)
    assert split.cold_track.sum() == 2
    assert len({ARTISTS[track] for track in np.flatnonzero(split.cold_artist)}) == 1
    cold = np.flatnonzero(split.cold_track | split.cold_artist)
    assert not np.isin(split.validation.tracks, cold).any()
    assert np.isin(split.test.tracks, cold).any()
    assert split.dropped == (np.isin(plays.tracks, cold) & (plays.times < split.test_time)).sum()


def test_cold_artists_need_known_artists():
    with pytest.raises(DataError, match="0 artists are known and cold_artists keeps some"):
        split_interactions(random_plays(), SplitSettings(cold_artists=0.1), [""] * 8)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"test is 1; it must be at least 0 and below 1"):
        SplitSettings(test=1)
    with pytest.raises(ConfigError, match=r"validation and test take 1 together; leave some for training"):
        SplitSettings(validation=0.5, test=0.5)
    with pytest.raises(ConfigError, match="kind none has no test"):
        SplitSettings("none", cold_tracks=0.1)
    with pytest.raises(ValueError, match="1 artists for 8 tracks"):
        split_interactions(random_plays(), SplitSettings(), ["A"])


def test_none_trains_on_everything():
    plays = random_plays()
    split = split_interactions(plays, SplitSettings("none"), ARTISTS)
    assert len(split.train) == len(plays)
    assert len(split.test) == len(split.validation) == 0


def test_the_protocol_says_times_and_counts_in_json():
    config = SplitSettings(cold_tracks=0.25, cold_artists=0.3)
    split = split_interactions(random_plays(), config, ARTISTS)
    said = json.loads(json.dumps(protocol(split, config)))
    assert said["split"]["kind"] == "time"
    assert said["test_time"] == {"seconds": split.test_time, "utc": said["test_time"]["utc"]}
    assert said["slices"]["test"]["plays"] == len(split.test)
    assert said["test_plays_of_cold_tracks"] == int(split.cold_track[split.test.tracks].sum())
