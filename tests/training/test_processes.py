"""Trainings on two real processes: weights in parts, killed, resumed at another number, started wrongly."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
import yaml

from audiomae.disk.tensors import read_tensors
from audiomae.model.config import ModelSettings
from audiomae.training.settings import LoopSettings
from audiomae.verbs.consolidate import ConsolidateSettings, consolidate
from audiomae.verbs.pretrain import PretrainSettings, pretrain

pytestmark = pytest.mark.processes

SHARDED = str(Path(__file__).with_name("sharded_run.py"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
SIZES = ModelSettings(width=32, depth=2, heads=2, decoder_width=32, decoder_depth=1, decoder_heads=2)


def settings(corpus: Path, out: Path, *, steps: int = 6, **train: object) -> PretrainSettings:
    loop = LoopSettings(**{"batch": 8, "threads": 1, "log_every": 1, "checkpoint_every": 2, **train})
    return PretrainSettings(corpus=str(corpus), out=str(out), steps=steps, model=SIZES, train=loop)


def arguments(config: PretrainSettings, folder: Path) -> list[str]:
    path = folder / f"{Path(config.out).name}.yaml"
    values = {name: value for name, value in dataclasses.asdict(config).items() if value is not None}
    path.write_text(yaml.safe_dump(values))
    return ["pretrain", "--config", str(path)]


def on_two(start: list[str], config: PretrainSettings, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TWO, *start, *arguments(config, folder)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=600,
    )


def unfinished(run: Path, name: str, step: int) -> Path:
    """A copy of a finished run, as it lay there when a checkpoint had just been written."""
    copy = run.with_name(name)
    shutil.copytree(run, copy)
    for later in copy.glob("checkpoints/step-*"):
        if later.name > f"step-{step:08d}":
            shutil.rmtree(later)
    for made in ("result.json", "model.safetensors", "config.json"):
        (copy / made).unlink()
    return copy


def largest_difference(one: Path, two: Path) -> float:
    first, second = (read_tensors(folder / "model.safetensors") for folder in (one, two))
    return max(float((value - second[name]).abs().max()) for name, value in first.items())


def test_weights_in_parts_train_as_whole_ones_and_go_on_at_another_number(small_corpus, tmp_path):
    sharded = settings(small_corpus, tmp_path / "sharded", sharding="fsdp")
    done = on_two([SHARDED], sharded, tmp_path)
    assert done.returncode == 0, done.stderr
    shards = tmp_path / "sharded/checkpoints/step-00000006/shards"
    assert len(list(shards.glob("*.safetensors"))) == 2
    pretrain(settings(small_corpus, tmp_path / "one"))
    # Sums in another order, through Adam, which divides small gradients by their own size.
    assert largest_difference(tmp_path / "one", tmp_path / "sharded") < 1e-3
    alone = unfinished(tmp_path / "sharded", "alone", 4)
    pretrain(settings(small_corpus, alone))
    assert largest_difference(alone, tmp_path / "sharded") < 1e-4
    from_whole = unfinished(tmp_path / "one", "from_whole", 4)
    again = on_two([SHARDED], dataclasses.replace(sharded, out=str(from_whole)), tmp_path)
    assert again.returncode == 0, again.stderr
    assert largest_difference(from_whole, tmp_path / "one") < 1e-4
    consolidate(ConsolidateSettings(str(tmp_path / "sharded"), str(small_corpus), str(tmp_path / "file")))
    for name, value in read_tensors(tmp_path / "sharded/model.safetensors").items():
        assert torch.equal(read_tensors(tmp_path / "file/model.safetensors")[name], value), name

    begun = unfinished(tmp_path / "sharded", "begun", 4)
    limited = tmp_path / "limited.py"
    limited.write_text(
        textwrap.dedent(f"""
        import os, resource, runpy, sys
        if os.environ["RANK"] == "1":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        runpy.run_path({SHARDED!r}, run_name="__main__")
        """)
    )
    full = on_two([str(limited)], dataclasses.replace(sharded, out=str(begun)), tmp_path)
    assert full.returncode != 0
    lines = [line for line in full.stderr.splitlines() if line.startswith("audiomae pretrain:")]
    assert len(lines) == 1
    assert "cannot write" in lines[0]
    assert "The last checkpoint is intact" in lines[0]
    assert sorted(path.name for path in (begun / "checkpoints").iterdir()) == ["step-00000004"]


def test_muon_moves_matrices_in_parts_as_it_moves_whole_ones(small_corpus, tmp_path):
    sharded = settings(small_corpus, tmp_path / "sharded", sharding="fsdp", optimizer="muon")
    done = on_two([SHARDED], sharded, tmp_path)
    assert done.returncode == 0, done.stderr
    pretrain(settings(small_corpus, tmp_path / "one", optimizer="muon"))
    # Sums in another order, through Adam, which divides small gradients by their own size.
    assert largest_difference(tmp_path / "one", tmp_path / "sharded") < 1e-3
    alone = unfinished(tmp_path / "sharded", "alone", 4)
    pretrain(settings(small_corpus, alone, optimizer="muon"))
    assert largest_difference(alone, tmp_path / "sharded") < 1e-4


def test_a_process_killed_ends_all_and_the_rest_is_as_if_nothing_had_happened(small_corpus, tmp_path):
    whole = settings(small_corpus, tmp_path / "whole", steps=80)
    assert on_two(["-m", "audiomae"], whole, tmp_path).returncode == 0
    killed = dataclasses.replace(whole, out=str(tmp_path / "killed"))
    process = subprocess.Popen(
        [*TWO, "-m", "audiomae", *arguments(killed, tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    started = time.monotonic()
    while not list((tmp_path / "killed").glob("checkpoints/step-*")) and time.monotonic() - started < 300:
        time.sleep(0.01)
    os.kill(rank_of(process.pid, 1), signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "audiomae pretrain: another of the 2 processes is gone. The last checkpoint is intact" in said
    assert not (tmp_path / "killed/result.json").exists()
    assert on_two(["-m", "audiomae"], killed, tmp_path).returncode == 0
    for name in ("metrics.jsonl", "model.safetensors", "result.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_processes_asked_to_end_save_and_go_on_from_there(small_corpus, tmp_path):
    config = settings(small_corpus, tmp_path / "asked", steps=100, checkpoint_every=1000)
    process = subprocess.Popen(
        [*TWO, "-m", "audiomae", *arguments(config, tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    written, started = tmp_path / "asked" / "metrics.jsonl", time.monotonic()
    while not (written.exists() and written.stat().st_size) and time.monotonic() - started < 300:
        time.sleep(0.01)
    ranks = [rank_of(process.pid, rank) for rank in (0, 1)]
    asked = time.monotonic()
    for rank in ranks:  # as a cluster's scheduler does
        os.kill(rank, signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode != 0, said
    assert time.monotonic() - asked < 30
    assert "the same command goes on from there" in said
    assert not (tmp_path / "asked" / "result.json").exists()
    (saved,) = (tmp_path / "asked" / "checkpoints").iterdir()
    assert 0 < int(saved.name.removeprefix("step-")) < 100
    assert on_two(["-m", "audiomae"], config, tmp_path).returncode == 0
    steps = [json.loads(line)["step"] for line in written.read_text().splitlines() if '"loss"' in line]
    assert steps == list(range(1, 101))


def rank_of(launcher: int, rank: int) -> int:
    """The process that a launcher started for a rank."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            given = (path / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if parent == launcher and f"RANK={rank}".encode() in given:
            return int(path.name)
    raise AssertionError("no such process")


def test_processes_started_with_different_settings_are_refused(small_corpus, tmp_path):
    script = tmp_path / "different.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys
        from audiomae.cli.main import leave, main
        extra = ["--ratio", "0.6"] if os.environ["RANK"] == "1" else []
        leave(main([*sys.argv[1:], *extra]))
        """)
    )
    done = on_two([str(script)], settings(small_corpus, tmp_path / "run"), tmp_path)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("audiomae pretrain:")]
    assert len(lines) == 1
    assert "process 1 of 2 was started with other settings or another corpus than process 0" in lines[0]
    assert not (tmp_path / "run").exists()
