from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError, StorageError
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter
from audiomae.verbs.similar import SimilarSettings, similar

SETTINGS = {
    "model_fingerprint": "m",
    "corpus_fingerprint": "c",
    "layer": 2,
    "pool": "mean",
    "hop_seconds": 5.0,
}


def make_track(number: int, clips: int = 3) -> TrackClips:
    values = np.random.default_rng(number).normal(size=(clips, 4)).astype(np.float32)
    return TrackClips(f"song-{number}", np.arange(clips) * 5.0, values)


def write_vectors(
    folder: Path, parts: tuple[tuple[int, ...], ...] = ((0, 1), (2,)), **settings: object
) -> Path:
    writer = VectorsWriter(folder, {**SETTINGS, **settings}, 4)
    for part in parts[writer.parts :]:
        writer.add_part([make_track(number) for number in part])
    writer.finish({"song-1": {"title": "Mond", "artist": "Ö", "path": "a/b.mp3", "seconds": 14.5}})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_clips_come_back_as_they_were_written(tmp_path):
    vectors = Vectors.open(write_vectors(tmp_path))
    clips = list(vectors.clips())
    assert [(clip.track_id, clip.clip_index, clip.start_seconds) for clip in clips[2:5]] == [
        ("song-0", 2, 10.0),
        ("song-1", 0, 0.0),
        ("song-1", 1, 5.0),
    ]
    assert np.array_equal(clips[4].vector, make_track(1).vectors[1])
    assert vectors.clip_table().num_rows == len(clips) == 9


def test_a_track_vector_is_the_mean_of_its_clips_and_carries_the_tags(tmp_path):
    vectors = Vectors.open(write_vectors(tmp_path))
    assert vectors.track_ids == ["song-0", "song-1", "song-2"]
    assert vectors.track_vectors.dtype == np.float32
    expected = np.stack([make_track(number).vectors.mean(axis=0) for number in range(3)])
    assert np.allclose(vectors.track_vectors, expected, atol=1e-7)
    row = vectors.tracks.drop_columns(["vector"]).to_pylist()[1]
    assert row == {
        "track_id": "song-1",
        "title": "Mond",
        "artist": "Ö",
        "album": "",
        "genre": "",
        "path": "a/b.mp3",
        "seconds": 14.5,
        "clips": 3,
    }


def test_any_parquet_reader_sees_the_promised_columns_and_fingerprints(tmp_path):
    table = pq.read_table(write_vectors(tmp_path) / "clips" / "part-00000.parquet")
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("track_id", "string"),
        ("clip_index", "int32"),
        ("start_seconds", "float"),
        ("vector", "fixed_size_list<element: float not null>[4]"),
    ]
    assert table.schema.metadata[b"audiomae.model_fingerprint"] == b"m"
    assert table.schema.metadata[b"audiomae.corpus_fingerprint"] == b"c"


def test_a_writer_goes_on_after_the_last_part_and_gives_the_same_bytes(tmp_path):
    whole = write_vectors(tmp_path / "whole")
    killed = VectorsWriter(tmp_path / "killed", SETTINGS, 4)
    killed.add_part([make_track(0), make_track(1)])
    (tmp_path / "killed" / "clips" / ".part-00001.parquet.77.tmp").write_bytes(b"half")
    again = VectorsWriter(tmp_path / "killed", SETTINGS, 4)
    assert again.done == ["song-0", "song-1"]
    assert again.clips == 6
    assert contents(write_vectors(tmp_path / "killed")) == contents(whole)


def test_a_damaged_part_is_written_again_with_all_after_it(tmp_path):
    whole = contents(write_vectors(tmp_path))
    part = tmp_path / "clips" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    assert VectorsWriter(tmp_path, SETTINGS, 4).done == []
    assert contents(write_vectors(tmp_path)) == whole


def test_a_folder_of_other_settings_is_refused_unless_overwritten(tmp_path):
    write_vectors(tmp_path)
    with pytest.raises(FingerprintError, match="another model, corpus or settings"):
        VectorsWriter(tmp_path, {**SETTINGS, "layer": 3}, 4)
    assert VectorsWriter(tmp_path, {**SETTINGS, "layer": 3}, 4, overwrite=True).done == []
    assert not (tmp_path / "vectors.json").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_never_written(tmp_path, value):
    track = make_track(0)
    track.vectors[1, 2] = value
    with pytest.raises(ValueError, match="finite"):
        VectorsWriter(tmp_path, SETTINGS, 4).add_part([track])
    assert not (tmp_path / "clips").exists()


def test_a_cut_part_is_named_when_the_folder_is_opened(tmp_path):
    part = write_vectors(tmp_path) / "clips" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(MissingError, match=r"part-00001\.parquet: 100 bytes of .* cut short"):
        Vectors.open(tmp_path)


def test_a_missing_part_is_named_when_the_folder_is_opened(tmp_path):
    (write_vectors(tmp_path) / "clips" / "part-00000.parquet").unlink()
    with pytest.raises(MissingError, match=r"part-00000\.parquet: 0 bytes of"):
        Vectors.open(tmp_path)


def test_an_unfinished_export_is_told_from_a_wrong_folder(tmp_path):
    with pytest.raises(MissingError, match="no such file"):
        Vectors.open(tmp_path)
    VectorsWriter(tmp_path, SETTINGS, 4).add_part([make_track(0)])
    with pytest.raises(MissingError, match="has not finished"):
        Vectors.open(tmp_path)


def test_tracks_of_other_vectors_are_refused(tmp_path):
    write_vectors(tmp_path / "a")
    write_vectors(tmp_path / "b", layer=5)
    (tmp_path / "b" / "tracks.parquet").replace(tmp_path / "a" / "tracks.parquet")
    with pytest.raises(FingerprintError, match=r"tracks\.parquet: fingerprint is"):
        Vectors.open(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "error"), [({"format": "audiomae-vectors/9"}, DataError), ({"layer": 7}, FingerprintError)]
)
def test_another_format_and_an_edited_description_are_refused(tmp_path, change, error):
    path = write_vectors(tmp_path) / "vectors.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(error, match=r"vectors\.json"):
        Vectors.open(tmp_path)


@pytest.mark.parametrize(
    ("asked", "offered"),
    [("song1", "song-1"), ("mon", r"song-1 \(Mond\)"), ("zzz", "song-0"), ("d.mp3", "b.mp3")],
)
def test_an_unknown_track_is_answered_with_close_ones(tmp_path, asked, offered):
    vectors = Vectors.open(write_vectors(tmp_path))
    assert vectors.find("song-2") == 2
    with pytest.raises(DataError, match=offered):
        vectors.find(asked)


@pytest.mark.parametrize("asked", ["song-1", "b.mp3", "a/b.mp3", "./a/b.mp3", "Mond", "mond"])
def test_a_track_is_found_by_its_id_its_path_or_its_title(tmp_path, asked):
    assert Vectors.open(write_vectors(tmp_path)).find(asked) == 1


def test_clips_that_are_not_finite_or_of_another_length_are_one_line(tmp_path):
    folder = write_vectors(tmp_path)
    vectors, path = Vectors.open(folder), folder / "clips" / "part-00001.parquet"
    table = pq.read_table(path)
    for values, width, line in (
        (
            [float("nan"), 0, 0, 0] * 3,
            4,
            r"part-00001\.parquet: a vector has NaN or infinite entries\. Export again\.",
        ),
        ([0.0] * 9, 3, r"part-00001\.parquet: a vector is not of 4 entries\. Export again\."),
    ):
        bad = pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), width)
        changed = table.drop_columns(["vector"]).append_column("vector", bad)
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
        with pytest.raises(DataError, match=line):
            list(vectors.clips())


def test_a_full_disk_gives_one_line_and_leaves_what_was_there(tmp_path):
    whole = contents(write_vectors(tmp_path))
    writer = VectorsWriter(tmp_path, SETTINGS, 4)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageError, match=r"part-00002\.parquet: cannot write") as caught:
            writer.add_part([make_track(7, clips=500)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == whole


def test_ids_and_vectors_come_as_arrays_a_row_a_track_or_a_row_a_clip(tmp_path):
    vectors = Vectors.open(write_vectors(tmp_path))
    ids, matrix = vectors.to_numpy()
    assert ids.tolist() == ["song-0", "song-1", "song-2"]
    assert np.array_equal(matrix, vectors.track_vectors)
    ids, matrix = vectors.to_numpy(clips=True)
    assert ids.tolist() == [f"song-{number}" for number in range(3) for _ in range(3)]
    assert np.array_equal(matrix, np.concatenate([make_track(number).vectors for number in range(3)]))


def test_tables_come_as_pandas_with_an_array_in_each_row(tmp_path):
    pandas = pytest.importorskip("pandas")
    vectors = Vectors.open(write_vectors(tmp_path))
    tracks = vectors.to_pandas()
    assert isinstance(tracks, pandas.DataFrame)
    assert tracks.loc[1, ["track_id", "title", "artist", "seconds", "clips"]].tolist() == [
        "song-1",
        "Mond",
        "Ö",
        14.5,
        3,
    ]
    assert np.array_equal(np.stack(tracks["vector"]), vectors.track_vectors)
    clips = vectors.to_pandas(clips=True)
    assert clips["start_seconds"].tolist() == [0, 5, 10] * 3
    assert np.array_equal(np.stack(clips["vector"]), vectors.to_numpy(clips=True).vectors)


def test_without_pandas_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"pip install pandas\), or take to_numpy"):
        Vectors.open(write_vectors(tmp_path)).to_pandas()


def test_standardised_vectors_have_mean_0_and_deviation_1_unless_they_are_whitened(tmp_path):
    plain = Vectors.open(write_vectors(tmp_path / "plain")).standardised()
    assert np.allclose(plain.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(plain.std(axis=0), 1, atol=1e-5)
    white = Vectors.open(write_vectors(tmp_path / "white", whiten=4))
    assert np.array_equal(white.standardised(), white.track_vectors)


@pytest.mark.parametrize("raw", [False, True])
def test_similar_songs_are_those_of_the_verb_and_of_the_tracks_own_vector(tmp_path, raw):
    vectors = Vectors.open(write_vectors(tmp_path))
    found = vectors.similar("song-1", k=2, raw=raw)
    assert found == similar(SimilarSettings(str(tmp_path), track="song-1", k=2, raw=raw)).similar
    first, *rest = vectors.similar_to(vectors.track_vectors[1], k=3, raw=raw)
    assert (first.track_id, first.title, first.cosine) == ("song-1", "Mond", pytest.approx(1))
    assert rest == found


def test_similar_refuses_what_cannot_be_answered(tmp_path):
    vectors = Vectors.open(write_vectors(tmp_path))
    with pytest.raises(DataError, match="track 'song-9' is not among the 3"):
        vectors.similar("song-9")
    with pytest.raises(ConfigError, match="k is 0; it must be at least 1"):
        vectors.similar("song-1", k=0)
    with pytest.raises(DataError, match=r"shape \(3,\); .* holds vectors of shape \(4,\)"):
        vectors.similar_to(np.zeros(3))
