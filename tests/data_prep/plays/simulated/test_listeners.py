"""Simulated listeners: what they play follows their tastes, and nothing else about the sound."""

from __future__ import annotations

import inspect

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from audiomae.errors import ConfigError
from audiomae.listening.tables import TableSettings, read_interactions
from data_prep.plays.simulated import listeners
from data_prep.plays.simulated.listeners import ListenerSettings, simulate
from data_prep.plays.write import write_tables

DAY = 86_400


def make_traits(count: int = 60) -> pa.Table:
    return pa.table(
        {
            "track_id": [f"t{number:03d}" for number in range(count)],
            "title": [f"title {number}" for number in range(count)],
            "composer": [f"composer {number % 12}" for number in range(count)],
            "style": [f"style {number % 4}" for number in range(count)],
            "tempo": [80.0 + number for number in range(count)],
        }
    )


SMALL = ListenerSettings(listeners=400, mean_plays=20)


@pytest.fixture(scope="module")
def drawn() -> tuple[pa.Table, pa.Table, pa.Table]:
    return simulate(make_traits(), SMALL)


def test_the_same_seed_gives_the_same_tables_and_another_gives_others(drawn):
    again = simulate(make_traits(), SMALL)
    assert all(one.equals(two) for one, two in zip(drawn, again, strict=True))
    other = simulate(make_traits(), ListenerSettings(listeners=400, mean_plays=20, seed=1))
    assert not other[0].equals(drawn[0])


def test_plays_fall_within_the_time_and_after_release_and_joining(drawn):
    plays, users, tracks = drawn
    times = plays["timestamp"].to_numpy()
    begin = 1704067200
    assert times.min() >= begin
    assert times.max() < begin + 365 * DAY
    assert (np.diff(times) >= 0).all()
    released = dict(zip(*(tracks[name].to_pylist() for name in ("track_id", "released")), strict=True))
    assert all(
        time >= released[track] for track, time in zip(plays["track_id"].to_pylist(), times, strict=True)
    )
    days = dict(zip(*(users[name].to_pylist() for name in ("user_id", "account_age_days")), strict=True))
    for user, time in zip(plays["user_id"].to_pylist(), times, strict=True):
        if days[user] is not None:
            assert time >= begin + (365 - days[user]) * DAY


def test_the_mean_of_plays_is_about_what_was_asked_for(drawn):
    assert drawn[0].num_rows / 400 == pytest.approx(20, rel=0.15)
    assert len(set(drawn[0]["user_id"].to_pylist())) == 400


def share_of_favorites(plays, users, tracks):
    """The share of plays that are of the listener's favourite style, where he names one."""
    style = dict(zip(*(tracks[name].to_pylist() for name in ("track_id", "genre")), strict=True))
    favorite = dict(zip(*(users[name].to_pylist() for name in ("user_id", "favorite_category")), strict=True))
    same = [
        style[track] == favorite[user]
        for user, track in zip(plays["user_id"].to_pylist(), plays["track_id"].to_pylist(), strict=True)
        if favorite[user] is not None
    ]
    return np.mean(same)


def test_listeners_play_their_favorite_style_more_than_others_do(drawn):
    assert share_of_favorites(*drawn) > 0.3  # a quarter by chance


def test_without_tastes_styles_are_played_alike():
    flat = ListenerSettings(listeners=400, mean_plays=20, composer_gain=0, style_gain=0, tempo_gain=0, zipf=0)
    assert share_of_favorites(*simulate(make_traits(), flat)) == pytest.approx(0.25, abs=0.05)


def test_popularity_falls_off_and_has_nothing_to_do_with_the_order_of_tracks():
    steep = ListenerSettings(listeners=400, mean_plays=10, zipf=1.2, repeats=0, new_tracks=0)
    counts = []
    for seed in range(2):
        plays = simulate(make_traits(), ListenerSettings(**{**vars(steep), "seed": seed}))[0]
        found = dict(count_plays(plays))
        counts.append([found.get(f"t{number:03d}", 0) for number in range(60)])
    assert max(counts[0]) > 5 * np.median(counts[0])
    assert abs(np.corrcoef(counts[0], counts[1])[0, 1]) < 0.5


def count_plays(plays: pa.Table) -> list[tuple[str, int]]:
    return [
        (entry["values"].as_py(), entry["counts"].as_py()) for entry in pc.value_counts(plays["track_id"])
    ]


def test_a_share_of_the_fields_is_missing_and_age_follows_style(drawn):
    users = drawn[1]
    assert users.column_names == [
        "user_id", "age", "account_age_days", "country", "gender", "favorite_category"
    ]  # fmt: skip
    for name in users.column_names[1:]:
        assert users[name].null_count / 400 == pytest.approx(0.15, abs=0.06)
    rows = [
        row for row in users.to_pylist() if row["age"] is not None and row["favorite_category"] is not None
    ]
    ages = np.array([row["age"] for row in rows], float)
    styles = np.array([row["favorite_category"] for row in rows])
    within = np.concatenate(
        [ages[styles == style] - ages[styles == style].mean() for style in np.unique(styles)]
    )
    assert within.std() < ages.std()


def test_what_was_chosen_by_taste_is_played_longer():
    ratios = [
        simulate(make_traits(), ListenerSettings(listeners=100, noise=noise))[0]["played_ratio"].to_numpy()
        for noise in (0, 1)
    ]
    assert ratios[0].mean() > 0.7 > 0.5 > ratios[1].mean()
    assert ratios[0].min() >= 0
    assert ratios[0].max() <= 1


def test_many_blocks_of_listeners_are_joined(monkeypatch):
    monkeypatch.setattr(listeners, "BLOCK_CELLS", 60 * 7)
    plays, users, _ = simulate(make_traits(), ListenerSettings(listeners=20, mean_plays=5))
    assert len(set(plays["user_id"].to_pylist())) == users.num_rows == 20


def test_two_tracks_and_one_listener_are_enough():
    plays, _, _ = simulate(make_traits(2), ListenerSettings(listeners=1))
    assert plays.num_rows > 0


def test_the_tables_say_that_they_are_simulated(small_corpus, tmp_path):
    said = write_tables(tmp_path, listeners.tables(small_corpus, ListenerSettings(listeners=30)))
    assert said["simulated"] is True
    assert said["settings"]["seed"] == 0
    assert said["settings"]["zipf"] == 0.6
    assert said["notes"][0].startswith("SIMULATED: nobody listened.")
    assert len(read_interactions(TableSettings(str(tmp_path / "interactions.parquet"))).user_ids) == 30


def test_the_simulator_takes_traits_alone():
    assert list(inspect.signature(simulate).parameters) == ["traits", "settings"]
    source = inspect.getsource(listeners)
    assert "mels(" not in source
    assert "Vectors" not in source


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"noise is 2; it must be from 0 to 1"):
        ListenerSettings(noise=2)
    with pytest.raises(ConfigError, match=r"listeners is 0; it must be at least 1"):
        ListenerSettings(listeners=0)
    with pytest.raises(ConfigError, match=r"start is 'soon'; it must be a day such as 2024-01-01"):
        ListenerSettings(start="soon")
