"""A model by name, and which of a name and a folder is meant."""

from __future__ import annotations

import shutil

import pytest

import audiomae
from audiomae.errors import MissingError
from audiomae.hear import load_model
from audiomae.model.released import is_released, model_folder, model_names


def test_there_is_a_model_in_the_package():
    assert "tiny" in model_names()


@pytest.mark.parametrize("name", model_names())
def test_a_name_is_the_model_in_the_package_whose_card_says_which(name):
    folder = model_folder(name)
    assert is_released(folder)
    assert audiomae.load(name).fingerprint in (folder / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}


def test_a_folder_with_a_model_wins_over_a_name(tmp_path, monkeypatch, tiny_model):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert is_released(model_folder("tiny"))  # songs or vectors that somebody calls so are no model
    shutil.copytree(tiny_model, tmp_path / "tiny", dirs_exist_ok=True)
    assert not is_released(model_folder("tiny"))
    assert audiomae.load("tiny").fingerprint == audiomae.load(tiny_model).fingerprint


def test_an_unknown_name_says_which_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match=r"tinny: no such folder, and no model .* Close: tiny\."):
        audiomae.load("tinny")
    with pytest.raises(MissingError, match=r"run: no such folder, and no model .* There is tiny\."):
        audiomae.load("run")


def test_a_path_is_never_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match=r"tiny/config\.json: no such file"):
        audiomae.load("./tiny/")
    with pytest.raises(MissingError, match=r"tiny/config\.json: no such file"):
        audiomae.load(tmp_path / "tiny")


def test_hear_takes_the_model_in_the_package_by_default():
    assert load_model().embedder.fingerprint == audiomae.load("tiny").fingerprint
