"""What a training writes down, and what a resumed one drops of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from audiomae.errors import StorageError
from audiomae.training.records import Records


def lines(folder: Path, name: str = "metrics") -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_each_line_holds_its_step_and_its_values_in_order_of_their_names(tmp_path):
    records = Records(tmp_path, 0)
    records.write("metrics", 20, {"loss": 0.5, "gradient_norm": 2.0})
    records.write("speed", 20, {"clips_per_second": 9.0})
    records.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 20, "gradient_norm": 2.0, "loss": 0.5}\n'
    assert lines(tmp_path, "speed") == [{"step": 20, "clips_per_second": 9.0}]


def test_tensorboard_shows_the_same_values(tmp_path):
    records = Records(tmp_path, 0)
    for step in (10, 20):
        records.write("metrics", step, {"loss": 1 / step})
    records.close()
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [(event.step, event.value) for event in board.Scalars("loss")] == [
        (10, pytest.approx(0.1)),
        (20, pytest.approx(0.05)),
    ]


def test_lines_beyond_the_checkpoint_are_dropped(tmp_path):
    first = Records(tmp_path, 0)
    for step in (10, 20, 20, 30):
        first.write("metrics", step, {"loss": float(step)})
        first.write("speed", step, {"clips_per_second": 1.0})
    first.close()
    again = Records(tmp_path, 20)
    again.write("metrics", 25, {"loss": 25.0})
    again.close()
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 20, 25]
    assert [line["step"] for line in lines(tmp_path, "speed")] == [10, 20, 20]


def test_a_run_begun_again_starts_with_no_lines(tmp_path):
    first = Records(tmp_path, 0)
    first.write("metrics", 5, {"loss": 1.0})
    first.close()
    Records(tmp_path, 0).close()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_line_cut_in_the_middle_is_dropped(tmp_path):
    whole = '{"step": 10, "loss": 1.0}\n{"step": 20, "loss": 0.5}\n'
    (tmp_path / "metrics.jsonl").write_text(whole + '{"step": 30, "lo')
    Records(tmp_path, 40).close()
    assert (tmp_path / "metrics.jsonl").read_text() == whole


def test_a_last_line_without_its_end_is_mended(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "loss": 1.0}')
    records = Records(tmp_path, 10)
    records.write("metrics", 20, {"loss": 0.5})
    records.close()
    assert [line["step"] for line in lines(tmp_path)] == [10, 20]


def test_a_kill_while_lines_are_dropped_loses_none_that_count(tmp_path, monkeypatch):
    text = '{"step": 10, "loss": 1.0}\n{"step": 20, "loss": 0.5}\n'
    (tmp_path / "metrics.jsonl").write_text(text)
    replace = Path.replace

    def die(self: Path, target: Path) -> Path:
        if Path(target).name == "metrics.jsonl":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        Records(tmp_path, 10)
    assert (tmp_path / "metrics.jsonl").read_text() == text


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    records = Records(tmp_path, 0)
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"cannot write metrics .*The last checkpoint is intact"):
        records.write("metrics", 1, {"loss": 1.0})
    records.close()
