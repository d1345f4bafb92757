"""Songs in a list."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.corpus.song import Song
from audiomae.errors import DataError, MissingError
from data_prep.songs import table as listing


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_gives_songs_in_its_order_with_paths_from_its_own_folder(tmp_path):
    path = write(
        tmp_path / "songs.csv",
        'title,path,mood,artist\n"Ja, nein",b/1.wav,calm,Ö\n,/abs/2.mp3,,\n',
    )
    assert list(listing.songs(path)) == [
        Song(tmp_path / "b/1.wav", title="Ja, nein", artist="Ö"),
        Song(Path("/abs/2.mp3")),
    ]


def test_a_csv_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "songs.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,genre\r\na.wav,blues\r\n")
    assert list(listing.songs(path)) == [Song(tmp_path / "a.wav", genre="blues")]


def test_a_tsv_is_split_at_tabs_alone(tmp_path):
    path = write(tmp_path / "songs.tsv", "track_id\tpath\n7\ta, b.wav\n")
    assert list(listing.songs(path)) == [Song(tmp_path / "a, b.wav", track_id="7")]


def test_a_parquet_gives_the_same_songs_and_its_numbers_become_text(tmp_path):
    path = tmp_path / "songs.parquet"
    table = {"path": ["a.wav", "b.wav"], "track_id": [7, 8], "album": [None, "X"], "other": [[1], [2]]}
    pq.write_table(pa.table(table), path)
    assert list(listing.songs(path)) == [
        Song(tmp_path / "a.wav", track_id="7"),
        Song(tmp_path / "b.wav", track_id="8", album="X"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "file,title\na,b\n", r"no column 'path' among 'file', 'title'\. Name the columns"),
        ("l.csv", "path;title\na;b\n", r"no column 'path' among 'path;title'"),
        ("l.csv", "", r"no column 'path' among none"),
        ("l.csv", "path\n", r"the list has no rows"),
        ("l.csv", "path,title\na.wav,x\n,y\n", r"line 3 has no path"),
        ("l.csv", "path,title\na.wav,x,y\n", r"line 2 has more cells than the first row"),
        (
            "l.csv",
            "path,track_id\na.wav,1\nb.wav,2\nc.wav,1\n",
            r"track_id '1' stands in line 2 and in line 4",
        ),
        ("l.parquet", "PAR1 no", r"not a whole Parquet file .* Write it again"),
        ("l.m3u", "a.wav\n", r"a list ends in \.csv, \.tsv, \.parquet"),
    ],
)
def test_a_bad_list_is_refused_by_the_row(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        list(listing.songs(write(tmp_path / name, text)))


def test_a_list_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "l.csv").write_bytes("path\nfür.wav\n".encode("latin-1"))
    with pytest.raises(DataError, match="Save it as UTF-8 text"):
        list(listing.songs(tmp_path / "l.csv"))


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MissingError, match=r"l\.csv: no such list"):
        list(listing.songs(tmp_path / "l.csv"))
