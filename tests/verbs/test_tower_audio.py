"""Towers trained through the audio encoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import audiomae
from audiomae.disk.files import read_json
from audiomae.disk.tensors import read_tensors
from audiomae.errors import ConfigError, DataError
from audiomae.listening.content import write_content
from audiomae.listening.tables import TableSettings
from audiomae.recommend.splits import SplitSettings
from audiomae.recommend.towers.audio import AudioSettings, AudioTask
from audiomae.recommend.towers.negatives import NegativeSettings
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.training.settings import LoopSettings
from audiomae.verbs.train_towers import TrainTowersSettings, train_towers

TRACKS = [f"song-{number}" for number in range(6)]


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve users with three of the six songs each, and vectors of no use."""
    folder, random = tmp_path_factory.mktemp("plays"), np.random.default_rng(0)
    rows = [(f"u{user:02d}", TRACKS[track]) for user in range(12) for track in random.permutation(6)[:4]]
    times = 1_500_000_000 + random.permutation(len(rows)) * 100
    names = {"user_id": [row[0] for row in rows], "track_id": [row[1] for row in rows], "timestamp": times}
    pq.write_table(pa.table(names), folder / "interactions.parquet")
    vectors = random.normal(size=(6, 480)).astype(np.float32)
    write_content(folder / "content.parquet", pa.table({"track_id": TRACKS}), vectors)
    return folder


def config(plays: Path, out: Path, audio: AudioSettings, **changes) -> TrainTowersSettings:
    loop = {"batch": 8, "threads": 1, "log_every": 1, "evaluate_every": 100, "checkpoint_every": 2}
    settings = {
        "split": SplitSettings(validation=0.1, test=0.1),
        "towers": TowerSettings(dim=8, hidden=16, longest=3),
        "negatives": NegativeSettings(kind="in_batch"),
        "train": LoopSettings(**loop),
        "steps": 4,
        **changes,
    }
    tables = TableSettings(str(plays / "interactions.parquet"))
    return TrainTowersSettings(str(plays / "content.parquet"), tables, audio=audio, out=str(out), **settings)


@pytest.mark.parametrize(("start", "blocks"), [("model", 1), ("model", 0), ("scratch", 0)])
def test_the_blocks_asked_for_are_trained_and_no_other(
    plays, small_corpus, tiny_model, tmp_path, start, blocks
):
    audio = AudioSettings(str(small_corpus), str(tiny_model), start=start, blocks=blocks)
    train_towers(config(plays, tmp_path / "rec", audio))
    before = read_tensors(tiny_model / "model.safetensors")
    after = read_tensors(tmp_path / "rec/encoder/model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    if start == "model":
        prefixes = {name.split(".blocks.")[-1].split(".")[0] for name in changed if ".blocks." in name}
        assert {name for name in prefixes if name.isdigit()} >= {"1"}
        assert any(name.startswith("encoder.blocks.0") for name in changed) == (blocks == 0)
        assert not any(name.startswith("decoder") for name in changed)
    encoder = audiomae.load(tmp_path / "rec" / "encoder")
    made = read_json(tmp_path / "rec/vectors/vectors.json")
    assert made["model_fingerprint"] == encoder.fingerprint
    said = read_json(tmp_path / "rec/recommender.json")
    assert said["model_fingerprint"] is not None
    assert said["counts"]["tracks"] == 6


def test_a_run_killed_in_the_middle_ends_as_one_that_was_not(
    plays, small_corpus, tiny_model, tmp_path, power_cut
):
    audio = AudioSettings(str(small_corpus), str(tiny_model), blocks=1)
    train_towers(config(plays, tmp_path / "whole", audio))
    with power_cut(AudioTask, 3):
        train_towers(config(plays, tmp_path / "cut", audio))
    train_towers(config(plays, tmp_path / "cut", audio))
    for name in ("encoder/model.safetensors", "towers/towers.safetensors", "recommender.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_track_that_is_not_in_the_corpus_is_named(plays, small_corpus, tiny_model, tmp_path):
    names = [*TRACKS, "song-unheard"]
    write_content(tmp_path / "content.parquet", pa.table({"track_id": names}), np.eye(7, dtype=np.float32))
    audio = AudioSettings(str(small_corpus), str(tiny_model))
    settings = dataclasses.replace(
        config(plays, tmp_path / "rec", audio), content=str(tmp_path / "content.parquet")
    )
    with pytest.raises(
        DataError, match=r"1 of 7 tracks of the content are not in the corpus, such as 'song-unheard'"
    ):
        train_towers(settings)


def test_settings_that_do_not_fit_are_refused(plays, tmp_path):
    with pytest.raises(ConfigError, match=r"give --audio\.corpus corpus/ and --audio\.model run/"):
        AudioSettings("corpus")
    with pytest.raises(ConfigError, match=r"all blocks below the last 2 would stay random"):
        AudioSettings("corpus", "run", start="scratch")
    with pytest.raises(ConfigError, match=r"use --negatives\.kind in_batch"):
        config(plays, tmp_path, AudioSettings("corpus", "run"), negatives=NegativeSettings())
