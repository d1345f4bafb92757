"""Last.fm 1K, on a tree of its layout: two .tsv files, in a folder or in lastfm-dataset-1K.tar.gz."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from audiomae.errors import DataError, MissingError
from audiomae.listening.tables import TableSettings, read_interactions, read_tracks, read_users
from data_prep.plays import lastfm1k
from data_prep.plays.write import write_tables

PLAYS = (
    "user_000001\t2009-05-04T23:08:57Z\tart-1\tDeep Dish\ttra-1\tFuck Me Im Famous\n"
    'user_000001\t2009-05-04T13:54:10Z\tart-2\t坂本"龍一\t\tComposition 0919\n'
    "user_000002\t2013-09-29T18:32:04Z\tart-1\tDeep Dish\ttra-1\tFuck Me Im Famous\n"
    "user_000002\t2006-08-13T14:59:59Z\tart-1\tDeep Dish\ttra-1\tFuck Me Im Famous\n"
)
PROFILE = (
    "#id\tgender\tage\tcountry\tregistered\nuser_000001\tm\t\tJapan\tAug 13, 2006\nuser_000002\tf\t24\t\t\n"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "lastfm-dataset-1K"
    folder.mkdir()
    (folder / "userid-timestamp-artid-artname-traid-traname.tsv").write_text(PLAYS, encoding="utf-8")
    (folder / "userid-profile.tsv").write_text(PROFILE, encoding="utf-8")
    return folder


def check(out: Path) -> None:
    plays = read_interactions(TableSettings(str(out / "interactions.parquet")))
    assert plays.track_ids == ["tra-1", '坂本"龍一/Composition 0919']
    assert plays.times.tolist() == [1155481199, 1241445250, 1241478537]
    assert plays.users.tolist() == [1, 0, 0]
    assert read_tracks(out / "tracks.parquet").select(["title", "artist"]).to_pylist() == [
        {"title": "Fuck Me Im Famous", "artist": "Deep Dish"},
        {"title": "Composition 0919", "artist": '坂本"龍一'},
    ]
    first, second = read_users(out / "users.parquet").to_pylist()
    assert first == {
        "user_id": "user_000001", "age": None, "account_age_days": 997, "country": "Japan", "gender": "m"
    }  # fmt: skip
    assert second["age"] == 24
    assert second["country"] is second["account_age_days"] is None


def test_plays_of_wrong_clocks_are_dropped_and_nameless_tracks_named_by_artist_and_title(tree, tmp_path):
    write_tables(tmp_path / "out", lastfm1k.tables(tree))
    check(tmp_path / "out")


def test_the_archive_is_read_as_a_stream_in_small_blocks(tree, tmp_path):
    with tarfile.open(tmp_path / "lastfm-dataset-1K.tar.gz", "w:gz") as archive:
        archive.add(tree, "lastfm-dataset-1K")
    tables = lastfm1k.tables(tmp_path / "lastfm-dataset-1K.tar.gz", block_bytes=110)
    assert write_tables(tmp_path / "out", tables)["counts"] == {"interactions": 3, "users": 2, "tracks": 2}
    check(tmp_path / "out")


def test_another_layout_and_a_missing_file_are_refused(tree, tmp_path):
    (tree / "userid-profile.tsv").write_text("user\tgender\n")
    with pytest.raises(DataError, match=r"userid-profile\.tsv has not the columns id, gender, age"):
        write_tables(tmp_path / "out", lastfm1k.tables(tree))
    (tree / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("a\tb\n")
    with pytest.raises(DataError, match="is damaged or of another layout"):
        write_tables(tmp_path / "out", lastfm1k.tables(tree))
    with pytest.raises(MissingError, match="no userid-timestamp"):
        write_tables(tmp_path / "out", lastfm1k.tables(tmp_path / "out"))
    assert not (tmp_path / "out" / "tables.json").exists()
