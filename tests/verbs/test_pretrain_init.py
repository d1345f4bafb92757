"""Pretraining that begins with the weights of another run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

import audiomae
from audiomae.cli.main import main
from audiomae.disk.tensors import read_tensors
from audiomae.errors import ConfigError, FingerprintError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save
from audiomae.pretraining.first_weights import copy_weights
from audiomae.pretraining.settings import PairSettings
from audiomae.pretraining.task import MaskedTask
from audiomae.training.settings import LoopSettings
from audiomae.verbs.pretrain import PretrainSettings, pretrain

TINY = ModelSettings(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)
QUIET = {"batch": 8, "threads": 1, "log_every": 1, "evaluate_every": 4, "checkpoint_every": 2}


def config(corpus: Path, out: Path, *, steps: int = 6, **changes) -> PretrainSettings:
    loop = LoopSettings(**{**QUIET, **changes.pop("train", {})})
    return PretrainSettings(
        corpus=str(corpus), out=str(out), steps=steps, **{"model": TINY, **changes}, train=loop
    )


@pytest.fixture(scope="module")
def first(small_corpus, tmp_path_factory) -> Path:
    """A model that has learned something."""
    out = tmp_path_factory.mktemp("first") / "run"
    pretrain(config(small_corpus, out, steps=10, train={"batch": 16, "learning_rate": 3e-3}))
    return out


def result(run: Path) -> dict[str, float]:
    return json.loads((run / "result.json").read_text())


def test_it_goes_on_from_what_the_other_model_knew(small_corpus, first, tmp_path):
    still = {"learning_rate": 1e-9}
    pretrain(config(small_corpus, tmp_path / "new", steps=1, train=still))
    pretrain(config(small_corpus, tmp_path / "on", steps=1, train=still, init=str(first)))
    before, after = result(first)["held_out_loss"], result(tmp_path / "on")["held_out_loss"]
    assert after == pytest.approx(before, abs=1e-4)
    given, on, new = (
        read_tensors(run / "model.safetensors") for run in (first, tmp_path / "on", tmp_path / "new")
    )
    assert all(torch.allclose(on[name], value, atol=1e-6) for name, value in given.items())
    assert not torch.allclose(new["encoder.embed.weight"], given["encoder.embed.weight"], atol=1e-2)


def test_a_killed_run_that_began_with_a_model_ends_as_one_that_was_not(
    small_corpus, first, tmp_path, power_cut
):
    pretrain(config(small_corpus, tmp_path / "whole", init=str(first)))
    with power_cut(MaskedTask, 5):
        pretrain(config(small_corpus, tmp_path / "cut", init=str(first)))
    pretrain(config(small_corpus, tmp_path / "cut", init=str(first)))
    for name in ("model.safetensors", "config.json", "metrics.jsonl", "result.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_the_clip_level_head_is_kept_drawn_anew_or_dropped(first):
    given = audiomae.load(first)
    assert given.config.projection == 128
    without, wider = Autoencoder(TINY), Autoencoder(ModelSettings(**{**vars(TINY), "projection": 64}))
    drawn = wider.clip_head.layers[3].weight.detach().clone()
    for other in (without, wider):
        copy_weights(given, other)
        assert torch.equal(other.encoder.embed.weight, given.autoencoder.encoder.embed.weight)
        assert torch.equal(other.decoder.embed.weight, given.autoencoder.decoder.embed.weight)
    assert torch.equal(wider.clip_head.layers[3].weight, drawn)
    assert torch.equal(wider.clip_head.layers[1].weight, given.autoencoder.clip_head.layers[1].weight)


def test_a_model_trained_on_reconstruction_alone_can_take_up_the_clip_level_term(
    small_corpus, first, tmp_path
):
    alone = PairSettings(weight=0.0)
    pretrain(config(small_corpus, tmp_path / "alone", steps=2, pairs=alone, init=str(first)))
    pretrain(config(small_corpus, tmp_path / "both", steps=2, init=str(tmp_path / "alone")))
    assert audiomae.load(tmp_path / "alone").config.projection == 0
    assert audiomae.load(tmp_path / "both").config.projection == 128


def test_a_model_of_other_sizes_or_log_mels_is_refused(small_corpus, first, tmp_path):
    deeper = ModelSettings(**{**vars(TINY), "depth": 3})
    with pytest.raises(
        ConfigError, match=r"its model\.depth is 2, the one to train has 3\. Use --model\.depth 2"
    ):
        pretrain(config(small_corpus, tmp_path / "run", model=deeper, init=str(first)))
    model = audiomae.load(first)
    save(dataclasses.replace(model, mel=dataclasses.replace(model.mel, low_hz=30.0)), tmp_path / "lower", {})
    with pytest.raises(FingerprintError, match="log-mels of other settings than"):
        pretrain(config(small_corpus, tmp_path / "run", init=str(tmp_path / "lower")))
    assert not (tmp_path / "run").exists()


def test_a_folder_begun_with_another_model_is_refused(small_corpus, first, tmp_path):
    pretrain(config(small_corpus, tmp_path / "run", steps=2))
    with pytest.raises(FingerprintError, match="was begun with another init"):
        pretrain(config(small_corpus, tmp_path / "run", steps=2, init=str(first)))


def test_a_missing_model_ends_with_one_line(small_corpus, tmp_path, capsys):
    status = main(
        [
            "pretrain",
            "--corpus",
            str(small_corpus),
            "--steps",
            "2",
            "--init",
            str(tmp_path / "no"),
            "--out",
            str(tmp_path / "run"),
        ]
    )
    assert status == 1
    error = capsys.readouterr().err
    assert str(tmp_path / "no") in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
