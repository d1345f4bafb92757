"""What plug-ins of AudioMuse-AI ask, with the parameters that the one for Navidrome sends."""

from __future__ import annotations


def test_similar_tracks_are_a_plain_list_with_distances(client):
    asked = {"item_id": "t1", "n": "5", "eliminate_duplicates": "false", "radius_similarity": "true"}
    found = client.get("/api/similar_tracks", params=asked).json()
    wanted = client.get("/api/similar", params={"like": "t1", "k": 5}).json()["songs"]
    assert [song["item_id"] for song in found] == [song["track_id"] for song in wanted]
    assert [song["distance"] for song in found] == [round(1 - song["cosine"], 6) for song in wanted]
    assert found[0].keys() == {"item_id", "title", "author", "album", "distance"}


def test_duplicates_left_out_are_at_most_three_songs_of_an_artist(client):
    found = client.get("/api/similar_tracks", params={"item_id": "t1", "n": "40"}).json()
    artists = [song["author"] for song in found]
    assert max(map(artists.count, artists)) == 3


def test_a_song_is_named_by_title_and_artist_too(client):
    named = {"title": "söng 8", "artist": "artist 1", "n": "3"}
    assert client.get("/api/similar_tracks", params=named).json() == (
        client.get("/api/similar_tracks", params={"item_id": "t8", "n": "3"}).json()
    )
    for wrong, status in (
        ({"title": "söng 8", "artist": "x"}, 404),
        ({}, 400),
        ({"item_id": "nothing"}, 404),
    ):
        assert client.get("/api/similar_tracks", params=wrong).status_code == status


def test_a_path_counts_its_ends(client):
    asked = {
        "start_song_id": "t1",
        "end_song_id": "t2",
        "count": "6",
        "max_steps": "6",
        "path_fix_size": "false",
    }
    found = client.get("/api/find_path", params={**asked, "mood_pct": "100"}).json()
    assert [found["path"][0]["item_id"], found["path"][-1]["item_id"], len(found["path"])] == ["t1", "t2", 6]
    assert found["total_distance"] > 0


def test_songs_are_searched_by_words(client):
    found = client.get("/api/search_tracks", params={"search_query": "song 41"}).json()
    assert [song["item_id"] for song in found] == ["t41"]
    assert client.get("/api/search_tracks").json() == []


def test_the_token_is_sent_as_the_plug_in_sends_it(serve):
    client = serve(token="secret")
    asked = {"item_id": "t1", "n": "2"}
    assert client.get("/api/similar_tracks", params=asked).status_code == 401
    headers = {"authorization": "Bearer secret"}
    assert client.get("/api/similar_tracks", params=asked, headers=headers).status_code == 200
