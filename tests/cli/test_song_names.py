from __future__ import annotations

from types import SimpleNamespace

from audiomae.cli.song_names import name_songs


def song(title: str, path: str, artist: str = "") -> SimpleNamespace:
    return SimpleNamespace(title=title, artist=artist, path=path)


def test_titles_that_repeat_are_told_apart_by_the_ends_of_their_paths():
    songs = [
        song("Intro", "/m/a/1.ogg"),
        song("Intro", "/m/b/1.ogg"),
        song("Intro", "/m/b/2.ogg"),
        song("", "/m/c.ogg"),
    ]
    assert name_songs(songs) == ["Intro · a/1.ogg", "Intro · b/1.ogg", "Intro · 2.ogg", "c.ogg"]


def test_a_title_of_its_own_stands_alone_and_so_does_one_without_a_path():
    assert name_songs([song("Sun", "/m/a.ogg"), song("Moon", ""), song("Moon", ""), song("", "")]) == [
        "Sun",
        "Moon",
        "Moon",
        "",
    ]
