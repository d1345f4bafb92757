"""What `audiomae pretrain` says, and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from audiomae.cli.main import main
from audiomae.cli.pretrain import show, status
from audiomae.pretraining.trained import HeldOutScores
from audiomae.training.profile import PHASES, ProfileResult
from audiomae.verbs.pretrain import PretrainResult

DONE = PretrainResult("run", 2000, True, metrics=HeldOutScores(0.6612, 0.8412, 0.9911))


def test_a_finished_run_is_told_in_sentences(capsys):
    assert show(DONE) == 0
    said = capsys.readouterr().out
    assert "2,000 steps trained; the model is in run." in said
    assert (
        "its error is 0.661; guessing the nearest visible patch gives 0.841, each place's mean 0.991" in said
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_ends_with_the_status_of_its_signal(capsys, number, code):
    stopped = PretrainResult("run", 7, stopped_by=int(number))
    assert (show(stopped), status(stopped)) == (code, code)
    assert capsys.readouterr().out == ""


def test_a_profile_is_a_table_and_two_sentences(capsys):
    profile = ProfileResult(
        steps=2,
        batch=8,
        processes=1,
        precision="fp32",
        seconds=dict.fromkeys(PHASES, 0.01),
        step_seconds=0.05,
        samples_per_second=160.0,
        flops=2e9,
        flops_per_second=4e10,
        peak=8e10,
        share_of_peak=0.5,
    )
    assert show(PretrainResult("run", profile=profile)) == 0
    said = capsys.readouterr().out
    for word in (
        *PHASES,
        "2 steps of 8 clips, one process",
        "whole step",
        "160.0 clips/s at 40.0 GFLOP/s",
        "50.0%",
    ):
        assert word in said


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("begun", [False, True])
def test_a_signal_before_the_first_step_is_no_success(small_corpus, tmp_path, number, begun):
    """While Python still reads its modules, and as soon as the run folder is there."""
    run = tmp_path / "run"
    words = [sys.executable, "-m", "audiomae", "pretrain", "--corpus", str(small_corpus), "--out", str(run)]
    process = subprocess.Popen(
        [*words, "--steps", "100000", "--train.threads", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    started = time.monotonic()
    while begun and not (run / "run.json").exists() and time.monotonic() - started < 300:
        time.sleep(0.01)
    if not begun:
        time.sleep(0.3)
    process.send_signal(number)
    # A shell reads a death by a signal as 128 + its number too.
    assert process.wait(timeout=300) in (128 + number, -number)
    assert not (run / "result.json").exists()


def test_the_result_is_json_where_that_is_asked_for(small_corpus, tmp_path, capsys):
    words = ["pretrain", "--corpus", str(small_corpus), "--out", str(tmp_path / "run"), "--steps", "1"]
    words += ["--train.batch", "4", "--train.threads", "1", "--model.depth", "1", "--model.width", "32"]
    assert main([*words, "--model.heads", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["finished"], found["stopped_by"]) == (1, True, None)
    assert 0 < found["metrics"]["held_out_loss"] < 5
