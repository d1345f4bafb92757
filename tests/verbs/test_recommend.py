"""From a trained recommender to lists, on two tastes whose right answer is known."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from audiomae.errors import AudiomaeError, ConfigError, DataError
from audiomae.recommend.serving.recommender import Recommender
from audiomae.recommend.serving.songs import UserList
from audiomae.verbs.recommend import RecommendSettings, recommend

DAY = 86_400


def ask(folder: str, **settings: Any) -> list[UserList]:
    return recommend(RecommendSettings(folder, **settings)).lists


def ids(one: UserList) -> list[str]:
    return [song.track_id for song in one.songs]


def kinds(one: UserList) -> set[str]:
    return {name[0] for name in ids(one)}


def test_a_user_gets_songs_of_their_taste_that_they_have_not_heard(tastes):
    (one,) = ask(tastes, user="u01", k=15)
    assert kinds(one) == {"c"}
    plays = pq.read_table(Path(tastes) / "tables" / "train.parquet").to_pylist()
    assert not set(ids(one)) & {play["track_id"] for play in plays if play["user_id"] == "u01"}
    scores = [song.score for song in one.songs]
    assert scores == sorted(scores, reverse=True)
    first = one.songs[0]
    name = first.track_id
    assert (first.title, first.artist) == (f"Title of {name}", f"artist {name[:2]}")
    assert (first.genre, first.album, first.path) == ("calm", "", f"songs/{name}.ogg")


def test_several_users_get_the_lists_that_each_gets_alone(tastes):
    lists = ask(tastes, users=("u02", "u01"), k=7)
    assert [one.user for one in lists] == ["u02", "u01"]
    assert lists[1] == ask(tastes, user="u01", k=7)[0]


def test_ids_are_read_between_commas_or_from_a_json_list(tastes):
    both = ask(tastes, users="u02,u01", k=3)
    assert both == ask(tastes, users='["u02", "u01"]', k=3) == ask(tastes, users=("u02", "u01"), k=3)
    with pytest.raises(ConfigError, match="is not a JSON list; write it like"):
        RecommendSettings(tastes, users='["u02", u01]')


def test_a_new_user_gets_songs_by_what_is_known_of_them(tastes):
    by_age = {age: kinds(ask(tastes, new={"age": age}, k=8)[0]) for age in (20, 60)}
    assert by_age == {20: {"c"}, 60: {"m"}}
    assert kinds(ask(tastes, liked=("m03", "m07"), k=8)[0]) == {"m"}
    assert len(ask(tastes, new={}, k=8)[0].songs) == 8


def test_songs_are_limited_by_artist_and_tag(tastes):
    (one,) = ask(tastes, user="u01", k=50, per_artist=1, where={"genre": ["metal"]})
    assert sorted(song.artist for song in one.songs) == ["artist m0", "artist m1", "artist m2"]
    assert kinds(one) == {"m"}


def test_heard_songs_are_in_the_list_when_asked_for(tastes):
    assert len(ask(tastes, user="u01", k=100)[0].songs) == 48
    assert len(ask(tastes, user="u01", k=100, heard=True)[0].songs) == 60


def test_later_plays_are_left_out_too(tastes, tmp_path):
    first = ids(ask(tastes, user="u01", k=1)[0])[0]
    newer = tmp_path / "newer.csv"
    newer.write_text(f"user_id,track_id,timestamp\nu01,{first},{30 * DAY}\n")
    assert first not in ids(ask(tastes, user="u01", k=60, interactions=str(newer))[0])


def test_lists_of_everybody_are_written_as_parquet(tastes, tmp_path):
    out = tmp_path / "lists.parquet"
    result = recommend(RecommendSettings(tastes, all=True, k=5, out=str(out)))
    assert (result.users, result.lists, result.out) == (80, [], str(out))
    rows = pq.read_table(out).to_pylist()
    assert len(rows) == 80 * 5
    mine = [row for row in rows if row["user_id"] == "u01"]
    assert [row["place"] for row in mine] == [1, 2, 3, 4, 5]
    alone = ask(tastes, user="u01", k=5)[0]
    assert [row["track_id"] for row in mine] == ids(alone)
    assert mine[0]["score"] == pytest.approx(alone.songs[0].score, abs=1e-5)


def test_one_list_is_written_as_parquet_too(tastes, tmp_path):
    out = tmp_path / "one.parquet"
    result = recommend(RecommendSettings(tastes, new={}, k=3, out=str(out)))
    assert pq.read_table(out)["user_id"].to_pylist() == ["new"] * 3
    assert pq.read_table(out)["track_id"].to_pylist() == ids(result.lists[0])


def test_python_users_get_the_lists_and_the_defaults_of_the_verb(tastes):
    opened = Recommender.open(tastes)
    assert opened.recommend("u01") == ask(tastes, user="u01")
    assert opened.recommend(users="u02,u01", k=4, per_artist=1) == ask(
        tastes, users="u02,u01", k=4, per_artist=1
    )
    assert opened.recommend(liked=["m03"], new={"age": 60}) == ask(tastes, liked="m03", new={"age": 60})
    fields = RecommendSettings.__dataclass_fields__
    for name, parameter in inspect.signature(Recommender.recommend).parameters.items():
        if name not in ("self", "where"):
            assert parameter.default == fields[name].default, name


@pytest.mark.parametrize(
    ("settings", "kind", "line"),
    [
        ({"user": "nobody"}, DataError, r"user 'nobody' is not among the 80 known.*--new"),
        ({"liked": ("c99",)}, DataError, "track 'c99' is not among the 60 of the catalogue. Close: c"),
        (
            {"new": {"shoe": 44}},
            DataError,
            "field 'shoe' is not one that the towers know of users. They know age",
        ),
        ({"user": "u01", "where": {"genre": ["metl"]}}, DataError, "no song has genre 'metl'. Close: metal"),
        ({"user": "u01", "interactions": "none.csv"}, DataError, "none.csv"),
    ],
)
def test_what_is_not_there_is_one_line(tastes, settings, kind, line):
    with pytest.raises(kind, match=line) as caught:
        recommend(RecommendSettings(tastes, **settings))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "recommend makes lists for one kind of user: give --user ID"),
        ({"user": "a", "liked": ("t",)}, "recommend makes lists for one kind of user"),
        ({"users": ","}, "recommend makes lists for one kind of user"),
        ({"all": True}, "name a file for them, --out"),
        ({"user": "a", "k": 0}, "k is 0; it must be at least 1"),
        ({"user": "a", "per_artist": 0}, "per_artist is 0; it must be at least 1"),
        ({"user": "a", "unplayed": 11}, "unplayed is 11; it must be from 0 to 10 songs"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, line):
    with pytest.raises(ConfigError, match=line):
        RecommendSettings("rec", **settings)


def test_a_folder_that_is_not_a_recommender_is_one_line(tmp_path):
    with pytest.raises(AudiomaeError, match=r"recommender.json: no such file. Is .* the folder you meant"):
        recommend(RecommendSettings(str(tmp_path), user="u01"))
