"""MTG-Jamendo's layout."""

from __future__ import annotations

import pytest

from audiomae.corpus.song import Song
from audiomae.errors import DataError, MissingError
from data_prep.songs import jamendo

TABLE = """\
TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS
track_0000948\tartist_000087\talbum_000149\t48/948.mp3\t212.7\tgenre---rock\tgenre---metal\tmood/theme---dark
track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tinstrument---voice
track_0000999\tartist_000014\talbum_000031\t99/999.mp3\t124.6\tgenre---pop
"""
NAMES = """\
TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL
track_0000214\tartist_000014\talbum_000031\t"Un" Été\tBänd\tLP\t2004\thttp://x
"""


def tree(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_songs_come_in_the_tables_order_where_their_audio_is_there(tmp_path):
    tree(tmp_path, "48/948.mp3", "14/214.low.mp3", "00/1000.mp3")
    (tmp_path / "autotagging.tsv").write_text(TABLE, encoding="utf-8")
    assert list(jamendo.songs(tmp_path)) == [
        Song(
            tmp_path / "48/948.mp3",
            "track_0000948",
            artist="artist_000087",
            album="album_000149",
            genre="rock; metal",
        ),
        Song(tmp_path / "14/214.low.mp3", "track_0000214", artist="artist_000014", album="album_000031"),
    ]


def test_names_come_from_the_second_table_and_the_audio_may_lie_a_folder_deeper(tmp_path):
    tree(tmp_path, "audio/14/214.mp3", "data/raw.meta.tsv")
    (tmp_path / "data/autotagging.tsv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "data/raw.meta.tsv").write_text(NAMES, encoding="utf-8")
    assert list(jamendo.songs(tmp_path)) == [
        Song(tmp_path / "audio/14/214.mp3", "track_0000214", '"Un" Été', "Bänd", "LP")
    ]


def test_another_table_can_be_named(tmp_path):
    tree(tmp_path, "99/999.mp3")
    (tmp_path / "split-0.tsv").write_text(TABLE, encoding="utf-8")
    assert [song.genre for song in jamendo.songs(tmp_path, tmp_path / "split-0.tsv")] == ["pop"]


def test_a_missing_table_and_missing_audio_are_named(tmp_path):
    with pytest.raises(MissingError, match=r"autotagging\.tsv: no such table"):
        list(jamendo.songs(tmp_path))
    (tmp_path / "autotagging.tsv").write_text(TABLE, encoding="utf-8")
    with pytest.raises(MissingError, match=r"none of the songs in .*autotagging\.tsv is there"):
        list(jamendo.songs(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,title\n", r"starts with \['path,title'\]"),
        (TABLE + "track_1\tartist_1\n", r"line 5 has 2 cells, at least 6 belong there"),
        (TABLE.replace("14/214.mp3", "../214.mp3"), r"'\.\./214\.mp3': a path in the table leads out"),
    ],
)
def test_a_table_of_another_layout_is_refused(tmp_path, text, message):
    tree(tmp_path, "48/948.mp3")
    (tmp_path / "autotagging.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(jamendo.songs(tmp_path))
