from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from audiomae.atlas.embedding_atlas import write_atlas
from audiomae.errors import ConfigError
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter

SETTINGS = {
    "model_fingerprint": "m",
    "corpus_fingerprint": "c",
    "layer": 2,
    "pool": "mean",
    "hop_seconds": 5.0,
}


@pytest.fixture
def vectors(tmp_path) -> Vectors:
    writer = VectorsWriter(tmp_path / "vectors", SETTINGS, 4)
    draws = np.random.default_rng(0)
    writer.add_part(
        [
            TrackClips(f"s{song}", np.zeros(1), draws.normal(size=(1, 4)).astype(np.float32))
            for song in range(9)
        ]
    )
    writer.finish({"s1": {"title": "Mond", "artist": "Ö", "genre": "folk"}})
    return Vectors.open(tmp_path / "vectors")


def test_the_file_has_the_columns_that_embedding_atlas_is_told_of(vectors, tmp_path):
    write_atlas(vectors, tmp_path / "songs.parquet", neighbours=3, method="pca")
    table = pq.read_table(tmp_path / "songs.parquet")
    assert table["track_id"].to_pylist() == vectors.track_ids
    assert table["text"].to_pylist()[:2] == ["s0", "Mond · Ö · folk"]
    assert str(table.schema.field("projection_x").type) == "float"
    assert "vector" not in table.column_names
    assert table.schema.field("neighbors").type["ids"].name == "ids"


def test_neighbours_are_the_true_ones_by_row_with_one_minus_their_cosine(vectors, tmp_path):
    table = write_atlas(vectors, tmp_path / "songs.parquet", neighbours=3, method="pca")
    for row, cell in enumerate(table["neighbors"].to_pylist()):
        songs = vectors.similar(vectors.track_ids[row], k=3)
        assert [vectors.track_ids[other] for other in cell["ids"]] == [song.track_id for song in songs]
        assert cell["distances"] == pytest.approx([1 - song.cosine for song in songs], abs=1e-6)


def test_places_are_those_of_the_map_that_the_page_shows(vectors, tmp_path):
    table = write_atlas(vectors, tmp_path / "songs.parquet", neighbours=0, method="pca")
    stored = pq.read_table(vectors.folder / "map.parquet")
    assert table["projection_x"].to_pylist() == stored["x"].to_pylist()
    assert "neighbors" not in table.column_names


def test_a_number_of_neighbours_below_none_is_refused(vectors, tmp_path):
    with pytest.raises(ConfigError, match="neighbours is -1; it must be from 0 to 1000"):
        write_atlas(vectors, tmp_path / "songs.parquet", neighbours=-1)
