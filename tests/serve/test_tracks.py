"""Songs: listing, searching, their files, and no file beside them."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import soundfile

from audiomae.vectors.writer import TrackClips, VectorsWriter


def test_songs_are_listed_page_by_page(client):
    answer = client.get("/api/tracks", params={"offset": 58, "limit": 5}).json()
    assert answer["total"] == 60
    assert [track["track_id"] for track in answer["tracks"]] == ["t58", "t59"]
    assert answer["tracks"][0]["title"] == "Söng 58"


@pytest.mark.parametrize("query", ["söng 41", "SONG 41", "  song   41 ", "song artist 41"])
def test_a_search_finds_words_in_any_case_and_without_accents(client, query):
    found = client.get("/api/tracks", params={"query": query}).json()
    assert "t41" in [track["track_id"] for track in found["tracks"]]
    assert found["total"] < 60


def test_a_song_comes_with_its_clips_and_whether_it_can_be_played(client):
    assert client.get("/api/tracks/t2").json() == {
        "track_id": "t2",
        "title": "Söng 2",
        "artist": "Artist 2",
        "album": "Album 2",
        "genre": "Rock|Pop",
        "path": client.get("/api/tracks/t2").json()["path"],
        "seconds": 62.0,
        "clips": [{"clip_index": place, "start_seconds": 5.0 * place} for place in range(3)],
        "playable": True,
    }
    assert client.get("/api/tracks/t40").json()["playable"] is False


def test_an_unknown_song_is_one_clear_line(client):
    answer = client.get("/api/tracks/nothing")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "track 'nothing' is not among the 60 there are."},
    )


def test_a_file_is_sent_whole_and_in_ranges(client, songs):
    content = (songs / "1.wav").read_bytes()
    whole = client.get("/api/tracks/t1/audio")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "audio/wav")
    for header, first, last in (
        ("bytes=10-19", 10, 20),
        ("bytes=-7", -7, None),
        ("bytes=190000-", 190_000, None),
    ):
        part = client.get("/api/tracks/t1/audio", headers={"range": header})
        assert (part.status_code, part.content) == (206, content[first:last]), header
        start = first % len(content)
        assert (
            part.headers["content-range"] == f"bytes {start}-{start + len(part.content) - 1}/{len(content)}"
        )


def test_a_range_behind_the_end_is_416_and_what_is_no_range_is_the_whole(client, songs):
    size = (songs / "1.wav").stat().st_size
    beyond = client.get("/api/tracks/t1/audio", headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    for odd in ("bytes=5-2,7-9", "lines=1-2", "bytes=", "bytes=a-b"):
        assert client.get("/api/tracks/t1/audio", headers={"range": odd}).status_code == 200


def test_a_file_that_did_not_change_is_not_sent_again(client):
    tag = client.get("/api/tracks/t1/audio").headers["etag"]
    assert client.get("/api/tracks/t1/audio", headers={"if-none-match": tag}).status_code == 304
    changed = client.get("/api/tracks/t1/audio", headers={"range": "bytes=0-1", "if-range": '"other"'})
    assert changed.status_code == 200


def test_a_part_is_decoded_to_a_wav_that_browsers_play(client):
    answer = client.get("/api/tracks/t1/audio", params={"as": "wav", "start": 1, "seconds": 2})
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert (rate, len(samples)) == (44_100, 88_200)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(440, abs=1)
    late = client.get("/api/tracks/t1/audio", params={"as": "wav", "start": 100})
    assert (late.status_code, late.json()["error"]) == (422, "t1: has nothing from 100 s on")


@pytest.fixture
def naming(tmp_path, serve):
    """What makes a client of a collection whose songs have the given paths."""

    def made(paths: list[str], **settings: object):
        writer = VectorsWriter(tmp_path / "v", {"model_fingerprint": "m", "whiten": 0}, 2, overwrite=True)
        ids = [f"s{number}" for number in range(len(paths))]
        writer.add_part([TrackClips(name, np.zeros(1), np.ones((1, 2), np.float32)) for name in ids])
        writer.finish({name: {"path": path} for name, path in zip(ids, paths, strict=True)})
        return serve(tmp_path / "v", **settings)

    return made


def statuses(client, count: int) -> list[int]:
    return [client.get(f"/api/tracks/s{number}/audio").status_code for number in range(count)]


def test_paths_that_climb_out_of_the_songs_are_not_followed(naming, songs, tmp_path):
    (tmp_path / "outside.wav").write_bytes(b"RIFF")
    outside = str(tmp_path / "outside.wav")
    climbing = ["../../outside.wav", outside, "1.wav/../../../outside.wav", "/etc/passwd", "1.wav"]
    assert statuses(naming(climbing, songs=songs), 5) == [404, 404, 404, 404, 200]


def test_what_is_no_song_is_not_sent_whatever_the_table_says(naming, songs, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    odd = [str(tmp_path / name) for name in ("pipe.wav", "folder.wav", "secret.txt", "none.wav")]
    odd += ["", "a\0b.wav", "s3://bucket/a.wav", str(songs / "1.wav")]
    assert statuses(naming(odd), 8) == [404] * 7 + [200]


def test_a_link_is_sent_only_where_links_are_followed(naming, songs, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.wav").symlink_to(songs / "1.wav")
    (inside / "album").symlink_to(songs)
    paths = ["link.wav", "album/1.wav"]
    assert statuses(naming(paths, songs=inside), 2) == [404, 404]
    assert statuses(naming(paths, songs=inside, follow=True), 2) == [200, 200]
    assert statuses(naming([str(inside / "link.wav")]), 1) == [404]


def test_ids_with_odd_characters_lead_nowhere_else(client):
    for odd in ("..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "t1%00", "..%5c..", "t1/../../about"):
        answer = client.get(f"/api/tracks/{odd}/audio")
        assert answer.status_code == 404, odd


def test_titles_are_data_and_never_markup(client):
    answer = client.get("/api/tracks/t7")
    assert answer.json()["title"].startswith("<script>")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in client.get("/docs").text
