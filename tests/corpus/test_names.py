from __future__ import annotations

import unicodedata

import pytest

from audiomae.corpus.names import find_track
from audiomae.errors import DataError

IDS = ["4f1c", "90ab", "77de", "Sun", "null"]
PATHS = ["/music/a/one.wav", "/music/b/one.wav", "/music/b/two.wav", "", "s3://bucket/né.ogg"]
TITLES = ["Sun", "Moon", "Moon", "Star", "Rain"]


def find(asked: str) -> int:
    return find_track(asked, IDS, PATHS, TITLES, "vectors")


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ("4f1c", 0),
        ("Sun", 3),  # an id wins over a title
        ("null", 4),
        ("/music/b/one.wav", 1),
        ("/music/x/../b/one.wav", 1),
        ("b/one.wav", 1),
        ("two.wav", 2),
        ("s3://bucket/né.ogg", 4),
        ("né.ogg", 4),
        (unicodedata.normalize("NFD", "né.ogg"), 4),
        ("star", 3),
    ],
)
def test_a_track_is_named_by_id_path_end_of_a_path_or_title(asked, row):
    assert find(asked) == row


def test_a_stored_path_that_is_relative_is_found_by_the_absolute_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_track(str(tmp_path / "b" / "x.wav"), ["1", "2"], ["x.wav", "b/x.wav"], ["", ""], "here") == 1
    assert find_track("x.wav", ["1", "2"], ["x.wav", "b/x.wav"], ["", ""], "here") == 0


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (
            "one.wav",
            r"may be 2 of the 5 of vectors: 4f1c \(/music/a/one.wav\), 90ab \(.*\)\. Name one by its id",
        ),
        ("moon", r"may be 2 of the 5 of vectors: 90ab .*, 77de .*"),
        ("ne.wav", r"not among the 5 of vectors\. Close: 4f1c \(Sun\), 90ab \(Moon\)\."),
        ("/other/two.wav", r"not among the 5 of vectors\. Close: two\.wav"),
        ("tow.wav", r"not among the 5 of vectors\. Close: two\.wav"),
        ("Sta", r"not among the 5 of vectors\. Close: Sun \(Star\)\."),
        ("4f", r"not among the 5 of vectors\. Close: 4f1c\."),
        ("zzzz", r"not among the 5 of vectors\. The first is 4f1c\."),
        ("", r"not among the 5 of vectors\. The first is 4f1c\."),
        ("/", r"not among the 5 of vectors\. The first is 4f1c\."),
    ],
)
def test_what_is_no_track_or_several_is_one_line_with_what_else_was_meant(asked, line):
    with pytest.raises(DataError, match=line) as caught:
        find(asked)
    assert "\n" not in str(caught.value)


def test_at_most_three_of_several_are_named():
    with pytest.raises(DataError, match=r"may be 5 of the 5 of x: 0 \(0/a\), 1 \(1/a\), 2 \(2/a\), …\."):
        find_track("a", [str(n) for n in range(5)], [f"{n}/a" for n in range(5)], [""] * 5, "x")
