"""Content: one vector a track, from a vectors folder or from Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.errors import DataError, MissingError
from audiomae.listening.content import Content, write_content
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter


def write(path, ids, vectors, kind=None):
    column = pa.array(vectors, kind or pa.list_(pa.float64()))
    pq.write_table(pa.table({"track_id": ids, "vector": column}), path)
    return path


def test_tracks_are_sorted_and_vectors_and_tags_go_with_them(tmp_path):
    tracks = pa.table({"track_id": ["b", "a"], "title": ["B", None]})
    write_content(tmp_path / "c.parquet", tracks, np.array([[2, 2], [1, 1]], np.float32), "maker")
    content = Content.open(tmp_path / "c.parquet")
    assert content.track_ids == ["a", "b"]
    assert content.vectors.tolist() == [[1, 1], [2, 2]]
    assert content.tags["title"].to_pylist() == ["", "B"]
    assert content.tags.column_names == ["track_id", "title", "artist", "album", "genre", "path"]
    assert content.model_fingerprint == "maker"


def test_the_fingerprint_follows_the_vectors_and_not_the_order_of_rows(tmp_path):
    one = Content.open(write(tmp_path / "1.parquet", ["a", "b"], [[1, 2], [3, 4]]))
    two = Content.open(write(tmp_path / "2.parquet", ["b", "a"], [[3, 4], [1, 2]]))
    other = Content.open(write(tmp_path / "3.parquet", ["a", "b"], [[1, 2], [3, 5]]))
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert one.model_fingerprint is None


def test_lists_of_any_number_are_read(tmp_path):
    for kind in (pa.list_(pa.float32(), 2), pa.large_list(pa.float16()), pa.list_(pa.int64())):
        values = np.array([1, 2], np.float16) if "half" in str(kind) else [1, 2]
        assert Content.open(write(tmp_path / "c.parquet", ["a"], [values], kind)).vectors.tolist() == [[1, 2]]


BAD = {
    "nan": (
        ["a", "b"],
        [[1.0], [float("nan")]],
        r"row 2, column vector: track 'b' has NaN or infinite entries\.",
    ),
    "null": (["a", "b"], [[1.0], [None]], r"row 2, column vector: track 'b' has NaN"),
    "twice": (
        ["b", "a", "b"],
        [[1.0]] * 3,
        r"row 3, column track_id: 'b' stands in row 1 too; one vector a track",
    ),
    "empty id": (["a", ""], [[1.0]] * 2, r"row 2, column track_id: empty"),
    "empty": ([], [], r"0 tracks; at least one is needed"),
    "ragged": (["a", "b"], [[1.0], [1.0, 2.0]], r"row 2, column vector: 2 entries, the first row has 1"),
    "no entries": (["a"], [[]], r"row 1, column vector: 0 entries"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_vector_is_said_with_its_row(tmp_path, case):
    ids, vectors, line = BAD[case]
    column = pa.array(vectors, pa.list_(pa.float64()))
    pq.write_table(
        pa.table({"track_id": pa.array(ids, pa.string()), "vector": column}), tmp_path / "c.parquet"
    )
    with pytest.raises(DataError, match=line):
        Content.open(tmp_path / "c.parquet")


def test_what_is_no_content_is_refused(tmp_path):
    with pytest.raises(MissingError, match=r"nowhere: no such file or folder"):
        Content.open(tmp_path / "nowhere")
    (tmp_path / "c.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match="cannot be read, perhaps cut short"):
        Content.open(tmp_path / "c.parquet")
    pq.write_table(pa.table({"track_id": ["a"]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"column vector is missing\. The table has track_id"):
        Content.open(tmp_path / "c.parquet")
    pq.write_table(pa.table({"track_id": ["a"], "vector": [1.0]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match="it must hold lists of numbers"):
        Content.open(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="one vector a track, no clips"):
        Content.open(write(tmp_path / "c.parquet", ["a"], [[1.0]])).clip_vectors(2)


def write_vectors(folder: Path, clips: tuple[int, ...] = (3, 5, 1)) -> Path:
    settings = {
        "model_fingerprint": "m",
        "corpus_fingerprint": "c",
        "layer": 2,
        "pool": "mean",
        "hop_seconds": 5.0,
    }
    writer = VectorsWriter(folder, settings, 2)
    for number, count in enumerate(clips):
        values = np.stack([np.arange(count) + 1, np.full(count, number)], axis=1).astype(np.float32)
        writer.add_part([TrackClips(f"song-{9 - number}", np.arange(count) * 5.0, values)])
    writer.finish({})
    return folder


def test_a_vectors_folder_is_content_sorted_by_track(tmp_path):
    content = Content.open(write_vectors(tmp_path))
    assert content.track_ids == ["song-7", "song-8", "song-9"]
    assert content.vectors.tolist() == [[1, 2], [3, 1], [2, 0]]
    assert content.fingerprint == Vectors.open(tmp_path).meta["fingerprint"]


def test_clip_vectors_are_spread_over_the_track_and_masked(tmp_path):
    vectors, mask = Content.open(write_vectors(tmp_path)).clip_vectors(3)
    assert mask.tolist() == [[True, False, False], [True] * 3, [True] * 3]
    assert vectors[:, :, 0].tolist() == [[1, 0, 0], [1, 3, 5], [1, 2, 3]]
    assert vectors[:, :, 1].tolist() == [[2, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_the_space_of_vectors_follows_the_model_and_not_the_corpus(tmp_path):
    one, two = (
        Content.open(write_vectors(tmp_path / "1")),
        Content.open(write_vectors(tmp_path / "2", (1, 1))),
    )
    assert one.model_fingerprint == two.model_fingerprint is not None
