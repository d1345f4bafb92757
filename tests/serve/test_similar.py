"""Similar songs, paths, radios and explanations: the same as Python's and the command line's."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import numpy as np
import pytest

from audiomae.errors import DataError
from audiomae.serve.batches import Batches, Question, answer_all
from audiomae.serve.schemas import Rules
from audiomae.similarity.collection import Collection
from audiomae.similarity.paths import find_path
from audiomae.similarity.radio import play_radio
from audiomae.similarity.rules import SongRules
from audiomae.similarity.search import find_similar


@pytest.fixture(scope="module")
def opened(collection) -> Collection:
    return Collection.open(collection)


def without_figures(song: dict) -> dict:
    return {name: value for name, value in song.items() if name not in ("cosine", "score")}


def test_similar_songs_are_the_cores_own(client, opened):
    asked = {"like": ["t3", "Söng 4"], "unlike": ["t5"], "k": 6, "per_artist": 2, "where": {"genre": "Rock"}}
    answer = client.post("/api/similar", json={**asked, "hubs": False}).json()
    rules = SongRules(k=6, per_artist=2, where={"genre": "Rock"})
    wanted = find_similar(opened, ["t3", "t4"], ["t5"], rules=rules, hubs=False)
    assert [without_figures(song) for song in answer["songs"]] == [
        without_figures(asdict(song)) for song in wanted
    ]
    for name in ("cosine", "score"):  # products of several queries round otherwise than those of one
        figures = [song[name] for song in answer["songs"]]
        np.testing.assert_allclose(figures, [getattr(song, name) for song in wanted], atol=5e-6)
    assert [track["track_id"] for track in answer["like"] + answer["unlike"]] == ["t3", "t4", "t5"]


def test_a_plain_address_will_do_too(client, opened):
    answer = client.get("/api/similar", params={"like": ["t1", "t2"], "k": 3}).json()
    wanted = find_similar(opened, ["t1", "t2"], rules=SongRules(k=3))
    assert [song["track_id"] for song in answer["songs"]] == [song.track_id for song in wanted]


def test_paths_and_radios_are_the_cores_own(client, opened):
    path = client.post("/api/path", json={"start": "t1", "end": "t2", "steps": 3, "per_artist": 1}).json()
    assert path["songs"] == [
        asdict(song) for song in find_path(opened, "t1", "t2", 3, rules=SongRules(per_artist=1))
    ]
    asked = {"like": ["t1"], "k": 5, "diversity": 0.8, "seed": 3}
    radio = client.post("/api/radio", json=asked).json()
    assert radio["songs"] == [asdict(song) for song in play_radio(opened, ["t1"], k=5, diversity=0.8, seed=3)]


def test_questions_that_come_together_are_answered_as_they_are_alone(client):
    snapshot = client.app.state.serve.snapshot
    asked = [Question(snapshot, [row], [], Rules(k=5, per_artist=2), hubs=row % 2 == 0) for row in range(20)]
    asked.insert(3, Question(snapshot, [1], [], Rules(where={"genre": "Polka"})))
    together = answer_all(asked)
    assert isinstance(together[3], DataError)
    for question, answer in zip(asked, together, strict=True):
        if answer is not together[3]:
            (alone,) = answer_all([question])
            ids = [[song["track_id"] for song in json.loads(text)["songs"]] for text in (answer, alone)]
            assert ids[0] == ids[1]


def test_questions_at_once_share_products_and_none_is_lost(client):
    batches, snapshot = Batches(), client.app.state.serve.snapshot

    async def ask() -> list[bytes]:
        questions = [Question(snapshot, [row], [], Rules(k=3)) for row in range(40)]
        return await asyncio.gather(*map(batches.answer, questions))

    answers = [json.loads(text) for text in asyncio.run(ask())]
    batches.close()
    assert [answer["like"][0]["track_id"] for answer in answers] == [f"t{row}" for row in range(40)]
    assert all(len(answer["songs"]) == 3 for answer in answers)


def test_an_explanation_names_factors_and_seconds(client):
    answer = client.get("/api/similar/explain", params={"one": "t2", "other": "t5"}).json()
    assert (answer["one"], answer["other"], list(answer["factors"])) == ("t2", "t5", ["learned"])
    assert answer["cosine"] == answer["factors"]["learned"]
    assert {moment["start_seconds"] for moment in answer["moments"]} <= {0.0, 5.0, 10.0}


@pytest.mark.parametrize("name", ["/etc/hostname", "list.m3u", "../x.wav"])
def test_a_name_never_opens_a_file(client, tmp_path, monkeypatch, name):
    """On the command line a name may be a file or a playlist."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.m3u").write_text("t1\n")
    answer = client.post("/api/similar", json={"like": [name]})
    assert answer.status_code == 404
    assert f"track {name!r} is not among the 60" in answer.json()["error"]


def test_no_list_is_longer_than_the_service_makes(serve):
    client = serve(most_songs=4)
    for path, asked in (
        ("/api/similar", {"like": ["t1"], "k": 50}),
        ("/api/radio", {"like": ["t1"], "k": 50}),
    ):
        assert len(client.post(path, json=asked).json()["songs"]) == 4


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"by": {"colour": 1}}, "by names 'colour'"),
        ({"seconds": [9, 1]}, "seconds is [9"),
        ({"key": "H"}, "key names 'H'"),
        ({"where": {"year": "1999"}}, "where names 'year'"),
        ({"where": {"genre": "Polka"}}, "no song has genre 'Polka'"),
    ],
)
def test_wrong_rules_are_one_clear_line(client, asked, line):
    answer = client.post("/api/similar", json={"like": ["t1"], **asked})
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"].startswith(line)


def test_a_playlist_comes_as_a_file_under_a_safe_name(client):
    asked = {"name": '../Märchen "1"\n', "tracks": ["t1", "t7"], "format": "m3u8"}
    answer = client.post("/api/playlists", json=asked)
    lines = answer.text.splitlines()
    assert (lines[0], lines[2][-5:], len(lines)) == ("#EXTM3U", "1.wav", 5)
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Marchen 1.m3u8\"; filename*=UTF-8''M%C3%A4rchen%201.m3u8"
    )
    table = client.post("/api/playlists", json={"tracks": ["t7"], "format": "csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert "t7" in table.text
    assert client.post("/api/playlists", json={"tracks": ["nothing"]}).status_code == 404
