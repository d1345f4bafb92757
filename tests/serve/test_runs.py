"""Training runs as the page shows them."""

from __future__ import annotations

import json

import pytest

from audiomae.errors import MissingError
from audiomae.serve.runs import MOST_POINTS, find_runs, show_run


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "one"
    (folder / "pictures").mkdir(parents=True)
    (folder / "run.json").write_text(
        json.dumps({"format": "audiomae-run/1", "settings": {"train": {"steps": 4}}})
    )
    lines = [{"step": step, "loss": 1 / step} for step in range(1, 5)] + [{"step": 4, "held_out_loss": 0.5}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"step": 5, "lo')  # a run that is just writing
    (folder / "pictures" / "step-00000004.png").write_bytes(b"\x89PNG")
    (folder / "pictures" / "secret.png").symlink_to("/etc/hostname")
    return folder


def test_a_run_shows_its_curves_and_pictures(serve, run):
    client = serve(runs=str(run))
    assert [one["name"] for one in client.get("/api/runs").json()["runs"]] == ["one"]
    shown = client.get("/api/runs/one").json()
    assert [line["step"] for line in shown["metrics"]] == [1, 2, 3, 4]
    assert shown["held_out"] == [{"step": 4, "held_out_loss": 0.5}]
    assert shown["pictures"] == ["/api/runs/one/pictures/step-00000004.png"]
    assert (shown["settings"], shown["finished"], shown["result"]) == ({"train": {"steps": 4}}, False, None)
    assert client.get(shown["pictures"][0]).content == b"\x89PNG"


@pytest.mark.parametrize("name", ["secret.png", "..%2frun.json", "none.png", "step-00000004.png%00"])
def test_nothing_but_its_own_pictures_is_sent(serve, run, name):
    assert serve(runs=str(run)).get(f"/api/runs/one/pictures/{name}").status_code == 404


def test_an_unknown_run_and_a_folder_that_is_none(serve, run, tmp_path):
    assert (
        serve(runs=str(run)).get("/api/runs/two").json()["error"] == "run 'two' is not served; there are one."
    )
    with pytest.raises(MissingError, match="is no run folder"):
        find_runs(str(tmp_path))


def test_long_curves_are_thinned_and_keep_their_ends(run):
    with (run / "metrics.jsonl").open("w") as file:
        file.writelines(f'{{"step": {step}, "loss": 1}}\n' for step in range(5001))
    steps = [line["step"] for line in show_run(run, "one")["metrics"]]
    assert (len(steps), steps[0], steps[-1]) == (MOST_POINTS, 0, 5000)


def test_two_runs_of_one_name_get_that_of_their_folder_too(run, tmp_path):
    other = tmp_path / "other" / "one"
    other.mkdir(parents=True)
    (other / "run.json").write_text("{}")
    assert list(find_runs(f"{run},{other}")) == ["one", "other-one"]
