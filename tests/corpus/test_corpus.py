from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from audiomae.audio.mel import MelSettings
from audiomae.corpus.corpus import Corpus, corpus_fingerprint
from audiomae.errors import DataError, MissingError


@pytest.fixture
def folder(small_corpus, tmp_path) -> Path:
    return shutil.copytree(small_corpus, tmp_path / "corpus")


def test_a_corpus_gives_each_track_its_own_frames(small_corpus):
    corpus = Corpus.open(small_corpus)
    shard = np.load(small_corpus / "mels" / "shard-00000.npy")
    assert len(corpus) == 6
    assert corpus.frames.tolist() == [1200] * 6
    assert corpus.mel == MelSettings()
    for track in range(6):
        mels = corpus.mels(track)
        assert mels.dtype == np.float16
        assert np.array_equal(mels, shard[1200 * track : 1200 * (track + 1)])
    assert np.array_equal(corpus.mels(2, 100, 50), shard[2500:2550])
    assert np.array_equal(corpus.mels(2, 1190), shard[3590:3600])


def test_log_mels_are_read_as_needed_and_cannot_be_written(small_corpus):
    mels = Corpus.open(small_corpus).mels(0)
    assert isinstance(mels, np.memmap)
    assert not mels.flags.writeable


def test_mean_and_deviation_are_those_of_all_values(small_corpus):
    corpus = Corpus.open(small_corpus)
    values = np.load(small_corpus / "mels" / "shard-00000.npy").astype(np.float64)
    assert corpus.mean == pytest.approx(values.mean(), rel=1e-12)
    assert corpus.std == pytest.approx(values.std(), rel=1e-9)


@pytest.mark.parametrize(
    ("track", "first", "frames"), [(6, 0, 1), (-1, 0, 1), (0, -1, 5), (0, 1190, 11), (0, 0, -1)]
)
def test_frames_outside_a_track_are_refused_and_never_come_from_its_neighbour(
    small_corpus, track, first, frames
):
    with pytest.raises(IndexError, match="outside"):
        Corpus.open(small_corpus).mels(track, first, frames)


def test_a_track_is_found_by_its_name_and_close_names_are_offered(small_corpus):
    corpus = Corpus.open(small_corpus)
    assert corpus.find("song-4") == 4
    with pytest.raises(DataError, match=r"track 'song4' is not among the \d+ of .*\. Close: song-"):
        corpus.find("song4")


def test_a_table_of_rejects_that_is_cut_short_is_one_line(folder):
    rejects = folder / "rejects.parquet"
    rejects.write_bytes(rejects.read_bytes()[:40])
    with pytest.raises(MissingError, match=r"rejects\.parquet: cannot be read, perhaps cut short"):
        Corpus.open(folder).rejects()


def test_a_copy_in_another_process_maps_the_shards_anew_instead_of_carrying_them(small_corpus):
    corpus = Corpus.open(small_corpus)
    corpus.mels(0)
    raw = pickle.dumps(corpus)
    assert len(raw) < 50_000 < corpus.mels(0).nbytes
    assert np.array_equal(pickle.loads(raw).mels(3), corpus.mels(3))


def test_the_folder_tells_what_it_is(small_corpus):
    corpus = Corpus.open(small_corpus)
    assert json.loads((small_corpus / "corpus.json").read_text())["format"] == "audiomae-corpus/1"
    assert "tracks=6, hours=0.02" in repr(corpus)


def test_the_fingerprint_follows_mel_settings_audio_and_order():
    one = corpus_fingerprint(MelSettings(), ["a", "b"], ["x", "y"])
    assert one == corpus_fingerprint(MelSettings(), ["a", "b"], ["x", "y"])
    others = {
        corpus_fingerprint(MelSettings(mels=64), ["a", "b"], ["x", "y"]),
        corpus_fingerprint(MelSettings(), ["b", "a"], ["y", "x"]),
        corpus_fingerprint(MelSettings(), ["a", "b"], ["x", "z"]),
        corpus_fingerprint(MelSettings(), ["a", "c"], ["x", "y"]),
    }
    assert len(others | {one}) == 5


@pytest.mark.parametrize("name", ["corpus.json", "tracks.parquet", "mels/shard-00000.npy"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(MissingError, match=name.replace(".", r"\.")):
        Corpus.open(folder)


@pytest.mark.parametrize("name", ["corpus.json", "tracks.parquet", "mels/shard-00000.npy"])
def test_a_file_cut_short_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(MissingError, match=name.replace(".", r"\.")) as caught:
        Corpus.open(folder)
    assert "\n" not in str(caught.value)


def test_a_table_that_does_not_belong_to_the_json_is_refused(folder):
    meta = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps({**meta, "fingerprint": "0" * 16}))
    with pytest.raises(MissingError, match=r"tracks\.parquet does not fit corpus\.json"):
        Corpus.open(folder)


def test_another_kind_of_folder_is_refused(folder):
    (folder / "corpus.json").write_text('{"format": "audiomae-vectors/1"}')
    with pytest.raises(DataError, match="format is 'audiomae-vectors/1', not 'audiomae-corpus/1'"):
        Corpus.open(folder)


@pytest.mark.parametrize("lost", ["mel", "mean", "shards"])
def test_a_json_without_an_entry_is_refused(folder, lost):
    meta = json.loads((folder / "corpus.json").read_text())
    del meta[lost]
    (folder / "corpus.json").write_text(json.dumps(meta))
    with pytest.raises(MissingError, match=f"'{lost}' is missing"):
        Corpus.open(folder)


def test_a_folder_whose_name_looks_like_a_partition_adds_no_column(small_corpus, tmp_path):
    folder = shutil.copytree(small_corpus, tmp_path / "year=2020" / "corpus")
    assert "year" not in Corpus.open(folder).tracks.column_names


def test_a_corpus_from_before_there_were_notes_opens_and_has_empty_ones(folder):
    table = pq.read_table(folder / "tracks.parquet").drop_columns("note")
    pq.write_table(table, folder / "tracks.parquet")
    assert Corpus.open(folder).tracks["note"].to_pylist() == [""] * len(table)
