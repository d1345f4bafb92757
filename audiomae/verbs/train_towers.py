"""vectors + tables of plays → recommender: two towers, a catalogue, and all that serves and judges them."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator

from audiomae.cautions import caution_of
from audiomae.checks import require
from audiomae.disk.files import read_json, write_json
from audiomae.errors import ConfigError
from audiomae.listening.content import Content
from audiomae.listening.tables import TableSettings
from audiomae.progress import SILENT, Progress
from audiomae.recommend.splits import SplitSettings
from audiomae.recommend.towers.audio import AudioSettings, AudioTask, load_encoder, save_encoder
from audiomae.recommend.towers.check import K
from audiomae.recommend.towers.features import FeatureSettings
from audiomae.recommend.towers.job import DEFAULT_GAMMA, TowerData, read_data, write_recommender
from audiomae.recommend.towers.losses.registry import LOSSES
from audiomae.recommend.towers.negatives import NegativeSettings
from audiomae.recommend.towers.objective import ObjectiveSettings, make_towers
from audiomae.recommend.towers.settings import TowerSettings
from audiomae.recommend.towers.task import TowerTask
from audiomae.recommend.towers.training_plays import TrainingPlays
from audiomae.training.gather import gather_rows
from audiomae.training.loop import Outcome, train
from audiomae.training.processes import make_accelerator, set_threads
from audiomae.training.ranks import fail_together, is_sharded, refuse_differences
from audiomae.training.runs import held_run, identify
from audiomae.training.settings import Length, LoopSettings

__all__ = ["TowerScores", "TrainTowersResult", "TrainTowersSettings", "train_towers"]

LOG = logging.getLogger(__name__)

DEFAULT_EPOCHS, LEAST_STEPS = 3.0, 200
"""Without --epochs, --steps or --minutes; more made warm items worse on HetRec Last.fm and MovieLens 100k."""


def _loop() -> LoopSettings:
    return LoopSettings(
        batch=1024,
        learning_rate=3e-3,
        weight_decay=1.0,
        beta2=0.99,
        log_every=50,
        evaluate_every=1000,
        checkpoint_every=1000,
    )


@dataclass(frozen=True)
class TrainTowersSettings:
    """Settings of `audiomae train-towers`.

    Attributes:
        content: Vectors of the tracks: a folder made by `audiomae export`, or Parquet with track_id and vector.
        tables: Interactions, users and tracks.
        split: Which plays are trained on, tune and judge.
        features: How the columns of the users' table are read.
        towers: Sizes and parts of the towers.
        objective: Loss, popularity and temperature.
        negatives: What a play is told apart from.
        audio: Train the audio encoder with the towers; cached vectors without.
        out: Recommender folder to write; the same command goes on with what lies there.
        epochs: Times that every play is seen. Without steps and minutes too: 3, but 200 steps at least.
        steps: Optimiser steps to train instead.
        minutes: Wall-clock minutes to train instead.
        resume: auto goes on with a run that lies in the folder; never refuses such a folder.
        judged_users: Users of the validation slice that are judged, at most.
        train: How fast and how carefully to train; batch counts plays.
    """

    content: str
    tables: TableSettings
    split: SplitSettings = field(default_factory=SplitSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    towers: TowerSettings = field(default_factory=TowerSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    negatives: NegativeSettings = field(default_factory=NegativeSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    out: str = "rec"
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    resume: Literal["auto", "never"] = "auto"
    judged_users: int = 1000
    train: LoopSettings = field(default_factory=_loop)

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        given = [name for name in ("epochs", "steps", "minutes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"give one of --epochs, --steps and --minutes, not {' and '.join(given)}.")
        for name in given:
            require(name, getattr(self, name), above=0)
        require("judged_users", self.judged_users, least=1)
        require("train.batch", self.train.batch, least=2, unit="plays, as towers learn by comparing them")
        if self.negatives.kind != "uniform" and self.train.accumulate > 1:
            raise ConfigError(
                f"train.accumulate is {self.train.accumulate}, but negatives come from the whole batch. Use "
                "--train.accumulate 1, or --negatives.kind uniform."
            )
        if self.negatives.kind == "hard" and self.minutes is not None:
            raise ConfigError("hard negatives begin after a share of the steps: give --steps or --epochs.")
        kinds = LOSSES[self.objective.loss].negatives
        if self.negatives.kind not in kinds:
            raise ConfigError(
                f"{self.objective.loss} cannot take negatives of kind {self.negatives.kind}: use --negatives.kind "
                f"{' or '.join(kinds)}."
            )
        if self.audio.on and self.towers.attention_clips:
            raise ConfigError(
                "attention pools cached clips: give --audio.corpus or --towers.attention_clips."
            )
        if self.audio.on and self.negatives.kind != "in_batch":
            raise ConfigError(
                "with the audio encoder in training, negatives are what the others of the batch played: use "
                "--negatives.kind in_batch."
            )

    def length(self, plays: int) -> Length:
        """How long to train on a number of plays."""
        if self.minutes is not None:
            return Length(minutes=self.minutes)
        if self.steps is not None:
            return Length(steps=self.steps)
        steps = math.ceil((self.epochs or DEFAULT_EPOCHS) * plays / self.train.batch)
        return Length(steps=max(steps, 1 if self.epochs else LEAST_STEPS))


@dataclass(frozen=True)
class TowerScores:
    """How well the towers find the plays of the validation slice.

    Attributes:
        k: Length of the lists that are judged.
        recall: Share of a user's new tracks that their list holds; mean over the users.
        ndcg: The same with a discount for low places.
        users: Users judged.
        caution: Why the scores decide nothing, in a sentence; empty where they may.
    """

    k: int
    recall: float
    ndcg: float
    users: int
    caution: str = ""


@dataclass(frozen=True)
class TrainTowersResult:
    """How a training ended.

    Attributes:
        recommender: Folder of the recommender.
        steps: Optimiser steps made, all sessions together.
        gamma: Weight of popularity in a score.
        validation: Scores on the validation slice; None where it is empty, or nothing was judged yet.
        stopped_by: Number of the signal that ended this session early (the same command goes on from there); None
            where the recommender is finished.
    """

    recommender: str
    steps: int
    gamma: float
    validation: TowerScores | None
    stopped_by: int | None = None


def train_towers(settings: TrainTowersSettings, *, progress: Progress = SILENT) -> TrainTowersResult:
    """Train, and leave a recommender folder. Every process of a training gets the same result.

    Raises:
        ConfigError: If settings do not fit together.
        DataError: If the tables hold nothing to learn from.
        FingerprintError: If the folder was begun with other settings or tables.
        DivergedError: If the loss is not a number.
    """
    accelerator, out = make_accelerator(settings.train), Path(settings.out)
    set_threads(settings.train.threads, accelerator.num_processes)
    with fail_together(accelerator):
        content = Content.open(settings.content)
        data = read_data(content, settings.tables, settings.split, settings.features, settings.towers)
        identity, kept = _identity(settings, data)
    refuse_differences(accelerator, identity)
    given, resume = dataclasses.asdict(settings), settings.resume == "auto"
    with held_run(out, accelerator, identity, kept, given, "train-towers", resume=resume) as needed:
        if not needed:
            said = read_json(out / "result.json")
            return _result(settings, data, int(said["steps"]), said, None)
        outcome = _run(settings, data, out, accelerator, identity, progress)
    return _result(settings, data, outcome.steps, outcome.metrics, outcome.stopped_by)


def _result(
    settings: TrainTowersSettings,
    data: TowerData,
    steps: int,
    found: Mapping[str, Any],
    stopped_by: int | None,
) -> TrainTowersResult:
    separate = settings.objective.popularity == "separate"
    gamma = float(found.get("gamma", DEFAULT_GAMMA)) if separate else 0.0
    scores = None
    if "validation_users" in found:
        recall, ndcg = (float(found[f"validation_{name}@{K}"]) for name in ("recall", "ndcg"))
        users = int(found["validation_users"])
        caution = caution_of(users, "users", k=K, candidates=len(data.content))
        scores = TowerScores(K, recall, ndcg, users, caution)
    return TrainTowersResult(settings.out, steps, gamma, scores, stopped_by)


def _identity(config: TrainTowersSettings, data: TowerData) -> tuple[str, dict[str, Any]]:
    settings = {**dataclasses.asdict(config), "data_fingerprint": data.fingerprint}
    for name in ("interactions", "users", "tracks"):
        del settings["tables"][name]
    return identify(settings, without=("content", "out", "resume"))


def _run(
    config: TrainTowersSettings,
    data: TowerData,
    out: Path,
    accelerator: Accelerator,
    identity: str,
    progress: Progress,
) -> Outcome:
    loop, objective = config.train, config.objective
    length = config.length(len(TrainingPlays.of(data.split.train)))
    check = data.check(objective.popularity, config.judged_users)
    settings: dict[str, Any] = {
        "batch": loop.batch,
        "seed": loop.seed,
        "hard_after": round(config.negatives.warmup * (length.steps or 0)),
        "clips": data.clips,
        "gather": gather_rows,
        "judge": check,
    }
    task = _task(config, data, settings)
    outcome = train(
        task, length, loop, out, accelerator, identity, progress=progress, label="train-towers", unit="plays"
    )
    if accelerator.is_main_process and outcome.finished:
        if is_sharded(accelerator):
            task = _task(config, data, settings)  # whole: the trained one lies in parts on the processes
        task.module.load_state_dict(outcome.weights)
        towers = task.towers
        final = data.content
        if isinstance(task, AudioTask):
            final = save_encoder(task, data.content, out)
            metrics = {**outcome.metrics, **check(towers, torch.from_numpy(final.vectors))}
            outcome = outcome._replace(metrics=metrics)
        said = write_recommender(out, data, towers, final, objective.popularity, outcome.metrics)
        if not data.split.validation.users.size and objective.popularity == "separate":
            LOG.info("no validation slice: gamma is %s.", said["gamma"])
        result = {"format": "audiomae-result/1", "steps": outcome.steps, "protocol": data.about}
        write_json(out / "result.json", {**result, **outcome.metrics})
    return outcome


def _task(config: TrainTowersSettings, data: TowerData, settings: dict[str, Any]) -> TowerTask:
    """Return the towers with their first weights, and their data; with the audio encoder where it learns too."""
    encoder = load_encoder(config.audio, data.content, config.train.seed) if config.audio.on else None
    content = torch.from_numpy(data.content.vectors if encoder is None else encoder.first_vectors())
    towers = make_towers(
        data.features,
        content,
        len(data.trained),
        config.towers,
        config.objective,
        config.negatives.count(config.train.batch),
        config.train.seed,
    )
    given = (content, data.split.train, data.encoded, data.ids, config.objective, config.negatives)
    if encoder is None:
        return TowerTask(towers, *given, **settings)
    return AudioTask(encoder, towers, *given, **settings)
