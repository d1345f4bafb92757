"""A model written and read again, and what is refused of a folder that does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

import audiomae
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.model.embedder import save, untrained

RATE = 16_000


def test_a_model_survives_the_disk_to_the_bit(music, model, tmp_path):
    fingerprint = save(model.with_pooling(layer=2, pool="mean_std"), tmp_path, {"steps": 7})
    again = audiomae.load(tmp_path)
    assert again.fingerprint == fingerprint
    assert (again.layer, again.pool, again.mel, again.mean, again.std) == (2, "mean_std", model.mel, 0.0, 1.0)
    sound = music(5.0)
    assert np.array_equal(
        again.embed(sound, RATE), model.with_pooling(layer=2, pool="mean_std").embed(sound, RATE)
    )
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 7


def test_saving_the_same_model_twice_gives_the_same_bytes(model, tmp_path):
    for place in ("one", "two"):
        save(model, tmp_path / place, {})
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_weights_of_another_model_are_refused(model, tmp_path):
    save(model, tmp_path / "one", {})
    save(untrained(model, seed=4), tmp_path / "two", {})
    (tmp_path / "one" / "model.safetensors").write_bytes(
        (tmp_path / "two" / "model.safetensors").read_bytes()
    )
    with pytest.raises(
        FingerprintError, match=r"model.safetensors is not the one config.json was written with"
    ):
        audiomae.load(tmp_path / "one")


@pytest.mark.parametrize(("section", "entry", "value"), [("statistics", "std", 2.0), ("mel", "low_hz", 20.0)])
def test_edited_settings_are_refused(model, tmp_path, section, entry, value):
    save(model, tmp_path, {})
    described = json.loads((tmp_path / "config.json").read_text())
    described[section][entry] = value
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(FingerprintError):
        audiomae.load(tmp_path)


@pytest.mark.parametrize("section", ["model", "mel", "statistics", "readout"])
def test_a_config_with_a_part_missing_is_one_clear_line(model, tmp_path, section):
    save(model, tmp_path, {})
    described = json.loads((tmp_path / "config.json").read_text())
    del described[section]
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises((MissingError, FingerprintError), match=r"config\.json"):
        audiomae.load(tmp_path)


def test_a_missing_or_cut_file_is_named(model, tmp_path):
    with pytest.raises(MissingError, match=r"config\.json: no such file"):
        audiomae.load(tmp_path)
    save(model, tmp_path, {})
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(MissingError, match=r"model\.safetensors: cannot be read"):
        audiomae.load(tmp_path)


def test_a_pooling_that_there_is_not_is_named(model, tmp_path):
    save(model, tmp_path, {})
    described = json.loads((tmp_path / "config.json").read_text())
    described["readout"]["pool"] = "median"
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(DataError, match=r"readout\.pool is 'median'; it must be one of mean, "):
        audiomae.load(tmp_path)


def test_a_device_that_is_not_there_is_one_clear_line(model, tmp_path):
    save(model, tmp_path, {})
    with pytest.raises(ConfigError, match=r"device 'cuda:77' cannot be used \(.*\)\. Use cpu\."):
        audiomae.load(tmp_path, device="cuda:77")
    assert audiomae.load(tmp_path, device="cpu").device.type == "cpu"
