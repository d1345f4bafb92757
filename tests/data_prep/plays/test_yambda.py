"""Yambda, on a tree of its flat layout: flat/50m/*.parquet, embeddings and mappings above."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.errors import DataError, MissingError
from audiomae.listening.content import Content
from audiomae.listening.tables import TableSettings, read_interactions, read_tracks
from data_prep.plays import yambda
from data_prep.plays.write import write_tables


def put(path: Path, **columns: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    flat = tmp_path / "yambda" / "flat" / "50m"
    numbers = {
        "uid": pa.array([100, 100, 200], pa.uint32()),
        "timestamp": pa.array([0, 5, 25_999_995], pa.uint32()),
    }
    put(
        flat / "listens.parquet",
        **numbers,
        item_id=pa.array([7, 70, 7], pa.uint32()),
        is_organic=pa.array([1, 0, 1], pa.uint8()),
        played_ratio_pct=pa.array([100, 40, 250], pa.uint16()),
        track_length_seconds=pa.array([200, 180, 200], pa.uint32()),
    )
    put(flat / "likes.parquet", **numbers, item_id=pa.array([7, 8, 9], pa.uint32()), is_organic=[1, 1, 0])
    embed = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64()))
    put(
        flat.parents[1] / "embeddings.parquet",
        item_id=pa.array([70, 7], pa.uint32()),
        embed=embed,
        normalized_embed=embed,
    )
    put(flat.parents[1] / "artist_item_mapping.parquet", artist_id=[5, 3, 6], item_id=[7, 7, 8])
    return flat


def test_listens_and_likes_are_events_and_ratios_are_cut_to_one(tree, tmp_path):
    said = write_tables(tmp_path / "out", yambda.tables(tree))
    assert said["counts"] == {"interactions": 6, "tracks": 4, "content": 2, "content_dim": 2}
    path = str(tmp_path / "out" / "interactions.parquet")
    listens = read_interactions(TableSettings(path, events=("listen",), least_played_ratio=0.5))
    assert listens.times.tolist() == [0, 25_999_995]
    assert listens.track_ids == ["7"]
    assert read_interactions(TableSettings(path, events=("like",))).track_ids == ["7", "8", "9"]
    assert pq.read_table(path)["played_ratio"].to_pylist()[:4] == pytest.approx([1, 0.4, 1, None])


def test_embeddings_are_content_and_the_first_artist_is_the_tracks(tree, tmp_path):
    write_tables(tmp_path / "out", yambda.tables(tree))
    content = Content.open(tmp_path / "out" / "content.parquet")
    assert content.track_ids == ["7", "70"]
    assert content.vectors.tolist() == [[3, 4], [1, 2]]
    tracks = read_tracks(tmp_path / "out" / "tracks.parquet").to_pylist()
    assert [(row["track_id"], row["artist"]) for row in tracks] == [
        ("7", "3"),
        ("70", ""),
        ("8", "6"),
        ("9", ""),
    ]


def test_the_table_of_all_events_gives_its_listens_and_likes(tree, tmp_path):
    kinds = pa.array(["listen", "like", "dislike", "unlike"]).dictionary_encode()
    put(
        tree / "multi_event.parquet",
        uid=[1, 1, 1, 1],
        timestamp=[0, 5, 10, 15],
        item_id=[7, 7, 8, 7],
        played_ratio_pct=pa.array([50, None, None, None], pa.uint16()),
        event_type=kinds,
    )
    assert write_tables(tmp_path / "out", yambda.tables(tree))["counts"]["interactions"] == 2
    table = pq.read_table(tmp_path / "out" / "interactions.parquet")
    assert table["event"].to_pylist() == ["listen", "like"]
    assert np.allclose(table["played_ratio"].to_pylist()[0], 0.5)


def test_another_layout_is_refused(tree, tmp_path):
    put(tree / "listens.parquet", uid=[1], item_id=[1])
    with pytest.raises(DataError, match=r"column timestamp is missing; the table has uid, item_id"):
        write_tables(tmp_path / "out", yambda.tables(tree))
    with pytest.raises(MissingError, match=r"no multi_event\.parquet or listens\.parquet"):
        yambda.tables(tmp_path)
