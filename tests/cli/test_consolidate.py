from __future__ import annotations

import json
import shutil

import pytest

import audiomae
from audiomae.cli.main import main
from audiomae.disk.tensors import read_tensors, write_tensors
from audiomae.errors import ConfigError, FingerprintError, MissingError
from audiomae.verbs.consolidate import ConsolidateSettings, consolidate

TINY = {"width": 32, "depth": 2, "heads": 2, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


@pytest.fixture(scope="module")
def run(small_corpus, tmp_path_factory):
    """A run of four steps, with a checkpoint at each second one."""
    out = tmp_path_factory.mktemp("consolidate") / "run"
    train = {"batch": 8, "checkpoint_every": 2, "threads": 1}
    audiomae.pretrain(corpus=str(small_corpus), out=str(out), steps=4, model=TINY, train=train)
    return out


def test_a_checkpoint_becomes_the_model_that_the_run_itself_left(run, small_corpus, tmp_path):
    made = consolidate(ConsolidateSettings(str(run), str(small_corpus), str(tmp_path / "model")))
    assert made.steps == 4
    assert made.checkpoint == run / "checkpoints" / "step-00000004"
    assert made.fingerprint == audiomae.load(run).fingerprint == audiomae.load(made.model).fingerprint


def test_an_earlier_checkpoint_can_be_named_and_one_that_is_not_there_is_refused(
    run, small_corpus, tmp_path, capsys
):
    command = ["consolidate", str(run), "--corpus", str(small_corpus), "--out", str(tmp_path / "model")]
    assert main([*command, "--step", "2"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'model'}: model ")
    assert main([*command, "--step", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 2
    with pytest.raises(MissingError, match=r"step-00000003: no such checkpoint; there are: .*step-00000004"):
        consolidate(ConsolidateSettings(str(run), str(small_corpus), str(tmp_path / "m"), step=3))


def test_a_checkpoint_with_nan_is_one_line(run, small_corpus, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    path = copy / "checkpoints" / "step-00000004" / "model.safetensors"
    tensors = read_tensors(path)
    name = sorted(tensors)[0]
    tensors[name].view(-1)[0] = float("nan")
    write_tensors(path, tensors)
    assert (
        main(["consolidate", str(copy), "--corpus", str(small_corpus), "--out", str(tmp_path / "model")]) == 1
    )
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"step-00000004: tensor '{name}' has NaN or infinite entries. Delete this checkpoint" in line
    assert not (tmp_path / "model").exists()


def test_another_corpus_and_the_run_itself_are_refused(run, tmp_path, small_corpus):
    with pytest.raises(ConfigError, match="is the run itself"):
        ConsolidateSettings(str(run), str(small_corpus), str(run))
    copy = shutil.copytree(run, tmp_path / "run")
    about = json.loads((copy / "run.json").read_text())
    about["settings"]["corpus_fingerprint"] = "other"
    (copy / "run.json").write_text(json.dumps(about))
    with pytest.raises(FingerprintError, match=r"is corpus .*, but .* trains on other"):
        consolidate(ConsolidateSettings(str(copy), str(small_corpus), str(tmp_path / "m")))
