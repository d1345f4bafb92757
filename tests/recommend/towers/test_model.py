"""Trained towers, used."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from audiomae.disk.files import read_json, write_json
from audiomae.disk.tensors import read_tensors, write_tensors
from audiomae.errors import DataError, FingerprintError
from audiomae.listening.content import ClipVectors
from audiomae.recommend.towers.features import FeatureSettings, UserFeatures
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.network import Towers
from audiomae.recommend.towers.settings import TowerSettings

USERS = pa.table({"user_id": ["a", "b", "c"], "age": [20, 30, 40], "country": ["de", "de", "fr"]})


def make_model(**changes) -> TowerModel:
    settings = TowerSettings(**{"dim": 8, "hidden": 16, **changes})
    features = UserFeatures.fit(USERS, ["a", "b", "c"], FeatureSettings(least_count=1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        towers = Towers(features, 5, 4 if settings.track_ids else 0, settings)
    ids = ["t0", "t1", "t2", "t3"] if settings.track_ids else []
    return TowerModel(towers, features, ids, {"gamma": 0.5})


def content(rows: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)


IDS = [f"t{number}" for number in range(6)]


def test_a_batch_of_users_gives_what_each_alone_gives():
    model, random = make_model(), np.random.default_rng(1)
    rows = [{"user_id": name, "age": age} for name in "abcdefg" for age in (20, None, 99)]
    history = random.normal(size=(len(rows), 8)).astype(np.float32)
    has = random.random(len(rows)) < 0.7
    together = model.embed_users(rows, history, has)
    alone = [model.embed_users([row], history[[at]], has[[at]])[0] for at, row in enumerate(rows)]
    np.testing.assert_array_equal(together, np.stack(alone))
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)


def test_a_batch_of_items_gives_what_each_alone_gives():
    model = make_model()
    together = model.embed_items(content(), IDS)
    for row in range(6):
        alone = model.embed_items(content()[row : row + 1], IDS[row : row + 1])
        np.testing.assert_array_equal(alone.projected[0], together.projected[row])
        np.testing.assert_array_equal(alone.history[0], together.history[row])


def test_an_item_that_was_not_trained_is_its_content_alone():
    model = make_model()
    found = model.embed_items(content(), IDS)
    plain = model.embed_items(content(), [f"new-{number}" for number in range(6)])
    np.testing.assert_array_equal(plain.projected, plain.history)
    np.testing.assert_array_equal(found.projected[4:], plain.projected[4:])
    assert not np.allclose(found.projected[:4], plain.projected[:4])
    assert not np.allclose(found.projected[:4], found.history[:4])


@pytest.mark.parametrize("row", [{}, {"user_id": None, "age": None}, {"user_id": "new", "shoes": "red"}])
def test_a_user_of_whom_nothing_is_known_has_a_vector(row):
    nothing = np.zeros((1, 8), np.float32)
    found = make_model().embed_users([row], nothing, np.array([False]))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, make_model().embed_users([{}], nothing, np.array([False])))


def test_a_table_and_dicts_give_the_same():
    model, history = make_model(), np.zeros((3, 8), np.float32)
    has = np.zeros(3, bool)
    table = model.embed_users(USERS, history, has)
    np.testing.assert_array_equal(table, model.embed_users(USERS.to_pylist(), history, has))


def test_a_history_that_is_not_there_is_not_looked_at():
    model, has = make_model(), np.array([False])
    one, other = (model.embed_users([{}], np.full((1, 8), value, np.float32), has) for value in (0.0, 7.0))
    np.testing.assert_array_equal(one, other)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    model = make_model()
    model.save(tmp_path / "towers")
    again = TowerModel.load(tmp_path / "towers")
    assert again.fingerprint == model.fingerprint
    assert (again.scale, again.bias, again.dim, again.meta) == (model.scale, model.bias, 8, {"gamma": 0.5})
    np.testing.assert_array_equal(
        again.embed_items(content(), IDS).projected, model.embed_items(content(), IDS).projected
    )
    again.save(tmp_path / "again")
    for name in ("config.json", "features.json", "towers.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "towers" / name).read_bytes()


@pytest.mark.parametrize(
    "changes", [{"history": False}, {"track_ids": False}, {"residual": False}, {"layers": 1}]
)
def test_towers_without_a_part_work_and_round_trip(tmp_path, changes):
    model = make_model(**changes)
    model.save(tmp_path)
    again = TowerModel.load(tmp_path)
    history, has = np.ones((3, 8), np.float32), np.ones(3, bool)
    np.testing.assert_array_equal(
        again.embed_users(USERS, history, has), model.embed_users(USERS, history, has)
    )
    assert again.embed_items(content(), IDS).projected.shape == (6, 8)


def test_attention_over_one_clip_is_that_clip():
    model = make_model(attention_clips=3)
    assert model.clips == 3
    vectors = content()
    clips = np.zeros((6, 3, 5), np.float32)
    clips[:, 1] = vectors
    there = np.array([[False, True, False]] * 6)
    mean, pooled = model.embed_items(vectors, IDS), model.embed_items(vectors, IDS, ClipVectors(clips, there))
    np.testing.assert_allclose(mean.projected, pooled.projected, atol=1e-6)


def test_a_vector_with_nan_is_named():
    vectors = content()
    vectors[2, 1] = np.nan
    with pytest.raises(DataError, match=r"track 't2': its vector holds NaN or infinity \(1 of 6 do\)"):
        make_model().embed_items(vectors, IDS)


def test_vectors_of_another_length_are_refused():
    with pytest.raises(FingerprintError, match=r"have 4 values; these towers take 5"):
        make_model().embed_items(np.zeros((1, 4), np.float32), ["t0"])


def test_files_that_were_not_written_together_are_refused(tmp_path):
    make_model().save(tmp_path)
    tensors = read_tensors(tmp_path / "towers.safetensors")
    tensors["log_scale"] += 1
    write_tensors(tmp_path / "towers.safetensors", tensors)
    with pytest.raises(FingerprintError, match=r"are not those config\.json was written with"):
        TowerModel.load(tmp_path)
    del tensors["log_scale"]
    write_tensors(tmp_path / "towers.safetensors", tensors)
    with pytest.raises(DataError, match=r"towers\.safetensors: tensor 'log_scale' is missing"):
        TowerModel.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"values": 2**40}, "values is 1099511627776; it must be from 1 to"),
        ({"values": "5"}, "values is '5'; it must be a whole number"),
        ({"towers": {"dim": 2**40}}, "towers.dim is 1099511627776"),
        ({"towers": {"layers": 10**9}}, "towers.layers is 1000000000"),
        ({"towers": {"hidden": 999}}, r"tensor 'user\.layers\.\d\.\w+' has shape"),
        ({"meta": 3}, "meta is 3; it must be an object"),
    ],
)
def test_a_description_of_other_types_or_absurd_sizes_builds_nothing(tmp_path, change, line):
    make_model().save(tmp_path)
    described = read_json(tmp_path / "config.json")
    if isinstance(towers := change.get("towers"), dict):
        change = {"towers": described["towers"] | towers}
    write_json(tmp_path / "config.json", described | change)
    with pytest.raises(DataError, match=line) as caught:
        TowerModel.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("columns", 3, "columns is 3; it must be a list"),
        ("one_hot", "many", "one_hot is 'many'; it must be a whole number"),
        ("track_ids", [1], r"track_ids\[0\] is 1; it must be text"),
    ],
)
def test_features_of_other_types_are_one_line(tmp_path, name, value, line):
    make_model().save(tmp_path)
    write_json(tmp_path / "features.json", read_json(tmp_path / "features.json") | {name: value})
    with pytest.raises(DataError, match=f"features.json: {line}"):
        TowerModel.load(tmp_path)


def test_towers_that_are_not_finite_are_one_line(tmp_path):
    make_model().save(tmp_path)
    tensors = read_tensors(tmp_path / "towers.safetensors")
    tensors["bias"].fill_(float("nan"))
    write_tensors(tmp_path / "towers.safetensors", tensors)
    with pytest.raises(DataError, match="tensor 'bias' has NaN or infinite entries"):
        TowerModel.load(tmp_path)


def test_towers_trained_with_whole_numbers_for_settings_of_a_fraction_open_again(tmp_path):
    model = make_model(half_life_days=90)
    model.save(tmp_path)
    assert TowerModel.load(tmp_path).fingerprint == model.fingerprint


def test_another_format_is_refused(tmp_path):
    make_model().save(tmp_path)
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "format": "other/1"})
    with pytest.raises(DataError, match="format is 'other/1', not 'audiomae-towers/1'"):
        TowerModel.load(tmp_path)
