"""FMA's layout."""

from __future__ import annotations

import pytest

from audiomae.corpus.song import Song
from audiomae.errors import DataError, MissingError
from data_prep.songs import fma

TRACKS = """\
,album,album,artist,artist,set,track,track,track
,title,tracks,bio,name,subset,genre_top,genres,title
track_id,,,,,,,,
2,AWOL - A Way Of Life,7,"<p>Two lines,
""quoted"".</p>",AWOL,small,Hip-Hop,[21],Food
1048,Niris,4,,Nicky Cook,large,,"[76, 103]",Été
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "fma_metadata").mkdir()
    (tmp_path / "fma_metadata/tracks.csv").write_text(TRACKS, encoding="utf-8")
    for name in (
        "fma_small/001/001048",
        "fma_small/000/000002",
        "fma_large/000/000002",
        "fma_large/000/000003",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.mp3").write_bytes(b"x")
    (tmp_path / "fma_small/checksums").write_text("x")
    return tmp_path


def test_songs_come_by_number_once_with_what_the_table_says(root):
    assert list(fma.songs(root)) == [
        Song(
            root / "fma_large/000/000002.mp3",
            "000002",
            "Food",
            "AWOL",
            "AWOL - A Way Of Life",
            genre="Hip-Hop",
        ),
        Song(root / "fma_large/000/000003.mp3", "000003"),
        Song(root / "fma_small/001/001048.mp3", "001048", "Été", "Nicky Cook", "Niris"),
    ]


def test_a_missing_table_is_named(root):
    (root / "fma_metadata/tracks.csv").unlink()
    with pytest.raises(MissingError, match=r"tracks\.csv: no such file\. Unpack fma_metadata\.zip"):
        list(fma.songs(root))


def test_a_folder_without_audio_is_refused(tmp_path):
    with pytest.raises(MissingError, match=r"no songs such as fma_small/000/000002\.mp3"):
        list(fma.songs(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["", "track_id,title\n2,Food\n3,x\n", TRACKS.replace("genre_top", "genre"), TRACKS + "9,too,few\n"],
    ids=["empty", "one header row", "column gone", "row cut short"],
)
def test_a_table_of_another_layout_is_refused(root, text):
    (root / "fma_metadata/tracks.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"not FMA's tracks\.csv with its three header rows .* Unpack"):
        list(fma.songs(root))
