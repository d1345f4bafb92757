"""A folder of songs that changes, and the vectors that follow it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from audiomae.errors import DataError, FingerprintError, MissingError
from audiomae.vectors.vectors import Vectors
from audiomae.verbs.export import ExportSettings, export
from audiomae.watching.known import read_known


def test_a_first_run_takes_every_song_and_a_second_one_nothing(once, songs, names, tmp_path):
    done = once(songs, batch_songs=2)
    assert (done.added, done.tracks, done.generation) == (5, 5, 3)
    assert names(tmp_path / "v") == [f"{number}.wav" for number in range(5)]
    before = (tmp_path / "v" / "vectors.json").read_bytes()
    again = once(songs)
    assert (again.added, again.removed, again.generation) == (0, 0, 3)
    assert (tmp_path / "v" / "vectors.json").read_bytes() == before
    assert [path.name for path in (tmp_path / "v").iterdir() if path.name.startswith(".")] == [".lock"]


def test_vectors_are_those_that_export_makes(once, songs, tiny_model, tmp_path):
    once(songs, batch_songs=2)
    export(ExportSettings((str(tiny_model), str(songs)), str(tmp_path / "e")))
    ours, theirs = Vectors.open(tmp_path / "v"), Vectors.open(tmp_path / "e")
    assert ours.track_ids == theirs.track_ids
    np.testing.assert_allclose(ours.track_vectors, theirs.track_vectors, atol=1e-6)
    left_out = {"vector", "timbre", "rhythm", "harmony"}
    for name in set(theirs.tracks.column_names) - left_out:
        assert ours.tracks[name].to_pylist() == theirs.tracks[name].to_pylist()
    for row in range(5):
        a, b = ours.clips_of(row), theirs.clips_of(row)
        assert a["start_seconds"].to_pylist() == b["start_seconds"].to_pylist()


def test_new_changed_moved_and_deleted_songs_are_followed(once, songs, song, names, tmp_path):
    once(songs)
    ids = dict(zip(names(tmp_path / "v"), Vectors.open(tmp_path / "v").track_ids, strict=True))
    song(songs / "new" / "5.wav", 900)
    song(songs / "1.wav", 1000)
    (songs / "2.wav").unlink()
    (songs / "3.wav").rename(songs / "new" / "three.wav")
    done = once(songs)
    assert (done.added, done.changed, done.moved, done.removed) == (1, 1, 1, 1)
    found = dict(zip(names(tmp_path / "v"), Vectors.open(tmp_path / "v").track_ids, strict=True))
    assert sorted(found) == ["0.wav", "1.wav", "4.wav", "5.wav", "three.wav"]
    assert found["three.wav"] == ids["3.wav"]
    assert found["0.wav"] == ids["0.wav"]
    assert found["1.wav"] != ids["1.wav"]


def test_a_file_that_was_copied_and_removed_keeps_its_id(once, songs, names, tmp_path):
    once(songs)
    ids = Vectors.open(tmp_path / "v").track_ids
    shutil.copyfile(songs / "3.wav", songs / "z.wav")
    (songs / "3.wav").unlink()
    assert once(songs).tracks == 5
    assert sorted(names(tmp_path / "v")) == ["0.wav", "1.wav", "2.wav", "4.wav", "z.wav"]
    assert sorted(Vectors.open(tmp_path / "v").track_ids) == sorted(ids)


def test_a_duplicate_comes_in_when_its_original_goes(once, songs, names, tmp_path):
    shutil.copyfile(songs / "1.wav", songs / "7.wav")
    done = once(songs)
    assert (done.tracks, done.duplicates) == (5, 1)
    ids = Vectors.open(tmp_path / "v").track_ids
    (songs / "1.wav").unlink()
    assert once(songs).tracks == 5
    assert names(tmp_path / "v") == ["0.wav", "7.wav", "2.wav", "3.wav", "4.wav"]
    assert Vectors.open(tmp_path / "v").track_ids == ids


def test_an_original_that_changes_leaves_its_place_to_its_duplicate(once, songs, song, names, tmp_path):
    shutil.copyfile(songs / "1.wav", songs / "7.wav")
    once(songs)
    song(songs / "1.wav", 1200)
    assert once(songs).tracks == 6
    assert sorted(names(tmp_path / "v")) == ["0.wav", "1.wav", "2.wav", "3.wav", "4.wav", "7.wav"]


def test_a_file_that_was_only_touched_keeps_its_vectors(once, songs, tmp_path):
    once(songs)
    parts = json.loads((tmp_path / "v" / "vectors.json").read_text())["parts"]
    os.utime(songs / "2.wav", (1, 1))
    assert once(songs).changed == 1
    assert json.loads((tmp_path / "v" / "vectors.json").read_text())["parts"] == parts


def test_a_file_that_is_no_sound_is_left_out_once_and_taken_when_it_is_one(
    once, songs, song, caplog, tmp_path
):
    (songs / "bad.mp3").write_bytes(b"no sound" * 100)
    os.utime(songs / "bad.mp3", (1, 1))
    (songs / "cover.jpg").write_bytes(b"x")
    (songs / ".hidden").mkdir()
    song(songs / ".hidden" / "h.wav", 777)
    with caplog.at_level("INFO", "audiomae"):
        done = once(songs)
    assert (done.tracks, done.left_out) == (5, 1)
    assert sum("left out" in line and "bad.mp3" in line for line in caplog.messages) == 1
    assert any("5 added, 1 left out; 5 songs, generation 1" in line for line in caplog.messages)
    assert once(songs).left_out == 0
    shutil.copyfile(song(tmp_path / "x.wav", 3000), songs / "bad.mp3")
    assert once(songs).added == 1


def test_songs_that_are_away_are_not_forgotten(once, songs, tmp_path):
    once(songs)
    songs.rename(tmp_path / "away")
    with pytest.raises(MissingError, match=r"songs: is not there; nothing is removed\. Mount it"):
        once(songs)
    songs.mkdir()
    with pytest.raises(MissingError, match=r"is empty, and 5 files are known of it; nothing is removed"):
        once(songs)
    assert len(Vectors.open(tmp_path / "v").track_ids) == 5


def test_an_empty_folder_gives_a_collection_without_songs(once, tmp_path):
    (tmp_path / "songs").mkdir()
    assert once(tmp_path / "songs").tracks == 0
    assert Vectors.open(tmp_path / "v").track_vectors.shape[0] == 0


def test_single_songs_do_not_make_many_parts_and_parts_are_never_written_again(once, song, tmp_path):
    seen: dict[str, bytes] = {}
    for number in range(12):
        song(tmp_path / "songs" / f"{number:02d}.wav", 200 + 30 * number)
        once(tmp_path / "songs", part_clips=4)
        parts = json.loads((tmp_path / "v" / "vectors.json").read_text())["parts"]
        assert len(parts) <= number // 4 + 1
        for path in (tmp_path / "v" / "clips").glob("*.parquet"):
            assert seen.setdefault(path.name, path.read_bytes()) == path.read_bytes()
    for number in (0, 1, 2, 4, 5, 6, 8, 9, 10):
        (tmp_path / "songs" / f"{number:02d}.wav").unlink()
    once(tmp_path / "songs", part_clips=4)
    vectors = Vectors.open(tmp_path / "v")
    assert len(vectors.meta["parts"]) == 1
    assert [vectors.clips_of(row).num_rows for row in range(3)] == [1, 1, 1]


def test_parts_go_a_minute_after_they_were_named_last(once, songs, song, tmp_path):
    once(songs)
    old = tmp_path / "v" / "clips" / "part-00000.parquet"
    open_before = Vectors.open(tmp_path / "v")
    song(songs / "5.wav", 900)
    once(songs)
    assert old.exists()
    assert open_before.clips_of(4).num_rows == 1
    os.utime(old, (1, 1))
    song(songs / "6.wav", 950)
    once(songs)
    assert not old.exists()


def test_a_part_that_is_lost_is_made_again(once, songs, state, tmp_path):
    once(songs, part_clips=2)
    before = state(tmp_path / "v")
    (tmp_path / "v" / "clips" / "part-00001.parquet").unlink()
    once(songs, part_clips=2)
    assert state(tmp_path / "v") == before


def test_an_exported_folder_is_followed_on_and_export_is_refused_from_then_on(
    once, songs, song, tiny_model, tmp_path
):
    out, model = tmp_path / "v", shutil.copytree(tiny_model, tmp_path / "run")  # it keeps the whitening
    asked = ExportSettings(
        (str(model), str(songs)), str(out), hop_seconds=0.5, layer=1, whiten=3, whiten_kind="pca"
    )
    song(songs / "long.wav", 300, seconds=8)
    export(asked)
    before = Vectors.open(out)
    song(songs / "6.wav", 950, seconds=7)
    (songs / "0.wav").unlink()
    done = once(songs)
    assert (done.added, done.removed, done.changed) == (1, 1, 0)
    after = Vectors.open(out)
    assert after.meta["fingerprint"] == before.meta["fingerprint"]
    assert after.dim == 3
    with pytest.raises(DataError, match=r"is kept up to date by audiomae watch\. Name another --out"):
        export(asked)
    again = ExportSettings(
        (str(tiny_model), str(songs / "6.wav")),
        str(tmp_path / "e"),
        hop_seconds=0.5,
        layer=1,
        whitening=str(out / "whitening.safetensors"),
    )
    export(again)
    one = Vectors.open(tmp_path / "e")
    row = after.find("6.wav")
    np.testing.assert_allclose(after.track_vectors[row], one.track_vectors[0], rtol=1e-4, atol=1e-4)


def test_export_starts_afresh_where_watch_was_with_overwrite(once, songs, tiny_model, tmp_path):
    once(songs)
    export(ExportSettings((str(tiny_model), str(songs)), str(tmp_path / "v"), overwrite=True))
    assert not (tmp_path / "v" / "watch.parquet").exists()
    assert "watched" not in Vectors.open(tmp_path / "v").meta


def test_another_model_is_one_clear_line(once, songs):
    once(songs)
    with pytest.raises(FingerprintError, match=r"was made with model \w+, but tiny is \w+\. Name the model"):
        once(songs, model="tiny")


def test_songs_outside_the_folder_stay(once, songs, song, tmp_path):
    once(songs)
    song(tmp_path / "more" / "9.wav", 950)
    done = once(tmp_path / "more")
    assert (done.tracks, done.added, done.removed) == (6, 1, 0)
    songs.rename(tmp_path / "more" / "songs")
    once(tmp_path / "more")
    vectors = Vectors.open(tmp_path / "v")
    assert len(vectors.track_ids) == 6
    assert all(Path(path).exists() for path in vectors.tracks["path"].to_pylist())


def test_passing_faults_are_tried_again(once, songs, monkeypatch, tmp_path):
    from audiomae.corpus import pool

    real = pool.prepare_song
    with monkeypatch.context() as patched:
        patched.setattr(
            pool,
            "prepare_song",
            lambda path, *rest: (
                {"reason": "unreadable: denied"} if path.name == "2.wav" else real(path, *rest)
            ),
        )
        assert once(songs).left_out == 1
    known = read_known(tmp_path / "v" / "watch.parquet")
    assert known[str(songs / "2.wav")].reason == "unreadable: denied"
    assert once(songs).added == 1
