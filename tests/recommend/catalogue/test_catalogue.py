from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from audiomae.errors import DataError, FingerprintError, MissingError
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue, log_prior_of
from audiomae.recommend.catalogue.items import unplayed_log_prior
from audiomae.vectors.search import unit_rows


class Vectors:
    """Item vectors of a fake tower."""

    def __init__(self, projected: np.ndarray, history: np.ndarray) -> None:
        self.projected, self.history = projected, history


class Tower:
    """Takes the first two entries of the content; track `t1` has an own vector beside."""

    fingerprint = "towers"

    def embed_items(self, content: np.ndarray, track_ids: list[str]) -> Vectors:
        own = np.array([[5.0, 0] if name == "t1" else [0, 0] for name in track_ids], np.float32)
        return Vectors(content[:, :2] + own, content[:, :2])


class PlainTower(Tower):
    """Nothing of its own."""

    def embed_items(self, content: np.ndarray, track_ids: list[str]) -> Vectors:
        assert len(track_ids) == len(content)
        return Vectors(content[:, :2], content[:, :2])


def plays(track_ids: list[str], tracks: list[int], times: list[int] | None = None) -> Interactions:
    rows = len(tracks)
    return Interactions.build(["u"], track_ids, np.zeros(rows, int), np.array(tracks, int), times)


def test_the_prior_is_the_log_of_a_tracks_share_and_what_is_said_where_nobody_played_it():
    prior = log_prior_of(np.array([1, 0, 3, 12]), unplayed=-5.0)
    np.testing.assert_allclose(prior, [np.log(1 / 16), -5.0, np.log(3 / 16), np.log(12 / 16)], rtol=1e-6)
    assert log_prior_of(np.array([0, 0]), unplayed=0.0).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("gamma", "weight"), [(1.0, 16 / 3), (2.0, ((1 + 9 + 144) / 3) ** 0.5), (0.0, 36 ** (1 / 3))]
)
def test_an_unplayed_track_weighs_what_the_played_ones_weigh_on_average(gamma, weight):
    found = unplayed_log_prior(np.array([1, 0, 3, 12]), gamma=gamma)
    assert np.exp(found) * 16 == pytest.approx(weight)
    assert unplayed_log_prior(np.array([0, 0]), gamma=gamma) == 0.0


def test_a_catalogue_keeps_the_prior_of_unplayed_tracks_for_those_that_come_later(tmp_path, make_content):
    content = make_content(["t0", "t1", "t2"])
    for gamma in (1.0, 3.0):
        known = plays(content.track_ids, [0, 0, 0, 1], [1, 2, 3, 4])
        made = Catalogue.create(tmp_path / f"c{gamma}", content, Tower(), known, gamma=gamma)
        assert made.log_prior[2] == pytest.approx(unplayed_log_prior(np.array([3, 1, 0]), gamma=gamma))
        assert Catalogue.open(tmp_path / f"c{gamma}").log_prior[2] == made.log_prior[2]


def test_a_catalogue_is_read_as_it_was_made(tmp_path, make_content):
    content = make_content(["t2", "t0", "t1"])
    times = [50, 40, 60]
    made = Catalogue.create(tmp_path / "c", content, Tower(), plays(content.track_ids, [1, 1, 2], times))
    for one in (made, Catalogue.open(tmp_path / "c")):
        assert one.track_ids == ["t0", "t1", "t2"]
        assert one.plays.tolist() == [0, 2, 1]
        assert one.first_seen.tolist() == [-1, 40, 60]
        assert one.items["first_seen"].to_pylist() == [None, 40, 60]
        assert one.items["artist"].to_pylist() == content.tags["artist"].to_pylist()
        assert np.array_equal(one.history, content.vectors[:, :2])
        np.testing.assert_allclose(one.projected[1], content.vectors[1, :2] + [5, 0], rtol=1e-6)
        assert one.dim == 2
        np.testing.assert_array_equal(one.unit, unit_rows(one.projected))
        np.testing.assert_allclose(np.exp(one.log_prior), [1 / 2, 2 / 3, 1 / 3], rtol=1e-6)
    assert made.fingerprint == Catalogue.open(tmp_path / "c").fingerprint


def test_history_is_stored_once_where_it_is_what_is_searched(tmp_path, make_content):
    content = make_content(["t0", "t1"])
    Catalogue.create(tmp_path / "c", content, PlainTower(), plays(content.track_ids, [0]))
    assert not (tmp_path / "c" / "v00001" / "history.npy").exists()
    opened = Catalogue.open(tmp_path / "c")
    np.testing.assert_array_equal(opened.history, opened.projected)


def test_a_catalogue_made_again_takes_the_place_of_the_old_one(tmp_path, make_content):
    for names in (["t0", "t1"], ["t5"]):
        content = make_content(names)
        Catalogue.create(tmp_path / "c", content, Tower(), plays(content.track_ids, [0]))
    assert Catalogue.open(tmp_path / "c").track_ids == ["t5"]
    assert [path.name for path in (tmp_path / "c").glob("v*")] == ["v00002"]


def test_plays_that_carry_no_time_leave_the_age_unknown(tmp_path, make_content):
    content = make_content(["t0"])
    made = Catalogue.create(tmp_path / "c", content, Tower(), plays(content.track_ids, [0]))
    assert made.first_seen.tolist() == [-1]


def test_tags_that_the_content_lacks_are_empty(tmp_path, make_content):
    content = replace(make_content(["t0"]), tags=pa.table({"track_id": ["t0"]}))
    made = Catalogue.create(tmp_path / "c", content, Tower(), plays(content.track_ids, [0]))
    assert made.items.select(["title", "artist"]).to_pylist() == [{"title": "", "artist": ""}]


def test_what_cannot_be_a_catalogue_is_refused(tmp_path, make_content):
    content = make_content(["t0", "t1"])
    known = plays(content.track_ids, [0])
    content.vectors[1, 3] = np.nan
    with pytest.raises(
        DataError, match=r"track 't1': its vector holds NaN or infinity\. Export its song again"
    ):
        Catalogue.create(tmp_path / "c", content, Tower(), known)
    with pytest.raises(DataError, match="not aligned to the content"):
        Catalogue.create(tmp_path / "c", make_content(["t0"]), Tower(), known)
    with pytest.raises(DataError, match="the content holds no track"):
        Catalogue.create(tmp_path / "c", make_content([]), Tower(), plays([], []))
    assert not (tmp_path / "c" / "catalogue.json").exists()


def test_a_tower_that_makes_nan_leaves_no_catalogue(tmp_path, make_content):
    class Broken(Tower):
        def embed_items(self, content: np.ndarray, track_ids: list[str]) -> Vectors:
            made = super().embed_items(content, track_ids)
            made.history[2, 1] = np.nan
            return made

    content = make_content(["t0", "t1", "t2"])
    with pytest.raises(DataError, match="the history vector of track 2 holds NaN or infinity"):
        Catalogue.create(tmp_path / "c", content, Broken(), plays(content.track_ids, [0]))
    assert not (tmp_path / "c" / "catalogue.json").exists()


@pytest.fixture
def folder(tmp_path: Path, make_content) -> Path:
    content = make_content(["t0", "t1", "t2"])
    Catalogue.create(tmp_path / "c", content, Tower(), plays(content.track_ids, [0, 0, 1]))
    return tmp_path / "c"


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"catalogue.json: no such file"):
        Catalogue.open(tmp_path)


@pytest.mark.parametrize("name", ["items.parquet", "projected.npy", "history.npy"])
def test_a_file_that_is_missing_or_cut_is_named(folder, name):
    path = folder / "v00001" / name
    raw = path.read_bytes()
    path.write_bytes(raw[:-3])
    line = rf"{name}: {len(raw) - 3} bytes of {len(raw)}, missing or cut short.*train-towers"
    with pytest.raises(MissingError, match=line):
        Catalogue.open(folder)
    path.unlink()
    with pytest.raises(MissingError, match=rf"{name}: 0 bytes of"):
        Catalogue.open(folder)


@pytest.mark.parametrize("name", ["items.parquet", "projected.npy"])
def test_a_file_of_other_bytes_is_damaged(folder, name):
    path = folder / "v00001" / name
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(MissingError, match=r"v00001: damaged, its [0-9,]+ bytes are not those"):
        Catalogue.open(folder)


def test_an_edited_description_is_refused(folder):
    meta = json.loads((folder / "catalogue.json").read_text())
    (folder / "catalogue.json").write_text(json.dumps(meta | {"total_plays": 9}))
    with pytest.raises(FingerprintError, match="was edited by hand"):
        Catalogue.open(folder)


def test_lists_of_another_gamma_are_refused(folder):
    made = Catalogue.open(folder).build_lists(unit_rows(np.ones((3, 2))), scale=5.0, gamma=0.5, k=2)
    assert made.meta["index"]["recall"] >= 0.97
    opened = Catalogue.open(folder)
    assert opened.index(scale=5.0, gamma=0.5).lists is not None
    with pytest.raises(FingerprintError, match=r"its index searches scale 5 and gamma 0.5, .* to 5 and 0.6"):
        opened.index(scale=5.0, gamma=0.6)
