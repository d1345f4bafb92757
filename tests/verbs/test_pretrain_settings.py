"""Settings of pretraining: what does not fit, named sizes, and what a run is known by."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import audiomae
from audiomae.cli.main import main, read_settings
from audiomae.corpus.corpus import Corpus
from audiomae.errors import ConfigError
from audiomae.model.config import ModelSettings
from audiomae.model.overrides import ModelOverrides
from audiomae.pretraining.settings import PairSettings
from audiomae.pretraining.trained import sizes_of_run
from audiomae.verbs.pretrain import _identity, pretrain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None}, "give either --steps or --minutes"),
        ({"ratio": 0.999}, "ratio 0.999 masks 31 of 31 columns"),
        ({"held_out": 1.5}, "held_out is 1.5"),
        ({"layer": 9}, "layer 9 is beyond the encoder's 2 blocks"),
        ({"size": "base", "model": ModelOverrides(heads=5)}, "model.heads 5 does not divide the width 768"),
        ({"masks": 0}, "masks is 0; it must be at least 1"),
        (
            {"pairs": PairSettings(weight=1.0), "train": {"batch": 2}},
            "takes 4 clips or more",
        ),
        ({"train": {"batch": 9, "accumulate": 2}}, "batch 9 cannot be cut into 2 equal parts"),
    ],
)
def test_settings_that_do_not_fit_are_refused(config, small_corpus, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        config(small_corpus, tmp_path / "run", **changes)


TINIER = {"width": 32, "depth": 1, "heads": 2, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


def test_the_model_takes_the_mel_bands_of_the_corpus(config, wide_corpus, tmp_path):
    settings = config(wide_corpus, tmp_path / "run", steps=1, model=ModelOverrides(**TINIER))
    assert pretrain(settings).finished
    assert audiomae.load(tmp_path / "run").config.mels == 96
    written = yaml.safe_load((tmp_path / "run" / "pretrain.yaml").read_text())
    assert written["model"] == {**vars(ModelSettings()), **TINIER, "mels": 96}
    # With the bands said, and from the file that the run has written down, it is the same run.
    for model in (ModelOverrides(**TINIER, mels=96), ModelOverrides(**written["model"])):
        same = config(wide_corpus, tmp_path / "run", steps=1, model=model)
        assert pretrain(same).already_complete


def test_other_mel_bands_than_the_corpus_has_are_refused(config, wide_corpus, tmp_path):
    settings = config(wide_corpus, tmp_path / "run", steps=1, model=ModelOverrides(mels=80))
    with pytest.raises(ConfigError, match=r"has 96 mel bands, but model\.mels is 80\. Leave out"):
        pretrain(settings)


def test_a_named_size_is_a_base_for_single_settings(small_corpus, tmp_path):
    words = ["--corpus", str(small_corpus), "--steps", "1", "--size", "base"]
    sizes = read_settings("pretrain", [*words, "--model.clip_frames", "992", "--model.depth", "2"]).sizes()
    assert (sizes.width, sizes.clip_frames, sizes.depth, sizes.projection) == (768, 992, 2, 128)
    (tmp_path / "base.yaml").write_text("size: base\nmodel:\n  decoded: 0.5\n")
    sizes = read_settings("pretrain", ["--config", str(tmp_path / "base.yaml"), *words[:4]]).sizes()
    assert (sizes.width, sizes.decoded) == (768, 0.5)


def test_run_folders_of_a_named_size_are_known_by_what_they_were_begun_with(config, small_corpus):
    """As they were written down when a named size and single sizes could not be given together."""
    corpus = Corpus.open(small_corpus)
    old = {"size": "small", "model": vars(ModelSettings())}
    for model in (ModelOverrides(), ModelOverrides(depth=12), ModelOverrides(**old["model"])):
        _, kept = _identity(config(small_corpus, Path("run"), size="small", model=model), corpus, None)
        assert {name: kept[name] for name in old} == old
    deeper = config(small_corpus, Path("run"), size="small", model=ModelOverrides(depth=3))
    _, kept = _identity(deeper, corpus, None)
    assert kept["size"] is None
    assert (kept["model"]["width"], kept["model"]["depth"]) == (384, 3)
    assert sizes_of_run({**kept, "size": None}) == deeper.sizes()


def test_an_unknown_key_in_the_yaml_is_a_usage_error(small_corpus, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(f"corpus: {small_corpus}\nsteps: 2\nlearning: 3\n")
    with pytest.raises(SystemExit) as stopped:
        main(["pretrain", "--config", str(tmp_path / "run.yaml")])
    assert stopped.value.code == 2
    assert "learning" in capsys.readouterr().err


def test_a_folder_that_is_no_corpus_is_one_line_and_exit_1(tmp_path, capsys):
    assert main(["pretrain", "--corpus", str(tmp_path), "--steps", "1"]) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert "corpus.json: no such file" in said


def test_the_least_distance_of_two_clips_follows_from_their_length(config, small_corpus, tmp_path):
    assert PairSettings().with_nearest(4.96).nearest_seconds == 4.0
    assert PairSettings().with_nearest(9.92).nearest_seconds == 8.0
    assert PairSettings().with_nearest(60.0).nearest_seconds == 30.0  # `farthest_seconds` is the end
    assert PairSettings(nearest_seconds=0).with_nearest(9.92).nearest_seconds == 0
    with pytest.raises(ConfigError, match=r"pairs\.farthest_seconds is 30"):
        PairSettings(nearest_seconds=31.0)
    # A run that was begun with the number said is the same run.
    said = config(small_corpus, tmp_path / "run", steps=1, pairs=PairSettings(nearest_seconds=4.0))
    assert pretrain(said).finished
    assert pretrain(config(small_corpus, tmp_path / "run", steps=1, pairs=PairSettings())).already_complete
