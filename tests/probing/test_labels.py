from __future__ import annotations

from pathlib import Path

import pytest

from audiomae.errors import DataError, MissingError
from audiomae.probing.labels import read_tasks

HEADER = "path,task,label,fold,track"


def write_labels(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    for name in "abcd":
        (folder / f"{name}.wav").touch()
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_tasks_are_read_in_the_order_of_the_file_with_paths_beside_it(tmp_path):
    rows = ["a.wav,mood,calm,0,t0", "b.wav,mood,wild,1,t1", "a.wav,same_track,,,t0", "b.wav,same_track,,,t0"]
    mood, track = read_tasks(write_labels(tmp_path, rows))
    assert (mood.name, mood.kind, track.name, track.kind) == ("mood", "classes", "same_track", "retrieval")
    assert mood.paths == (tmp_path / "a.wav", tmp_path / "b.wav")
    assert mood.folds.tolist() == [0, 1]
    assert track.labels.tolist() == ["t0", "t0"]


def test_a_file_without_folds_and_tracks_stands_for_itself(tmp_path):
    rows = ["a.wav,mood,calm", "b.wav,mood,wild"]
    (task,) = read_tasks(write_labels(tmp_path, rows, "path,task,label"))
    assert task.folds.tolist() == [-1, -1]
    assert task.groups.tolist() == ["a.wav", "b.wav"]


def test_rows_and_tasks_can_be_chosen(tmp_path):
    rows = ["a.wav,mood,calm,0,t0", "b.wav,mood,wild,1,t1", "c.wav,mood,calm,1,t2", "d.wav,key,C,1,t3"]
    path = write_labels(tmp_path, rows)
    (task,) = read_tasks(path, ["mood"], {"track": ["t0", "t1"]})
    assert task.labels.tolist() == ["calm", "wild"]
    with pytest.raises(DataError, match="no task 'tempo'; there are mood, key"):
        read_tasks(path, ["tempo"])
    with pytest.raises(DataError, match="no column 'colour'"):
        read_tasks(path, [], {"colour": ["red"]})


def test_a_track_in_two_folds_is_refused(tmp_path):
    rows = ["a.wav,mood,calm,0,t0", "b.wav,mood,wild,1,t0"]
    with pytest.raises(DataError, match="'t0' lies in two folds"):
        read_tasks(write_labels(tmp_path, rows))


def test_a_missing_audio_file_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"1 audio files that are not there.*z\.wav"):
        read_tasks(write_labels(tmp_path, ["a.wav,mood,calm,0,t0", "z.wav,mood,wild,1,t1"]))


@pytest.mark.parametrize(
    ("rows", "header", "text"),
    [
        (["a.wav,mood"], "path,task", "no column 'label'"),
        (["a.wav,mood,calm,0,t0"], HEADER, "one label 'calm'"),
        (["a.wav,mood,calm,x,t0"], HEADER, "not a whole number"),
        ([], HEADER, "no row is left"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path, rows, header, text):
    with pytest.raises(DataError, match=text):
        read_tasks(write_labels(tmp_path, rows, header))
