from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from audiomae.similarity import neighbours
from audiomae.similarity.neighbours import skewness_of, write_neighbours
from audiomae.similarity.rules import SongRules
from audiomae.similarity.search import find_similar


@pytest.mark.parametrize("hubs", [True, False])
def test_the_table_holds_what_each_song_would_be_answered(orchestra, tmp_path, hubs):
    told = write_neighbours(orchestra, 5, tmp_path / "near.parquet", hubs=hubs)
    table = pq.read_table(tmp_path / "near.parquet").to_pylist()
    assert len(table) == 60 * 5
    for name in ("bells-00", "drums-07", "strings-19"):
        mine = [row["similar_track_id"] for row in table if row["track_id"] == name]
        rules = SongRules(k=5, duplicates=True)
        assert mine == [song.track_id for song in find_similar(orchestra, [name], rules=rules, hubs=hubs)]
    assert np.isfinite(told).all()


def test_large_collections_go_through_inverted_lists_and_find_nearly_the_same(orchestra, tmp_path, monkeypatch):
    write_neighbours(orchestra, 3, tmp_path / "exact.parquet")
    monkeypatch.setattr(neighbours, "EXACT_SONGS", 10)
    write_neighbours(orchestra, 3, tmp_path / "lists.parquet")
    exact, found = (
        {(row["track_id"], row["similar_track_id"]) for row in pq.read_table(tmp_path / name).to_pylist()}
        for name in ("exact.parquet", "lists.parquet")
    )
    assert len(exact & found) > 0.9 * len(exact)


def test_skewness_agrees_with_scipy():
    from scipy.stats import skew

    counts = np.array([0, 1, 1, 2, 9, 30])
    assert skewness_of(counts) == pytest.approx(float(skew(counts)), abs=1e-3)
    assert skewness_of(np.full(4, 3)) == 0
