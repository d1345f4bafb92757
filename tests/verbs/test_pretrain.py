"""Pretraining: exact resume, honest stops, what lies in the run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

import audiomae
from audiomae.disk.tensors import read_tensors, write_tensors
from audiomae.errors import DivergedError, FingerprintError, MissingError, StorageError
from audiomae.pretraining.augmentation import AugmentSettings
from audiomae.pretraining.settings import PairSettings
from audiomae.pretraining.task import MaskedTask
from audiomae.training.settings import LoopSettings
from audiomae.verbs.pretrain import PretrainSettings, pretrain


def files_that_must_match(run: Path) -> dict[str, bytes]:
    names = ("model.safetensors", "config.json", "metrics.jsonl", "result.json")
    return {name: (run / name).read_bytes() for name in names}


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_folder_holds_all_that_inference_needs(config, small_corpus, tmp_path, capsys):
    result = pretrain(config(small_corpus, tmp_path / "run"))
    assert (result.run, result.steps, result.finished) == (str(tmp_path / "run"), 6, True)
    assert (result.stopped_by, result.already_complete, result.profile) == (None, False, None)
    assert capsys.readouterr().out == ""
    scores = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result.metrics is not None
    assert scores["held_out_loss"] == result.metrics.held_out_loss
    model = audiomae.load(tmp_path / "run")
    assert model.dim == 3 * 5 * 32
    assert (tmp_path / "run" / "pictures" / "step-00000006.png").stat().st_size > 5000
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    steps = [line["step"] for line in lines_of(tmp_path / "run" / "metrics.jsonl")]
    assert steps == [2, 4, 4, 6, 6]


def test_the_learned_model_beats_guessing_the_mean_on_held_out_tracks(config, small_corpus, tmp_path):
    faster = {"batch": 16, "learning_rate": 3e-3}
    scores = pretrain(config(small_corpus, tmp_path / "run", steps=60, train=faster)).metrics
    assert scores is not None
    losses = [line["loss"] for line in lines_of(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    assert scores.held_out_loss < scores.held_out_position_mean


@pytest.mark.parametrize("pairs", [PairSettings(weight=0.0), PairSettings(weight=0.5)])
def test_a_run_killed_in_the_middle_ends_as_one_that_was_not(
    config, small_corpus, tmp_path, power_cut, pairs
):
    pretrain(config(small_corpus, tmp_path / "whole", pairs=pairs))
    with power_cut(MaskedTask, 5):
        pretrain(config(small_corpus, tmp_path / "cut", pairs=pairs))
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    pretrain(config(small_corpus, tmp_path / "cut", pairs=pairs))
    assert files_that_must_match(tmp_path / "cut") == files_that_must_match(tmp_path / "whole")


def test_running_a_finished_run_again_changes_nothing(config, small_corpus, tmp_path):
    first = pretrain(config(small_corpus, tmp_path / "run"))
    before = files_that_must_match(tmp_path / "run")
    again = pretrain(config(small_corpus, tmp_path / "run"))
    assert files_that_must_match(tmp_path / "run") == before
    assert again == dataclasses.replace(first, already_complete=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"pairs": PairSettings(weight=0.0)},
        {"pairs": PairSettings(weight=1.0)},
        {"pairs": PairSettings(weight=1.0), "augment": AugmentSettings(mix=0.4), "masks": 2},
        {"pairs": PairSettings(weight=1.0), "optimizer": "muon"},
    ],
    ids=["reconstruction", "clip-level term", "changed clips, two masks", "muon"],
)
def test_accumulating_gives_the_step_of_the_whole_batch(config, small_corpus, tmp_path, changes):
    tensors, losses = [], []
    optimizer = changes.get("optimizer", "adamw")
    changes = {name: value for name, value in changes.items() if name != "optimizer"}
    for parts in (1, 4):
        out = tmp_path / str(parts)
        train = {"accumulate": parts, "batch": 16, "log_every": 1, "optimizer": optimizer}
        pretrain(config(small_corpus, out, steps=3, train=train, **changes))
        tensors.append(read_tensors(out / "model.safetensors"))
        losses.append([line["loss"] for line in lines_of(out / "metrics.jsonl") if "loss" in line])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for name, value in tensors[0].items():
        # Sums in another order, through Adam, which divides small gradients by their own size.
        torch.testing.assert_close(tensors[1][name], value, atol=2e-4, rtol=1e-3)


@pytest.mark.processes
@pytest.mark.parametrize(("parts", "optimizer"), [(1, "adamw"), (2, "adamw"), (1, "muon")])
def test_two_processes_train_as_one_does(config, small_corpus, tmp_path, parts, optimizer):
    weight = 0.5
    settings = config(
        small_corpus,
        tmp_path / "two",
        steps=3,
        pairs=PairSettings(weight=weight),
        train={"accumulate": parts, "optimizer": optimizer},
    )
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(_plain(settings)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    command += ["audiomae", "pretrain", "--config", str(tmp_path / "run.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    again = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300
    )
    assert again.returncode == 0, again.stderr
    assert "was finished before; nothing to do" in again.stderr
    alone = {"optimizer": optimizer}
    pretrain(config(small_corpus, tmp_path / "one", steps=3, pairs=PairSettings(weight=weight), train=alone))
    one, two = (read_tensors(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-4, rtol=1e-3)
    assert {line["processes"] for line in lines_of(tmp_path / "two" / "speed.jsonl")} == {2}


def _plain(settings: PretrainSettings) -> dict:
    values = dataclasses.asdict(settings)
    return {key: value for key, value in values.items() if value is not None}


@pytest.mark.processes
def test_kill_nine_at_a_random_moment_loses_nothing(config, small_corpus, tmp_path):
    settings = config(small_corpus, tmp_path / "killed", steps=30)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(_plain(settings)))
    command = [sys.executable, "-m", "audiomae", "pretrain", "--config", str(tmp_path / "run.yaml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    started = time.monotonic()
    while not list((tmp_path / "killed").glob("checkpoints/step-*")) and time.monotonic() - started < 300:
        time.sleep(0.02)
    time.sleep(random.Random(5).uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    pretrain(settings)
    pretrain(config(small_corpus, tmp_path / "whole", steps=30))
    assert files_that_must_match(tmp_path / "killed") == files_that_must_match(tmp_path / "whole")


def test_other_settings_in_the_same_folder_are_refused(config, small_corpus, tmp_path):
    pretrain(config(small_corpus, tmp_path / "run", steps=2))
    with pytest.raises(
        FingerprintError,
        match=r"was begun with another steps \(.* → .*\), ratio \(.*\)\. Use the same settings",
    ):
        pretrain(config(small_corpus, tmp_path / "run", steps=3, ratio=0.6))


def test_a_cut_checkpoint_is_named(config, small_corpus, tmp_path):
    pretrain(config(small_corpus, tmp_path / "run", steps=2))
    weights = tmp_path / "run" / "checkpoints" / "step-00000002" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (tmp_path / "run" / "result.json").unlink()
    with pytest.raises(MissingError, match=r"step-00000002/model.safetensors: cannot be read"):
        pretrain(config(small_corpus, tmp_path / "run", steps=2))


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_checkpoint(
    config, small_corpus, tmp_path, monkeypatch
):
    loss = MaskedTask.loss
    calls = []

    def spoil(self, module, batch):
        calls.append(1)
        return {"loss": loss(self, module, batch)["loss"] * (float("nan") if len(calls) == 4 else 1.0)}

    monkeypatch.setattr(MaskedTask, "loss", spoil)
    with pytest.raises(
        DivergedError, match=r"step 4: loss is nan\. The last checkpoint is intact; use a lower"
    ):
        pretrain(config(small_corpus, tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]
    for name, value in read_tensors(tmp_path / "run/checkpoints/step-00000002/model.safetensors").items():
        assert bool(value.isfinite().all()), name


def test_a_full_disk_leaves_the_last_checkpoint_and_says_so(config, small_corpus, tmp_path, monkeypatch):
    from audiomae.training import checkpoint

    def full(path, tensors):
        if "step-00000004" in str(path):
            raise StorageError(f"{path}: cannot write (No space left on device).")
        write_tensors(path, tensors)

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(StorageError, match="No space left on device"):
        pretrain(config(small_corpus, tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]


@pytest.mark.processes
def test_terminate_saves_and_the_same_command_goes_on(config, small_corpus, tmp_path):
    slow = {"checkpoint_every": 1000, "evaluate_every": 1000}
    settings = config(small_corpus, tmp_path / "run", steps=150, train=slow)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(_plain(settings)))
    command = [sys.executable, "-m", "audiomae", "pretrain", "--config", str(tmp_path / "run.yaml")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    started = time.monotonic()
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() - started < 300:
        time.sleep(0.02)
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert "the same command goes on from there" in said
    saved = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert len(saved) == 1
    assert saved != ["step-00000150"]
    pretrain(settings)
    pretrain(config(small_corpus, tmp_path / "whole", steps=150, train=slow))
    assert files_that_must_match(tmp_path / "run") == files_that_must_match(tmp_path / "whole")


def test_minutes_end_a_run_by_the_clock(config, small_corpus, tmp_path):
    settings = config(small_corpus, tmp_path / "run", steps=None, minutes=0.02)
    settings = dataclasses.replace(settings, train=LoopSettings(batch=8, threads=1))
    started = time.monotonic()
    progress = Heard()
    result = pretrain(settings, progress=progress)
    assert 1.2 <= time.monotonic() - started < 300
    assert result.finished
    assert len(progress.shares) == result.steps >= 1
    assert progress.shares == sorted(progress.shares)
    assert progress.shares[-1] == 1.0


class Heard:
    """Keeps the shares that it is told of."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def stage(self, name, *, total, unit="", done=0):
        assert (name, total, unit) == ("pretrain", 1.0, "")
        assert 0 <= done < 0.5
        return contextlib.nullcontext(self)

    def update(self, done, note=""):  # noqa: ARG002
        self.shares.append(done)
