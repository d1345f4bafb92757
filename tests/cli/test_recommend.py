from __future__ import annotations

from audiomae.cli.recommend import show
from audiomae.recommend.serving.songs import RecommendedSong, UserList
from audiomae.verbs.recommend import RecommendResult


def song(track: str, title: str = "", path: str = "") -> RecommendedSong:
    return RecommendedSong(track, title, "Artist", "", "Rock", path, 1.25, 0.5)


def result(*lists: UserList, users: int = 0, out: str | None = None) -> RecommendResult:
    return RecommendResult("f", 1, users or len(lists), 10, list(lists), out)


def test_a_table_names_the_songs_best_first(capsys):
    show(result(UserList("u01", [song("t1", "Sunrise"), song("t2", "Sunset [live]")])))
    shown = capsys.readouterr().out
    assert "For user u01" in shown
    assert shown.index("Sunrise") < shown.index("Sunset [live]")
    assert "1.250" in shown


def test_a_song_without_a_title_or_with_anothers_is_shown_by_its_path(capsys):
    songs = [song("t1", "", "a.ogg"), song("t2", "Intro", "b.ogg"), song("t3", "Intro", "c.ogg")]
    show(result(UserList("new", [*songs, song("t4", "Only", "d.ogg"), song("t5", "Intro")])))
    shown = capsys.readouterr().out
    assert "For the new user" in shown
    assert "a.ogg" in shown
    assert "Intro · b.ogg" in shown
    assert "Intro · c.ogg" in shown
    assert "d.ogg" not in shown


def test_more_than_twenty_users_are_counted_rather_than_printed(capsys):
    show(result(*(UserList(f"u{place}", [song("t", "T")]) for place in range(23))))
    shown = capsys.readouterr().out
    assert shown.count("For user") == 20
    assert "3 more users have a list: add --json, or --out" in shown


def test_a_file_of_lists_is_named_and_an_empty_list_is_a_sentence(capsys):
    show(result(UserList("a", []), users=1234, out="lists.parquet"))
    shown = capsys.readouterr().out
    assert "For user a: no song is left." in shown
    assert "lists.parquet: 1,234 lists of up to 10 songs." in shown
