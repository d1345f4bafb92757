"""Lists for users, as the command line makes them."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from audiomae.recommend.serving.recommender import Recommender


@pytest.fixture(scope="module")
def opened(recommender) -> Recommender:
    return Recommender.open(recommender)


@pytest.fixture
def listening(serve, recommender):
    return serve(recommender=recommender)


def test_a_list_is_the_recommenders_own(listening, opened):
    answer = listening.post("/api/recommend", json={"user": "u03", "k": 5, "per_artist": 1}).json()
    (wanted,) = opened.recommend("u03", k=5, per_artist=1)
    assert answer["songs"] == [asdict(song) for song in wanted.songs]
    assert (answer["user"], answer["stages"], answer["mel"]) == ("u03", 1, None)


def test_a_new_user_is_known_by_fields_and_songs(listening, opened):
    asked = {"new": {"age": 30, "country": "DE"}, "liked": ["t001"], "k": 3}
    answer = listening.post("/api/recommend", json=asked).json()
    (wanted,) = opened.recommend(new={"age": 30, "country": "DE"}, liked=["t001"], k=3)
    assert answer["songs"] == [asdict(song) for song in wanted.songs]
    assert "t001" not in [song["track_id"] for song in answer["popular"]]


def test_popular_songs_come_by_their_plays_under_the_same_rules(listening, opened):
    asked = {"user": "zoe", "k": 8, "where": {"genre": "Jazz"}}
    answer = listening.post("/api/recommend", json=asked).json()["popular"]
    plays = [song["plays"] for song in answer]
    assert plays == sorted(plays, reverse=True)
    assert {song["genre"] for song in answer} == {"Jazz"}
    catalogue = opened.engine.catalogue
    jazz = catalogue.plays[np.array(catalogue.items["genre"].to_pylist()) == "Jazz"]
    assert plays == sorted(jazz.tolist(), reverse=True)[:8]


def test_an_explanation_is_the_recommenders_own(listening, opened):
    answer = listening.post("/api/recommend/explain", json={"user": "u03", "track": "t005"}).json()
    assert answer == asdict(opened.explain("t005", "u03"))


def test_users_are_found_by_a_part_of_their_id(listening):
    assert listening.get("/api/users", params={"query": "U1", "limit": 2}).json() == {
        "total": 10,
        "users": ["u10", "u11"],
    }
    assert listening.get("/api/users", params={"limit": 0}).json() == {"total": 31, "users": []}


def test_wrong_questions_are_one_clear_line(listening, client):
    both = listening.post("/api/recommend", json={"user": "u03", "liked": ["t001"]})
    assert (both.status_code, both.json()["error"][:26]) == (422, "name one kind of user: use")
    unknown = listening.post("/api/recommend", json={"user": "nobody"})
    assert unknown.status_code == 404
    assert unknown.json()["error"].startswith("user 'nobody' is not among the 31 known")
    odd = listening.post("/api/recommend", json={"new": {"age": "old"}})
    assert 400 <= odd.status_code < 500
    without = client.post("/api/recommend", json={"user": "u03"})
    assert (without.status_code, without.json()["error"][:28]) == (404, "no recommender is served. St")


def test_about_says_what_recommends_before_and_after_it_is_open(serve, recommender):
    client = serve(recommender=recommender)
    before = client.get("/api/about").json()["recommender"]
    assert client.get("/ready").json()["parts"] == {"recommender": False}
    client.get("/api/users")
    after = client.get("/api/about").json()["recommender"]
    assert after == {"users": 31, "songs": 60, "stages": 1, "fields": ["age", "country"]}
    assert (before["stages"], before["fields"]) == (1, ["age", "country"])
    assert client.get("/ready").json()["parts"] == {"recommender": True}
