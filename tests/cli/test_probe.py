from __future__ import annotations

import json

import pytest

from audiomae.cli.main import main
from audiomae.cli.probe import show
from audiomae.probing.judge import TaskResult
from audiomae.probing.measures import Score
from audiomae.verbs.probe import ProbeResult


def result() -> ProbeResult:
    others = ("mel statistics", "untrained encoder")
    scores = {
        "model": {"linear": Score(0.6234, 0.55, 0.70), "knn": Score(0.5, 0.4, 0.6)},
        "mel statistics": {"linear": Score(0.5, 0.4, 0.6), "knn": Score(0.6, 0.5, 0.7)},
        "untrained encoder": {"linear": Score(0.3, 0.2, 0.4), "knn": Score(0.2, 0.1, 0.3)},
    }
    leads = {
        "mel statistics": {"linear": Score(0.1234, 0.01, 0.2), "knn": Score(-0.1, -0.2, 0.1)},
        "untrained encoder": {"linear": Score(0.3, 0.2, 0.4), "knn": Score(0.3, 0.2, 0.4)},
    }
    assert set(others) == set(leads)
    task = TaskResult("classes", 30, 3, 10, scores, leads, 5, "drawn", 0.4)
    return ProbeResult({"composer": task}, {})


def test_each_row_is_a_measure_with_chance_beside_it(capsys):
    show(result())
    lines = capsys.readouterr().out.splitlines()
    linear = next(line for line in lines if "linear" in line)
    cells = ("composer", "0.623 [0.55–0.70]", "0.500 [0.40–0.60]", "0.300 [0.20–0.40]", "0.400")
    assert [cell for cell in cells if cell not in linear] == []


def test_a_sentence_counts_where_the_model_is_ahead_beyond_chance(capsys):
    show(result())
    out = capsys.readouterr().out
    assert "The model is ahead of mel statistics in 1 of 2 rows and behind in 0, by more than chance" in out
    assert "The model is ahead of untrained encoder in 2 of 2 rows and behind in 0" in out


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_a_table_or_json_by_names(tiny_model, tones, tmp_path, capsys, as_json):
    rows = [f"{tones}/tone-{number}.wav,pitch_track,x,p{number // 2}" for number in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,task,label,track", *rows]) + "\n")
    command = ["probe", str(tiny_model), "--labels", str(tmp_path / "labels.csv"), "--bootstrap", "0"]
    assert main([*command, "--threads", "1", *["--json"][: int(as_json)]]) == 0
    out = capsys.readouterr().out
    if as_json:
        task = json.loads(out)["tasks"]["pitch_track"]
        assert task["scores"]["model"]["rank1"] == {"score": 1.0, "low": 1.0, "high": 1.0}
        return
    assert any("pitch_track" in line and "rank1" in line and "1.000" in line for line in out.splitlines())
