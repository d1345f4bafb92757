from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.atlas.places import place_all, reduce_vectors
from audiomae.atlas.regions import find_regions, name_regions
from audiomae.atlas.stored import MAP_FILE, first_map, open_map, read_map
from audiomae.serve.projection import MapKeeper
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import TrackClips, VectorsWriter

STYLES = ("rock", "folk", "jazz")
SETTINGS = {
    "model_fingerprint": "m",
    "corpus_fingerprint": "c",
    "layer": 2,
    "pool": "mean",
    "hop_seconds": 5.0,
}


def write_styles(folder: Path, songs: range, **settings: object) -> Vectors:
    """Write vectors of three styles that lie far apart, song n of style n % 3."""
    writer = VectorsWriter(folder, {**SETTINGS, **settings}, 8)
    tracks, tags = [], {}
    for song in songs:
        draws = np.random.default_rng(song)
        values = draws.normal(0, 0.3, (2, 8)) + 4 * np.eye(8)[song % 3]
        tracks.append(TrackClips(f"s{song:03d}", np.arange(2) * 5.0, values.astype(np.float32)))
        tags[f"s{song:03d}"] = {"title": f"Song {song}", "genre": STYLES[song % 3], "artist": f"A{song % 5}"}
    writer.add_part(tracks)
    writer.finish(tags)
    return Vectors.open(folder)


def placed(points, vectors: Vectors) -> dict[str, tuple[float, float]]:
    return dict(zip(vectors.track_ids, zip(points.x.tolist(), points.y.tolist(), strict=True), strict=True))


@pytest.mark.parametrize("method", ["pca", pytest.param("umap", marks=pytest.mark.processes)])
def test_songs_of_a_style_lie_together_in_a_region_of_its_name(tmp_path, method):
    points = open_map(write_styles(tmp_path, range(60)), method=method)
    places = np.stack([points.x, points.y], axis=1)
    middles = np.stack([places[style::3].mean(axis=0) for style in range(3)])
    nearest = np.linalg.norm(places[:, None] - middles, axis=2).argmin(axis=1)
    assert nearest.tolist() == [song % 3 for song in range(60)]
    for code, name in enumerate(points.names):
        styles = {STYLES[row % 3] for row in np.flatnonzero(points.codes == code)}
        assert len(styles) == 1
        assert name.split(" · ")[0] in styles
    assert len(set(points.names)) == len(points.names)


@pytest.mark.processes
def test_the_same_songs_give_the_same_map(tmp_path):
    vectors = write_styles(tmp_path, range(30))
    one = open_map(vectors, method="umap")
    (tmp_path / MAP_FILE).unlink()
    other = open_map(vectors, method="umap")
    assert np.array_equal(one.x, other.x)
    assert np.array_equal(one.codes, other.codes)


def test_a_map_is_made_once_and_read_again(tmp_path, monkeypatch):
    vectors = write_styles(tmp_path, range(30))
    made = open_map(vectors, method="pca")
    monkeypatch.setattr("audiomae.atlas.stored.place_all", None)  # would fail if it were called
    again = open_map(vectors, method="pca")
    assert np.array_equal(made.y, again.y)
    assert made.names == again.names


def test_new_songs_come_among_the_others_and_move_none(tmp_path):
    old = write_styles(tmp_path / "old", range(30))
    before = placed(open_map(old, method="pca"), old)
    new = write_styles(tmp_path / "new", range(36))
    shutil.copy(tmp_path / "old" / MAP_FILE, tmp_path / "new")
    points = open_map(new, method="pca")
    after = placed(points, new)
    assert {name: after[name] for name in before} == before
    assert points.added.tolist() == [False] * 30 + [True] * 6
    for song in range(30, 36):
        x, y = after[f"s{song:03d}"]
        near = min(before, key=lambda name: (before[name][0] - x) ** 2 + (before[name][1] - y) ** 2)
        assert int(near[1:]) % 3 == song % 3
        assert points.codes[song] in points.codes[song % 3 : 30 : 3]


def test_removed_songs_leave_the_map_and_changed_ones_are_placed_again(tmp_path):
    old = write_styles(tmp_path / "old", range(30))
    before = placed(open_map(old, method="pca"), old)
    new = write_styles(tmp_path / "new", range(3, 30))
    new.track_vectors[0] = new.track_vectors[1]  # s003 was rock, and sounds like folk now
    shutil.copy(tmp_path / "old" / MAP_FILE, tmp_path / "new")
    points = open_map(new, method="pca")
    after = placed(points, new)
    assert len(points) == 27
    assert "s000" not in after
    assert all(after[name] == before[name] for name in new.track_ids[1:])
    assert np.hypot(*np.subtract(after["s003"], before["s003"])) > 0.5


def test_a_collection_that_has_doubled_gets_a_new_map(tmp_path):
    old = write_styles(tmp_path / "old", range(12))
    open_map(old, method="pca")
    new = write_styles(tmp_path / "new", range(30))
    shutil.copy(tmp_path / "old" / MAP_FILE, tmp_path / "new")
    assert not open_map(new, method="pca").added.any()


@pytest.mark.parametrize("harm", ["cut", "other model", "not finite", "words"])
def test_a_damaged_or_foreign_map_is_made_anew(tmp_path, harm):
    vectors = write_styles(tmp_path / "a", range(20))
    good = open_map(vectors, method="pca")
    path = tmp_path / "a" / MAP_FILE
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif harm == "words":
        path.write_text("no map")
    elif harm == "other model":
        other = write_styles(tmp_path / "b", range(20), model_fingerprint="other")
        open_map(other, method="pca")
        shutil.copy(tmp_path / "b" / MAP_FILE, path)
    else:
        table = pq.read_table(path)
        broken = table.set_column(1, table.schema.field("x"), pa.array([float("nan")] * 20, pa.float32()))
        pq.write_table(broken, path)
    assert read_map(vectors) is None
    assert np.array_equal(open_map(vectors, method="pca").x, good.x)
    assert read_map(vectors) is not None


@pytest.mark.parametrize("songs", [1, 2, 3, 5])
def test_the_smallest_collections_have_a_map(tmp_path, songs):
    points = first_map(write_styles(tmp_path, range(songs)))
    assert np.isfinite(points.x).all()
    assert points.names == ("all songs",)


def test_songs_that_sound_all_alike_lie_in_one_place():
    reduced = reduce_vectors(np.ones((20, 4), np.float32), whitened=False)
    assert not np.ptp(place_all(reduced, method="umap"))
    assert find_regions(reduced).tolist() == [0] * 20


def test_regions_without_tags_are_named_after_a_song_and_never_alike():
    codes = np.array([0, 0, 1, 1, 2], np.uint16)
    bare = pa.table({"title": ["One", "Two", "Three", "", "Three"]})
    assert name_regions(codes, bare) == ("around One", "around Three", "around Three 3")
    tagged = pa.table({"genre": ["rock", "rock", "rock", "rock", ""], "artist": ["A", "A", "B", "B", ""]})
    assert name_regions(codes, tagged) == ("A", "B", "region 3")


def test_the_keeper_shows_axes_first_and_the_better_map_when_it_is_there(tmp_path, monkeypatch):
    vectors = write_styles(tmp_path, range(30))
    keeper = MapKeeper()
    # The process that makes the map is one that this test holds back.
    monkeypatch.setattr("audiomae.serve.projection.best_method", lambda _: "umap")
    monkeypatch.setattr(sys, "executable", "/bin/cat")
    points, final = keeper.points(vectors)
    assert points.method == "pca"
    assert np.array_equal(points.x, first_map(vectors).x)
    monkeypatch.setattr("audiomae.atlas.stored.place_all", lambda reduced, **_: -reduced[:, :2])
    open_map(vectors, method="umap")
    better, final = keeper.points(vectors)
    assert final
    assert better.method == "umap"
    keeper.close()


@pytest.mark.processes
def test_the_better_map_is_made_by_a_process_of_its_own(tmp_path):
    vectors = write_styles(tmp_path, range(30))
    keeper = MapKeeper()
    points, final = keeper.points(vectors)
    assert not final
    until = time.monotonic() + 120
    while not final and time.monotonic() < until:
        time.sleep(0.3)
        points, final = keeper.points(vectors)
    keeper.close()
    assert points.method == "umap"
    assert (tmp_path / MAP_FILE).is_file()


def test_axes_stay_where_the_better_map_cannot_be_made(tmp_path, monkeypatch):
    vectors = write_styles(tmp_path, range(30))
    keeper = MapKeeper()
    monkeypatch.setattr("audiomae.serve.projection.best_method", lambda _: "umap")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    _, final = keeper.points(vectors)
    keeper._worker.wait(10)
    points, final = keeper.points(vectors)
    assert (points.method, final) == ("pca", True)
