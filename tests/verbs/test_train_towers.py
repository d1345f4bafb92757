"""From tables and vectors to a recommender folder."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from audiomae.cli.main import main
from audiomae.disk.files import read_json
from audiomae.disk.tensors import read_tensors
from audiomae.errors import ConfigError, DataError, FingerprintError
from audiomae.listening.content import write_content
from audiomae.listening.tables import TableSettings
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.folder import RecommenderFolder
from audiomae.recommend.serving.recommender import Recommender
from audiomae.recommend.splits import SplitSettings
from audiomae.recommend.towers import job
from audiomae.recommend.towers.features import FeatureSettings
from audiomae.recommend.towers.model import TowerModel
from audiomae.recommend.towers.negatives import NegativeSettings
from audiomae.recommend.towers.objective import ObjectiveSettings
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.recommend.towers.task import TowerTask
from audiomae.training.settings import LoopSettings
from audiomae.verbs.train_towers import TrainTowersSettings, train_towers

USERS, TRACKS = 30, 24
SHARDED = Path(__file__).resolve().parents[1] / "training" / "sharded_run.py"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Even users play even tracks, odd ones odd tracks, over a hundred days; two tracks have no vector."""
    folder, random = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    rows = [
        (f"u{user:02d}", f"t{2 * int(track) + user % 2:02d}")
        for user in range(USERS)
        for track in random.choice(TRACKS // 2 + 1, 9, replace=False)
    ]
    times = 1_500_000_000 + random.permutation(len(rows)) * 3600
    names = {"user_id": [row[0] for row in rows], "track_id": [row[1] for row in rows], "timestamp": times}
    pq.write_table(pa.table(names), folder / "interactions.parquet")
    users = {
        "user_id": [f"u{user:02d}" for user in range(USERS + 3)],
        "age": [20 + n for n in range(USERS + 3)],
    }
    pq.write_table(pa.table(users), folder / "users.parquet")
    tracks = [f"t{track:02d}" for track in range(TRACKS)]
    listed = pa.table({"track_id": tracks, "artist": [f"artist {n % 5}" for n in range(TRACKS)]})
    pq.write_table(listed, folder / "tracks.parquet")
    vectors = random.normal(size=(TRACKS, 6)).astype(np.float32)
    write_content(folder / "content.parquet", pa.table({"track_id": tracks}), vectors, "encoder-1")
    return folder


def config(tables: Path, out: Path, *, steps: int | None = 6, **changes) -> TrainTowersSettings:
    loop = {"batch": 32, "threads": 1, "log_every": 2, "evaluate_every": 4, "checkpoint_every": 2}
    loop |= changes.pop("train", {})
    names = [str(tables / f"{name}.parquet") for name in ("interactions", "users", "tracks")]
    settings = {
        "tables": TableSettings(*names),
        "split": SplitSettings(validation=0.15, test=0.15),
        "towers": TowerSettings(dim=8, hidden=16, longest=5),
        "negatives": NegativeSettings(extra=8, per_positive=4),
        "train": LoopSettings(**loop),
        **changes,
    }
    return TrainTowersSettings(str(tables / "content.parquet"), out=str(out), steps=steps, **settings)


def files_that_must_match(out: Path) -> dict[str, bytes]:
    names = ["towers/towers.safetensors", "towers/config.json", "towers/features.json", "metrics.jsonl"]
    names += ["recommender.json", "result.json", "tables/train.parquet", "catalogue/catalogue.json"]
    return {name: (out / name).read_bytes() for name in names}


def test_a_recommender_folder_holds_all_that_serves_and_judges_it(tables, tmp_path, caplog):
    caplog.set_level("INFO", "audiomae")
    result = train_towers(config(tables, tmp_path / "rec"))
    assert (result.recommender, result.steps, result.stopped_by) == (str(tmp_path / "rec"), 6, None)
    assert result.validation is not None
    assert result.validation.k == 20
    assert 0 < result.validation.ndcg < result.validation.recall <= 1
    assert "a list of 20 holds 83 % of the 24 songs" in result.validation.caution
    assert result.gamma == read_json(tmp_path / "rec" / "recommender.json")["gamma"]
    assert "2 of 26 played tracks have no vector" in caplog.text
    model = TowerModel.load(tmp_path / "rec" / "towers")
    catalogue = Catalogue.open(tmp_path / "rec" / "catalogue")
    assert len(catalogue) == TRACKS
    assert catalogue.items["artist"].to_pylist()[:2] == ["artist 0", "artist 1"]
    found = read_json(tmp_path / "rec" / "recommender.json", format="audiomae-recommender/1")
    assert found["scale"] == model.scale
    assert found["model_fingerprint"] == "encoder-1"
    assert found["counts"]["users"] == USERS + 3
    slices = [
        pq.read_table(tmp_path / "rec/tables" / f"{name}.parquet") for name in ("train", "validation", "test")
    ]
    newest, oldest = (
        [part["timestamp"].to_numpy() for part in slices[:2]],
        slices[2]["timestamp"].to_numpy().min(),
    )
    assert newest[0].max() < newest[1].min() <= newest[1].max() < oldest
    protocol = read_json(tmp_path / "rec/tables/protocol.json")
    assert protocol["tracks_without_vector"] == 2
    assert yaml.safe_load((tmp_path / "rec/train-towers.yaml").read_text())["steps"] == 6


def test_the_folder_recommends(tables, tmp_path):
    train_towers(config(tables, tmp_path / "rec"))
    Recommender.open(tmp_path / "rec")


def test_a_signal_ends_a_session_and_the_same_command_goes_on(tables, tmp_path, monkeypatch):
    draw = TowerTask.draw

    def interrupted(self, step, share):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, step, share)

    monkeypatch.setattr(TowerTask, "draw", interrupted)
    stopped = train_towers(config(tables, tmp_path / "rec"))
    assert stopped.stopped_by == signal.SIGTERM
    assert stopped.steps < 6
    monkeypatch.undo()
    done = train_towers(config(tables, tmp_path / "rec"))
    assert (done.steps, done.stopped_by) == (6, None)


@pytest.mark.parametrize("kind", ["mixed", "uniform"])
def test_a_run_killed_in_the_middle_ends_as_one_that_was_not(tables, tmp_path, power_cut, kind):
    settings = {"negatives": NegativeSettings(kind=kind, extra=8)}
    train_towers(config(tables, tmp_path / "whole", **settings))
    with power_cut(TowerTask, 5):
        train_towers(config(tables, tmp_path / "cut", **settings))
    assert not (tmp_path / "cut" / "recommender.json").exists()
    train_towers(config(tables, tmp_path / "cut", **settings))
    assert files_that_must_match(tmp_path / "cut") == files_that_must_match(tmp_path / "whole")


def test_a_run_killed_after_its_inverted_lists_has_the_catalogue_of_a_whole_one(
    tables, tmp_path, monkeypatch
):
    monkeypatch.setattr(job, "EXACT_BELOW", 10)
    train_towers(config(tables, tmp_path / "whole"))
    with monkeypatch.context() as patched:
        patched.delattr(RecommenderFolder, "write_meta")
        with pytest.raises(AttributeError, match="write_meta"):
            train_towers(config(tables, tmp_path / "cut"))
    assert Catalogue.open(tmp_path / "cut" / "catalogue").meta["index"]["recall"] >= 0.97
    train_towers(config(tables, tmp_path / "cut"))
    assert files_that_must_match(tmp_path / "cut") == files_that_must_match(tmp_path / "whole")


def test_running_a_finished_run_again_changes_nothing(tables, tmp_path, caplog):
    caplog.set_level("INFO", "audiomae")
    first = train_towers(config(tables, tmp_path / "rec"))
    before = files_that_must_match(tmp_path / "rec")
    assert train_towers(config(tables, tmp_path / "rec")) == first
    assert "was finished before; nothing to do" in caplog.text
    assert files_that_must_match(tmp_path / "rec") == before


def test_other_settings_or_tables_in_the_same_folder_are_refused(tables, tmp_path):
    train_towers(config(tables, tmp_path / "rec", steps=2))
    with pytest.raises(
        FingerprintError, match=r"was begun with another objective\..* → .*\)\. Use the same settings"
    ):
        train_towers(config(tables, tmp_path / "rec", steps=2, objective=ObjectiveSettings(loss="bce")))
    copy = tmp_path / "tables"
    copy.mkdir()
    for path in tables.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    plays = pq.read_table(copy / "interactions.parquet")
    pq.write_table(plays.slice(1), copy / "interactions.parquet")
    with pytest.raises(FingerprintError, match=r"was begun with another data_fingerprint"):
        train_towers(config(copy, tmp_path / "rec", steps=2))


def test_tables_may_move(tables, tmp_path, caplog):
    caplog.set_level("INFO", "audiomae")
    train_towers(config(tables, tmp_path / "rec", steps=2))
    copy = tmp_path / "moved"
    copy.mkdir()
    for path in tables.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    train_towers(config(copy, tmp_path / "rec", steps=2))
    assert "was finished before" in caplog.text


def test_interactions_of_other_tracks_are_refused(tables, tmp_path):
    names = [f"other-{number}" for number in range(3)]
    write_content(tmp_path / "content.parquet", pa.table({"track_id": names}), np.eye(3, dtype=np.float32))
    for name in ("interactions", "users", "tracks"):
        (tmp_path / f"{name}.parquet").write_bytes((tables / f"{name}.parquet").read_bytes())
    with pytest.raises(
        DataError, match=r"none of its 26 tracks is among the 3 of .*; 't00' is not like 'other-0'"
    ):
        train_towers(config(tmp_path, tmp_path / "rec"))


@pytest.mark.parametrize(("column", "name"), [("user_id", "user"), ("track_id", "track")])
def test_a_table_of_one_user_or_one_track_is_refused(tables, tmp_path, column, name):
    plays = pq.read_table(tables / "interactions.parquet")
    kept = plays.filter(pa.compute.equal(plays[column], plays[column][0]))
    for other in ("users", "tracks", "content"):
        (tmp_path / f"{other}.parquet").write_bytes((tables / f"{other}.parquet").read_bytes())
    pq.write_table(kept, tmp_path / "interactions.parquet")
    with pytest.raises(DataError, match=rf"plays of 1 {name}; towers learn by comparing"):
        train_towers(config(tmp_path, tmp_path / "rec"))


def test_a_batch_larger_than_the_data_says_what_fits(tables, tmp_path):
    with pytest.raises(ConfigError, match=r"train\.batch is 4096, but there are \d+ plays .* of 128 or less"):
        train_towers(config(tables, tmp_path / "rec", train={"batch": 4096}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 2.0}, "give one of --epochs, --steps and --minutes, not epochs and steps"),
        ({"steps": 0}, "steps is 0; it must be above 0"),
        ({"train": {"accumulate": 2}}, r"train\.accumulate is 2, but negatives come from the whole batch"),
        (
            {"steps": None, "minutes": 1.0, "negatives": NegativeSettings(kind="hard")},
            "hard negatives begin after a share of the steps",
        ),
        (
            {"objective": ObjectiveSettings(loss="siglip"), "negatives": NegativeSettings(kind="mixed")},
            r"siglip cannot take negatives of kind mixed: use --negatives\.kind in_batch\.",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(tables, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        config(tables, tmp_path / "rec", **changes)


def test_without_a_length_small_tables_get_some_steps_all_the_same():
    settings = TrainTowersSettings("content", TableSettings("plays"))
    assert settings.length(100).steps == 200
    assert settings.length(1_000_000).steps == 2930
    assert TrainTowersSettings("content", TableSettings("plays"), epochs=1.0).length(100).steps == 1


def test_a_split_without_validation_takes_the_prior_as_it_is(tables, tmp_path, caplog):
    caplog.set_level("INFO", "audiomae")
    result = train_towers(
        config(tables, tmp_path / "rec", split=SplitSettings(kind="none"), features=FeatureSettings())
    )
    assert "no validation slice: gamma is 1.0" in caplog.text
    assert (result.gamma, result.validation) == (1.0, None)
    assert read_json(tmp_path / "rec" / "recommender.json")["gamma"] == 1.0


def test_content_that_is_not_there_is_one_line_and_exit_1(tables, tmp_path, capsys):
    given = ["--tables.interactions", str(tables / "interactions.parquet"), "--out", str(tmp_path / "rec")]
    assert main(["train-towers", str(tmp_path / "nothing"), *given]) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert "nothing: no such file or folder" in said


@pytest.mark.processes
@pytest.mark.parametrize("sharding", ["launcher", "fsdp"])
def test_two_processes_train_towers_as_one_does(tables, tmp_path, sharding):
    """With fsdp, weights and moments lie in parts on the two."""
    start = ["-m", "audiomae"] if sharding == "launcher" else [str(SHARDED)]
    two = config(tables, tmp_path / "two", train={"sharding": sharding})
    given = {name: value for name, value in dataclasses.asdict(two).items() if value is not None}
    given["content"], where = str(tables / "content.parquet"), tmp_path / "two.yaml"
    where.write_text(yaml.safe_dump(json.loads(json.dumps(given))))
    words = ["train-towers", given.pop("content"), "--config", str(where)]
    where.write_text(yaml.safe_dump(json.loads(json.dumps(given))))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, *start, *words], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    train_towers(config(tables, tmp_path / "one"))
    shards = list((tmp_path / "two/checkpoints").glob("step-*/shards/*.safetensors"))
    assert len(shards) == (0 if sharding == "launcher" else 4)
    one, other = (read_tensors(tmp_path / name / "towers/towers.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        # Sums in another order, through Adam, which divides small gradients by their own size.
        torch.testing.assert_close(other[name], value, atol=2e-3, rtol=1e-2)
