"""Models and whitenings that somebody else made: what is wrong with them is one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomae.disk.tensors import read_tensors, write_tensors
from audiomae.errors import DataError, MissingError
from audiomae.model.embedder import load
from audiomae.model.whitening import Whitening


@pytest.fixture
def run(tiny_model, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "run"))


@pytest.mark.parametrize(
    ("entry", "change", "line"),
    [
        ("model", {"width": 10**9}, "model.width is 1000000000; it must be from 1 to 16384"),
        ("model", {"depth": 10**9}, "model.depth is 1000000000; it must be from 1 to 256"),
        ("model", {"clip_frames": 10**9}, "model.clip_frames is 1000000000; it must be from 1 to 65536"),
        ("model", {"mels": 10**6}, "model.mels is 1000000; it must be from 1 to 1024"),
        ("model", {"width": 16_384}, r"tensor '.*' has shape \[.*\], not \[.*16384.*\]"),
        ("model", {"depth": 256}, r"tensor 'encoder\.blocks\.10\..*' is missing"),
        ("model", {"width": "32"}, r"model\.width is '32'; it must be a whole number"),
        ("model", {"colour": 1}, r"entry 'colour' is not known"),
        ("mel", {"mels": "80"}, r"mel\.mels is '80'; it must be a whole number"),
        (
            "mel",
            {"sample_rate": 10**12},
            r"mel\.sample_rate is 1e\+12|mel\.sample_rate is 1000000000000; it must be",
        ),
        ("mel", {"mels": 64}, "2 of 2, 64 mel bands of 80: its parts do not fit together"),
        ("readout", {"layer": 10**9}, "layer 1000000000 of 2, .* its parts do not fit together"),
        ("readout", {"pool": ["mean"]}, r"readout\.pool is list; it must be one of mean"),
        ("statistics", {"std": "x"}, r"statistics\.std is 'x'; it must be a finite number"),
        ("statistics", {"std": -1}, r"statistics\.std is -1; it must be at least 0"),
    ],
)
def test_a_config_of_other_types_or_absurd_sizes_is_refused_before_anything_is_built(
    edit, run, entry, change, line
):
    edit(run / "config.json", lambda meta: meta[entry].update(change))
    with pytest.raises(DataError, match=line) as caught:
        load(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entry", ["model", "mel", "statistics", "readout", "fingerprint"])
def test_a_config_without_an_entry_or_with_a_number_for_it_is_one_line(edit, run, entry):
    edit(run / "config.json", lambda meta: meta.update({entry: 7}))
    with pytest.raises(DataError, match=f"{entry} is 7; it must be "):
        load(run)
    edit(run / "config.json", lambda meta: meta.pop(entry))
    with pytest.raises(MissingError, match=f"entry '{entry}' is missing"):
        load(run)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda tensors: tensors.popitem(), "is missing. Take another copy."),
        (lambda tensors: tensors.update(evil=torch.zeros(1)), "tensor 'evil' is not one of this model's"),
        (lambda tensors: tensors["encoder.norm.weight"].fill_(float("nan")), "has NaN or infinite entries"),
        (
            lambda tensors: tensors.update({"encoder.norm.weight": torch.zeros(3)}),
            r"tensor 'encoder\.norm\.weight' has shape \[3\], not \[32\]",
        ),
        (
            lambda tensors: tensors.update({"encoder.norm.weight": torch.zeros(32, dtype=torch.int8)}),
            r"tensor 'encoder\.norm\.weight' holds torch\.int8, not torch\.float32",
        ),
    ],
)
def test_weights_that_do_not_fit_the_config_are_one_line(run, change, line):
    tensors = read_tensors(run / "model.safetensors")
    change(tensors)
    write_tensors(run / "model.safetensors", tensors)
    with pytest.raises(DataError, match=line) as caught:
        load(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 4, 100])
def test_weights_cut_short_are_one_line(run, size):
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(MissingError, match=r"model\.safetensors: cannot be read \(.*\)\. Take another copy"):
        load(run)


@pytest.mark.parametrize(
    ("mean", "matrix", "line"),
    [
        (
            np.zeros(3),
            np.zeros((3, 2)),
            r"mean float64 \(3,\) and matrix float64 \(3, 2\): not float32",
        ),
        (np.zeros(3, np.float32), np.zeros((4, 2), np.float32), "do not fit together"),
        (np.zeros((3, 1), np.float32), np.zeros((3, 2), np.float32), "do not fit together"),
        (np.zeros(3, np.float32), np.zeros((3, 0), np.float32), "do not fit together"),
        (np.zeros(3, np.float32), np.full((3, 2), np.nan, np.float32), "not float32, or not finite"),
        (np.full(3, np.inf, np.float32), np.zeros((3, 2), np.float32), "not float32, or not finite"),
    ],
)
def test_a_whitening_that_is_misshapen_or_not_finite_is_one_line(tmp_path, mean, matrix, line):
    Whitening(mean, matrix).save(tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=line):
        Whitening.load(tmp_path / "w.safetensors")
