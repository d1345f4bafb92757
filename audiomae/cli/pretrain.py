"""corpus → model: train a masked autoencoder on random short clips."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor

from audiomae.cli.profile_pretrain import print_profile
from audiomae.corpus.clips import split_tracks
from audiomae.corpus.corpus import Corpus
from audiomae.disk.files import write_json
from audiomae.errors import ConfigError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.model.embedder import Embedder, save
from audiomae.model.masking import MaskKind
from audiomae.model.pooling import Pool
from audiomae.pretraining.augmentation import AugmentSettings
from audiomae.pretraining.first_weights import copy_weights, open_first
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.pretraining.task import MaskedTask
from audiomae.training.loop import Outcome, train
from audiomae.training.processes import make_accelerator, set_threads
from audiomae.training.profile import profile_steps
from audiomae.training.ranks import fail_together, name_lost_peers, refuse_differences
from audiomae.training.runs import held_run, identify
from audiomae.training.settings import Length, LoopSettings

__all__ = ["PretrainSettings", "embedder_of", "pretrain", "with_projection"]

Size = Literal["tiny", "small", "base", "large"]


def _loop() -> LoopSettings:
    return LoopSettings(optimizer="muon")


@dataclass(frozen=True)
class PretrainSettings:
    """Settings of `audiomae pretrain`.

    Attributes:
        corpus: Folder made by `audiomae prepare`.
        out: Run folder to write; the same command goes on with what lies there.
        steps: Optimiser steps to train; exactly repeatable. Give this or minutes.
        minutes: Wall-clock minutes to train.
        size: Named size of the model instead of the single entries under model: tiny, small, base or large.
        model: Sizes of the model.
        mask: What the encoder does not see: spans of time, one_span or single patches.
        ratio: Share of the patches that is blanked, in (0, 1).
        longest: Longest span, in columns of patches.
        pairs: Clip-level term beside the reconstruction.
        held_out: Share of the tracks that is never trained on and judged instead.
        layer: Encoder block that vectors are read from; 0 is the last.
        pool: How the tokens of a clip become one vector.
        resume: Whether to go on with a run that lies in the folder: auto, or never to refuse such a folder.
        masks: Masks that each clip read is used with; train.batch counts the masked clips.
        augment: How far the clips trained on are changed.
        init: Trained model to begin with instead of random weights, its run folder or the name of one in the package
            (tiny): the same sizes and log-mels, any corpus. The learning rate warms up and falls anew.
        profile: Steps to time instead of training; prints where the time goes and writes no run. 0 trains.
        train: How long, how fast and how carefully to train.
    """

    corpus: str
    out: str = "run"
    steps: int | None = None
    minutes: float | None = None
    size: Size | None = None
    model: ModelSettings = field(default_factory=ModelSettings)
    mask: MaskKind = "spans"
    ratio: float = 0.7
    longest: int = 4
    pairs: PairSettings = field(default_factory=PairSettings)
    held_out: float = 0.05
    layer: int = 0
    pool: Pool = "freq_concat_max_flux"
    resume: Literal["auto", "never"] = "auto"
    masks: int = 1
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    init: str | None = None
    profile: int = 0
    train: LoopSettings = field(default_factory=_loop)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is {self.held_out}; it is a share above 0 and below 1.")
        if self.size is not None and self.model != ModelSettings():
            raise ConfigError(f"give either size ({self.size}) or the entries of model, one of the two.")
        if self.profile < 0 or self.masks < 1:
            raise ConfigError(
                f"profile is {self.profile} and masks {self.masks}; the first must be 0 or more, the second 1 or more."
            )
        if not self.profile:
            _ = self.length
        if self.layer > self.sizes.depth:
            raise ConfigError(f"layer {self.layer} is beyond the encoder's {self.sizes.depth} blocks.")
        MaskSettings(self.mask, self.ratio, self.longest).check(self.sizes)
        if self.pairs.weight and self.train.batch < 4 * self.masks:
            raise ConfigError(
                f"a batch of {self.train.batch} leaves no other song to compare with; the clip-level term takes "
                f"{4 * self.masks} clips or more. Use a larger --train.batch."
            )

    @property
    def length(self) -> Length:
        """How long to train."""
        return Length(self.steps, self.minutes)

    @property
    def sizes(self) -> ModelSettings:
        """The model's sizes."""
        sizes = self.model if self.size is None else model_of_size(self.size)
        return with_projection(sizes, self.pairs.weight)


def with_projection(sizes: ModelSettings, weight: float) -> ModelSettings:
    """Return the sizes with room for the clip-level term, where it has a weight."""
    return dataclasses.replace(sizes, projection=128) if weight and not sizes.projection else sizes


def pretrain(config: PretrainSettings) -> int:
    """Train, and leave a run folder that `audiomae.load` reads.

    Raises:
        ConfigError: If settings do not fit together.
        FingerprintError: If the run folder was begun with other settings or another corpus.
        DivergedError: If the loss is not a number.
    """
    loop, out = config.train, Path(config.out)
    accelerator = make_accelerator(loop)
    set_threads(loop.threads, accelerator.num_processes)
    with fail_together(accelerator):
        corpus = Corpus.open(config.corpus)
        _check(config, corpus, accelerator.num_processes * loop.accumulate)
        first = open_first(config.init, config.sizes, corpus) if config.init else None
        identity, settings = _identity(config, corpus, first)
    refuse_differences(accelerator, identity)
    if config.profile:
        return _profile(config, corpus, accelerator, first)
    given, resume = dataclasses.asdict(config), config.resume == "auto"
    with held_run(out, accelerator, identity, settings, given, "pretrain", resume=resume) as needed:
        if not needed:
            return 0
        outcome = _run(config, corpus, out, accelerator, identity, first)
    if outcome.stopped_by is not None:
        return 128 + outcome.stopped_by
    if accelerator.is_main_process:
        _report(out, outcome)
    return 0


def _check(config: PretrainSettings, corpus: Corpus, parts: int) -> None:
    """Refuse settings that do not fit the corpus or the number of processes."""
    if corpus.mel.mels != config.sizes.mels:
        raise ConfigError(
            f"{config.corpus} has {corpus.mel.mels} mel bands, the model takes {config.sizes.mels}. "
            f"Use --model.mels {corpus.mel.mels}."
        )
    rows = config.masks * (2 if config.pairs.weight else 1)
    if config.train.batch % (rows * parts):
        kind = "pairs, which the clip-level term takes" if config.pairs.weight else "clips"
        views = f" with {config.masks} masks each" if config.masks > 1 else ""
        raise ConfigError(
            f"train.batch {config.train.batch} cannot be cut into {parts} parts of whole {kind}{views}. Use a multiple "
            f"of {rows * parts}."
        )


def embedder_of(
    sizes: ModelSettings, weights: dict[str, Tensor], corpus: Corpus, *, layer: int, pool: Pool
) -> Embedder:
    """Return what a run leaves behind: trained weights, with the mel settings and statistics of its corpus.

    Args:
        sizes: Sizes of the model.
        weights: Its whole state.
        corpus: What it was trained on.
        layer: Block that vectors are read from; 0 is the last.
        pool: How tokens become a vector.
    """
    autoencoder = Autoencoder(sizes)
    autoencoder.load_state_dict(weights)
    return Embedder(
        autoencoder.eval(),
        mel=corpus.mel,
        mean=corpus.mean,
        std=corpus.std,
        layer=layer or sizes.depth,
        pool=pool,
    )


def _identity(config: PretrainSettings, corpus: Corpus, first: Embedder | None) -> tuple[str, dict[str, Any]]:
    settings = {**dataclasses.asdict(config), "corpus_fingerprint": corpus.fingerprint}
    settings["init"] = first and first.fingerprint
    # As runs were written down before there were these.
    optional = ("masks", config.masks > 1), ("augment", config.augment), ("init", config.init)
    unused = [name for name, used in optional if not used]
    return identify(settings, without=("corpus", "out", "resume", "profile", *unused))


def _task(
    config: PretrainSettings, corpus: Corpus, pictures: Path | None, first: Embedder | None
) -> MaskedTask:
    """Return the model with its first weights, and its data."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        task = MaskedTask(
            corpus,
            config.sizes,
            MaskSettings(config.mask, config.ratio, config.longest),
            config.pairs,
            split=split_tracks(corpus, config.sizes.clip_frames, config.held_out),
            batch=config.train.batch,
            seed=config.train.seed,
            pictures=pictures,
            masks=config.masks,
            augment=config.augment,
        )
    if first is not None:
        copy_weights(first, task.autoencoder)
    return task


def _profile(
    config: PretrainSettings, corpus: Corpus, accelerator: Accelerator, first: Embedder | None
) -> int:
    """Time some steps, and print where they go; nothing is written."""
    loop = config.train
    with name_lost_peers(accelerator):
        profile = profile_steps(_task(config, corpus, None, first), loop, accelerator, config.profile)
    if accelerator.is_main_process:
        print_profile(
            profile,
            steps=config.profile,
            batch=loop.batch,
            processes=accelerator.num_processes,
            precision=loop.precision,
        )
    return 0


def _run(
    config: PretrainSettings,
    corpus: Corpus,
    out: Path,
    accelerator: Accelerator,
    identity: str,
    first: Embedder | None,
) -> Outcome:
    task = _task(config, corpus, out / "pictures" if accelerator.is_main_process else None, first)
    outcome = train(task, config.length, config.train, out, accelerator, identity)
    if accelerator.is_main_process and outcome.finished:
        embedder = embedder_of(config.sizes, outcome.weights, corpus, layer=config.layer, pool=config.pool)
        save(embedder, out, {"corpus_fingerprint": corpus.fingerprint, "steps": outcome.steps})
        write_json(
            out / "result.json", {"format": "audiomae-result/1", "steps": outcome.steps, **outcome.metrics}
        )
    return outcome


def _report(out: Path, outcome: Outcome) -> None:
    shown = {name: round(value, 4) for name, value in outcome.metrics.items()}
    print(json.dumps({"model": str(out), "steps": outcome.steps, **shown}))
