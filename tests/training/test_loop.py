"""The training loop with a task of its own: a line fitted to points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from audiomae.disk.tensors import read_tensors
from audiomae.errors import FingerprintError
from audiomae.training import loop
from audiomae.training.loop import Outcome, train
from audiomae.training.processes import make_accelerator
from audiomae.training.settings import Length, LoopSettings


class Line:
    """Fits y = 3 x; every draw is a function of the step."""

    def __init__(self) -> None:
        self.module: nn.Module = nn.Linear(1, 1)
        nn.init.zeros_(self.module.weight)
        nn.init.zeros_(self.module.bias)
        self.judged: list[int] = []

    def units(self) -> list[nn.Module]:
        return []

    def draw(self, step: int, share: slice) -> tuple[Tensor, ...]:
        points = torch.randn(8, 1, generator=torch.Generator().manual_seed(step))[share]
        return points, 3 * points

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return {"loss": (module(batch[0]) - batch[1]).square().mean()}

    def evaluate(self, module: nn.Module, step: int) -> dict[str, float]:
        self.judged.append(step)
        return {"slope": float(module.weight)}


CONFIG = LoopSettings(
    batch=8, learning_rate=0.1, log_every=3, evaluate_every=4, checkpoint_every=5, threads=1
)


def fit(task: Line, folder: Path, length: Length, *, identity: str = "a line") -> Outcome:
    return train(task, length, CONFIG, folder, make_accelerator(CONFIG), identity, label="fit", unit="points")


def test_training_fits_the_line(tmp_path):
    outcome = fit(Line(), tmp_path, Length(steps=60))
    assert (outcome.steps, outcome.finished) == (60, True)
    assert outcome.metrics["slope"] == pytest.approx(3, abs=0.3)


def test_what_is_written_has_the_steps_that_were_asked_for(tmp_path):
    task = Line()
    fit(task, tmp_path, Length(steps=10))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [3, 4, 5, 6, 8, 9, 10]
    assert [line["step"] for line in lines if "slope" in line] == [4, 8, 10]
    assert task.judged == [4, 8, 10]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000005",
        "step-00000010",
    ]


def test_a_run_killed_after_its_last_checkpoint_is_not_judged_again(tmp_path):
    first = fit(Line(), tmp_path, Length(steps=10))
    written = (tmp_path / "metrics.jsonl").read_bytes()
    task = Line()
    again = fit(task, tmp_path, Length(steps=10))
    assert again == first
    assert task.judged == []
    assert (tmp_path / "metrics.jsonl").read_bytes() == written


def test_a_run_killed_between_its_last_look_and_its_end_writes_that_look_once(tmp_path, monkeypatch):
    fit(Line(), tmp_path / "whole", Length(steps=10))
    save = loop.save_checkpoint

    def die_at_the_end(folder, step, module, optimizer, state):
        if state["judged"]:
            raise RuntimeError("power cut")
        return save(folder, step, module, optimizer, state)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_checkpoint", die_at_the_end)
        with pytest.raises(RuntimeError, match="power cut"):
            fit(Line(), tmp_path / "cut", Length(steps=10))
    fit(Line(), tmp_path / "cut", Length(steps=10))
    cut, whole = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("cut", "whole"))
    assert cut == whole


def test_a_checkpoint_of_a_run_with_other_settings_is_refused(tmp_path):
    fit(Line(), tmp_path, Length(steps=5))
    with pytest.raises(FingerprintError, match=r"step-00000005: is of a run with other settings"):
        fit(Line(), tmp_path, Length(steps=5), identity="another line")


@pytest.mark.processes
def test_two_processes_stop_at_the_same_step_when_the_clock_decides(tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(
        textwrap.dedent(f"""
        import importlib.util, os
        from pathlib import Path
        from audiomae.cli.main import leave
        from audiomae.disk.tensors import write_tensors
        spec = importlib.util.spec_from_file_location("loop_tests", {str(Path(__file__))!r})
        tests = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tests)
        rank = os.environ["RANK"]
        task = tests.Line()
        folder = Path({str(tmp_path)!r})
        outcome = tests.fit(task, folder / "run", tests.Length(minutes=0.01))
        write_tensors(folder / f"rank-{{rank}}.safetensors", task.module.state_dict())
        (folder / f"rank-{{rank}}.txt").write_text(str(outcome.steps))
        leave(0)
        """)
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        str(script),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300
    )
    assert done.returncode == 0, done.stderr
    steps = {(tmp_path / f"rank-{rank}.txt").read_text() for rank in (0, 1)}
    assert len(steps) == 1
    one, two = (read_tensors(tmp_path / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(two[name], value) for name, value in one.items())
