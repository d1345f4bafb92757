"""The map and its colours, as the page reads them."""

from __future__ import annotations

import base64

import numpy as np
import pyarrow as pa

from audiomae.serve.routers.map import MOST_NAMES, colours_of


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_every_song_has_a_place_and_a_region(client):
    shown = client.get("/api/map").json()
    assert shown["track_ids"][:2] == ["t0", "t1"]
    assert len(shown["titles"]) == len(shown["artists"]) == 60
    for axis in ("x", "y"):
        places = unpacked(shown[axis], "<f4")
        assert places.shape == (60,)
        assert np.isfinite(places).all()
    codes = unpacked(shown["clusters"]["codes"], "<u2")
    assert codes.max() < len(shown["clusters"]["names"])
    assert shown["columns"] == ["artist", "album", "genre", "seconds", "clips"]
    client.app.state.serve.close()


def test_tags_are_codes_and_names_most_frequent_first(client):
    shown = client.get("/api/map/colours", params={"by": "artist"}).json()
    codes = unpacked(shown["codes"], "<u2")
    assert shown["kind"] == "category"
    assert [shown["names"][code] for code in codes[:8]] == [f"Artist {number % 7}" for number in range(8)]
    counts = np.bincount(codes)
    assert (np.diff(counts) <= 0).all()


def test_numbers_are_numbers_with_a_range(client):
    shown = client.get("/api/map/colours", params={"by": "seconds"}).json()
    values = unpacked(shown["values"], "<f4")
    assert values.tolist() == [60.0 + number for number in range(60)]
    assert 60 < shown["low"] < shown["high"] < 119


def test_more_names_than_codes_end_in_others():
    column = pa.chunked_array([[f"name {number:06d}" for number in range(70_000)]])
    shown = colours_of(column)
    codes = unpacked(shown["codes"], "<u2")
    assert (len(shown["names"]), shown["names"][-1]) == (MOST_NAMES + 1, "others")
    assert codes.max() == MOST_NAMES
    nothing = colours_of(pa.chunked_array([pa.array([None, 1.5], pa.float32())]))
    assert np.isnan(unpacked(nothing["values"], "<f4")[0])


def test_a_colour_that_is_not_there_is_one_clear_line(client):
    answer = client.get("/api/map/colours", params={"by": "vector"})
    assert answer.status_code == 404
    assert (
        answer.json()["error"]
        == "songs are not coloured by 'vector'; take artist, album, genre, seconds, clips."
    )
