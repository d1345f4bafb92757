"""HetRec Last.fm 2k, on a tree of its layout: tab-separated .dat files with a header, \\r\\n at line ends."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from audiomae.errors import DataError, MissingError
from audiomae.listening.content import Content
from audiomae.listening.tables import TableSettings, read_interactions, read_tracks
from data_prep.plays import hetrec
from data_prep.plays.write import write_tables

FILES = {
    "artists.dat": 'id\tname\turl\tpictureURL\n1\tMotörhead "live"\thttp://a\thttp://b\n2\tBjörk\t\t\n3\tNobody\t\t\n',
    "user_artists.dat": "userID\tartistID\tweight\r\n2\t1\t13883\r\n2\t3\t1\r\n3\t2\t20\r\n",
    "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\r\n"
    "2\t1\t7\t1\t4\t2009\r\n3\t2\t7\t1\t4\t2009\r\n3\t1\t8\t1\t4\t2009\r\n2\t2\t8\t1\t4\t2009\r\n2\t2\t8\t1\t4\t2009\r\n"
    "2\t99\t8\t1\t4\t2009\r\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "hetrec"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def test_artists_are_tracks_and_play_counts_become_weights_without_time(tree, tmp_path):
    said = write_tables(tmp_path / "out", hetrec.tables(tree))
    assert said["counts"] == {"interactions": 3, "tracks": 3, "content": 2, "content_dim": 1}
    plays = read_interactions(TableSettings(str(tmp_path / "out" / "interactions.parquet")))
    assert plays.times is None
    assert plays.pairs().toarray() == pytest.approx(
        np.array([[1 + np.log(13883), 0, 1], [0, 1 + np.log(20), 0]]), rel=1e-6
    )
    tracks = read_tracks(tmp_path / "out" / "tracks.parquet")
    assert tracks["artist"].to_pylist() == ['Motörhead "live"', "Björk", "Nobody"]


def test_content_is_the_tags_and_an_untagged_artist_has_none(tree, tmp_path):
    write_tables(tmp_path / "out", hetrec.tables(tree))
    content = Content.open(tmp_path / "out" / "content.parquet")
    assert content.track_ids == ["1", "2"]
    assert content.tags["title"].to_pylist() == ['Motörhead "live"', "Björk"]


def test_the_zip_gives_what_the_folder_gives(tree, tmp_path):
    with zipfile.ZipFile(tmp_path / "hetrec.zip", "w") as archive:
        for name in FILES:
            archive.write(tree / name, name)
    write_tables(tmp_path / "a", hetrec.tables(tree))
    write_tables(tmp_path / "b", hetrec.tables(tmp_path / "hetrec.zip"))
    for name in ("interactions", "tracks", "content"):
        path = f"{name}.parquet"
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_another_layout_is_refused_by_file_and_line(tree, tmp_path):
    (tree / "user_artists.dat").write_text("userID\tartistID\tweight\n2\t1\tmany\n")
    with pytest.raises(DataError, match=r"user_artists\.dat, column weight: 'many' is no count above 0"):
        hetrec.tables(tree)
    (tree / "user_artists.dat").write_text("userID\tartistID\n2\t1\n")
    with pytest.raises(
        DataError, match=r"user_artists\.dat, line 1: not the columns userID, artistID, weight"
    ):
        hetrec.tables(tree)
    (tree / "user_artists.dat").unlink()
    with pytest.raises(MissingError, match=r"no user_artists\.dat in it\. Name the data set's own folder"):
        hetrec.tables(tree)
    with pytest.raises(MissingError, match="no such file or folder"):
        hetrec.tables(tmp_path / "nowhere")
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(DataError, match="neither a folder nor a readable zip or tar"):
        hetrec.tables(tmp_path / "x.zip")
