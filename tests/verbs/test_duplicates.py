from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from audiomae.cli.main import main
from audiomae.errors import ConfigError
from audiomae.vectors.writer import TrackClips, VectorsWriter
from audiomae.verbs.duplicates import DuplicatesSettings, duplicates

COLUMNS = ["group", "first_path", "second_path", "first_track_id", "second_track_id", "first_seconds"]
COLUMNS += ["second_seconds", "cosine", "clip_cosine"]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Six songs of 40 s; the first is there three times, the second twice, one of them without a path."""
    draw = np.random.default_rng(0)
    songs = {f"s{number}": draw.normal(size=16) + draw.normal(size=(8, 16)) for number in range(6)}
    for name, of in {"s0-mp3": "s0", "s0-opus": "s0", "s1-copy": "s1"}.items():
        songs[name] = songs[of] + draw.normal(0, 0.1, (8, 16))
    writer = VectorsWriter(tmp_path / "vectors", {"model_fingerprint": "m", "whiten": 0}, 16)
    writer.add_part([TrackClips(name, np.arange(8) * 5.0, v.astype(np.float32)) for name, v in songs.items()])
    rows = {name: {"path": f"[red]{name}[/red], a.flac", "seconds": 40.0, "title": name} for name in songs}
    rows["s1-copy"] = {"seconds": 41.5}
    writer.finish(rows)
    return str(tmp_path / "vectors")


def test_groups_hold_the_files_that_are_copies_of_each_other(folder):
    result = duplicates(DuplicatesSettings(folder))
    names = [[song.path or song.track_id for song in group.songs] for group in result.groups]
    assert names == [
        ["[red]s0[/red], a.flac", "[red]s0-mp3[/red], a.flac", "[red]s0-opus[/red], a.flac"],
        ["[red]s1[/red], a.flac", "s1-copy"],
    ]
    assert (result.tracks, result.found_groups, result.found_pairs) == (9, 2, 4)
    assert {pair.group for pair in result.pairs} == {1, 2}
    (pair,) = (pair for pair in result.pairs if pair.group == 2)
    assert (pair.first_seconds, pair.second_seconds) == (40.0, 41.5)
    assert result.groups[1].least_similarity == result.groups[1].songs[0].similarity == pair.clip_cosine


def test_the_limit_cuts_what_is_shown_and_the_file_holds_all(folder, tmp_path, capsys):
    out = tmp_path / "copies.csv"
    assert main(["duplicates", folder, "--limit", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "[red]s0-mp3[/red], a.flac" in printed
    assert "s1-copy" not in printed
    assert "2 groups were found" in printed
    with out.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == COLUMNS
    assert len(rows) == 4
    assert rows[0][1].startswith("[red]s")


def test_a_parquet_file_holds_the_same(folder, tmp_path):
    duplicates(DuplicatesSettings(folder, clips=None, threshold=0.9, out=str(tmp_path / "copies.parquet")))
    table = pq.read_table(tmp_path / "copies.parquet")
    assert table.column_names == COLUMNS
    assert table["clip_cosine"].to_pylist() == [None] * 4
    assert sorted(table["cosine"].to_pylist(), reverse=True) == table["cosine"].to_pylist()


def test_no_copy_is_a_sentence_and_json_holds_the_groups(folder, capsys):
    assert main(["duplicates", folder, "--clips", "1"]) == 0
    assert "no copies among 9 songs (cosine of the songs from" in capsys.readouterr().out
    assert main(["duplicates", folder, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [len(group["songs"]) for group in told["groups"]] == [3, 2]


def test_none_written_when_nothing_is_found_is_a_file_of_no_rows(folder, tmp_path):
    for name in ("none.csv", "none.parquet"):
        result = duplicates(DuplicatesSettings(folder, clips=1.0, out=str(tmp_path / name)))
        assert result.found_pairs == 0
        assert (tmp_path / name).exists()
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"out": "copies.txt"}, r"out is copies.txt; name a file that ends in .csv or .parquet"),
        ({"limit": 0}, "limit is 0; it must be at least 1"),
        ({"seconds": -1.0}, "seconds is -1.0; it must be at least 0"),
        ({"threshold": 2.0}, "threshold is 2.0; it must be from -1 to 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(words, line):
    with pytest.raises(ConfigError, match=line):
        DuplicatesSettings("vectors", **words)
