"""corpus → model: train a masked autoencoder on random short clips."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator

from audiomae.checks import require, require_all
from audiomae.corpus.clips import split_corpus
from audiomae.corpus.corpus import Corpus
from audiomae.disk.files import read_json, write_json
from audiomae.errors import ConfigError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import Embedder, save
from audiomae.model.masking import MaskKind
from audiomae.model.overrides import ModelOverrides, SizeName, sizes_of
from audiomae.model.pooling import Pool
from audiomae.pretraining.augmentation import AugmentSettings
from audiomae.pretraining.first_weights import copy_weights, open_first
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.pretraining.task import MaskedTask
from audiomae.pretraining.trained import HeldOutScores, embedder_of, model_entries, with_projection
from audiomae.progress import SILENT, Progress
from audiomae.training.loop import Outcome, train
from audiomae.training.processes import make_accelerator, set_threads
from audiomae.training.profile import ProfileResult, profile_steps
from audiomae.training.ranks import fail_together, name_lost_peers, refuse_differences
from audiomae.training.runs import held_run, identify
from audiomae.training.settings import Length, LoopSettings

__all__ = ["PretrainResult", "PretrainSettings", "pretrain"]

RESULT_FORMAT = "audiomae-result/1"


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
        size: Named size of the model: tiny, small, base or large; tiny without it.
        model: Single sizes of the model that differ from the named size.
        mask: What the encoder does not see: spans of time, one_span or single patches.
        ratio: Share of the patches that is masked, in (0, 1).
        longest: Longest masked span, in columns of patches.
        pairs: Clip-level term beside the reconstruction.
        held_out: Share of the tracks that is never trained on and judged instead.
        layer: Encoder block that vectors are read from; 0 is the last.
        pool: How the tokens of a clip become one vector.
        resume: auto goes on with a run that lies in the folder; never refuses such a folder.
        masks: Masks that each clip read is used with; train.batch counts the masked clips.
        augment: How far the clips trained on are changed.
        init: Trained model to begin with instead of random weights, its run folder or the name of one in the package
            (tiny): the same sizes and log-mels, any corpus. The learning rate warms up and falls anew.
        profile: Steps to time instead of training; says where the time goes and writes no run. 0 trains.
        train: How long, how fast and how carefully to train.
    """

    corpus: str
    out: str = "run"
    steps: int | None = None
    minutes: float | None = None
    size: SizeName | None = None
    model: ModelOverrides = field(default_factory=ModelOverrides)
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
        require("held_out", self.held_out, above=0, below=1)
        require_all(self, "profile", "layer", least=0)
        require("masks", self.masks, least=1)
        if not self.profile:
            _ = self.length
        if self.model.patch_mels is None or self.model.mels is not None:
            self.check(self.sizes())  # else only the corpus says how many bands there are
        if self.pairs.weight and self.train.batch < 4 * self.masks:
            raise ConfigError(
                f"a batch of {self.train.batch} leaves no other song to compare with; the clip-level term takes "
                f"{4 * self.masks} clips or more. Use a larger --train.batch."
            )

    def check(self, sizes: ModelSettings) -> None:
        """Refuse a mask or a layer that the model's sizes do not have.

        Raises:
            ConfigError: With the value, the limit and the way out.
        """
        if self.layer > sizes.depth:
            raise ConfigError(f"layer {self.layer} is beyond the encoder's {sizes.depth} blocks.")
        self.masking.check(sizes)

    @property
    def length(self) -> Length:
        """How long to train."""
        return Length(self.steps, self.minutes)

    @property
    def masking(self) -> MaskSettings:
        """What is masked."""
        return MaskSettings(self.mask, self.ratio, self.longest)

    def named_sizes(self, mels: int | None = None) -> ModelSettings:
        """Return the sizes that were asked for, on a corpus of `mels` bands."""
        return sizes_of(self.size, self.model, mels=mels)

    def sizes(self, mels: int | None = None) -> ModelSettings:
        """Return the model's sizes: those asked for, with room for the clip-level term."""
        return with_projection(self.named_sizes(mels), self.pairs.weight)


@dataclass(frozen=True)
class PretrainResult:
    """How a pretraining ended; every process returns it.

    Attributes:
        run: Run folder.
        steps: Optimiser steps made, all sessions together.
        finished: Whether the model is there; False after a stop, and where steps were only timed.
        already_complete: Whether an earlier session had finished it, and nothing was done.
        stopped_by: Number of the signal that stopped it early (SIGINT or SIGTERM); the same settings go on from there.
        metrics: Scores on held-out tracks, on the first process and where it has finished.
        profile: Where the time of a step goes, where that was asked for.
    """

    run: str
    steps: int = 0
    finished: bool = False
    already_complete: bool = False
    stopped_by: int | None = None
    metrics: HeldOutScores | None = None
    profile: ProfileResult | None = None


def pretrain(settings: PretrainSettings, *, progress: Progress = SILENT) -> PretrainResult:
    """Train a masked autoencoder, and leave a run folder that `audiomae.load` reads.

    SIGINT and SIGTERM end it after the step under way with a checkpoint (`PretrainResult.stopped_by`).

    Raises:
        ConfigError: If settings do not fit together.
        FingerprintError: If the run folder was begun with other settings or another corpus.
        DivergedError: If the loss is not a number.
    """
    loop, out = settings.train, Path(settings.out)
    accelerator = make_accelerator(loop)
    set_threads(loop.threads, accelerator.num_processes)
    with fail_together(accelerator):
        corpus = Corpus.open(settings.corpus)
        sizes = _sizes_for(settings, corpus)
        _check_batch(settings, accelerator.num_processes * loop.accumulate)
        first = open_first(settings.init, sizes, corpus) if settings.init else None
        identity, kept = _identity(settings, corpus, first)
    refuse_differences(accelerator, identity)
    if settings.profile:
        with name_lost_peers(accelerator):
            task = _task(settings, sizes, corpus, None, first)
            profile = profile_steps(task, loop, accelerator, settings.profile)
        return PretrainResult(settings.out, profile=profile)
    plain = dataclasses.asdict(settings.named_sizes(corpus.mel.mels))
    given = {**dataclasses.asdict(settings), "model": plain}
    with held_run(
        out, accelerator, identity, kept, given, "pretrain", resume=settings.resume == "auto"
    ) as needed:
        if not needed:
            return _earlier_result(out)
        pictures = out / "pictures" if accelerator.is_main_process else None
        task = _task(settings, sizes, corpus, pictures, first)
        job = (task, settings.length, loop, out, accelerator, identity)
        outcome = train(*job, label="pretrain", unit="clips", progress=progress)
        scores = _finish(settings, sizes, corpus, out, accelerator, outcome) if outcome.finished else None
    return PretrainResult(
        settings.out, outcome.steps, outcome.finished, stopped_by=outcome.stopped_by, metrics=scores
    )


def _sizes_for(settings: PretrainSettings, corpus: Corpus) -> ModelSettings:
    """Return the model's sizes on a corpus, or refuse what does not fit it."""
    sizes = settings.sizes(corpus.mel.mels)
    if sizes.mels != corpus.mel.mels:
        raise ConfigError(
            f"{settings.corpus} has {corpus.mel.mels} mel bands, but model.mels is {sizes.mels}. Leave out "
            "--model.mels, and the model takes what the corpus has."
        )
    settings.check(sizes)
    return sizes


def _check_batch(settings: PretrainSettings, parts: int) -> None:
    """Refuse a batch that cannot be cut into as many parts."""
    rows = settings.masks * (2 if settings.pairs.weight else 1)
    if settings.train.batch % (rows * parts):
        kind = "pairs, which the clip-level term takes" if settings.pairs.weight else "clips"
        views = f" with {settings.masks} masks each" if settings.masks > 1 else ""
        raise ConfigError(
            f"train.batch {settings.train.batch} cannot be cut into {parts} parts of whole {kind}{views}. Use a "
            f"multiple of {rows * parts}."
        )


def _identity(
    settings: PretrainSettings, corpus: Corpus, first: Embedder | None
) -> tuple[str, dict[str, Any]]:
    """Return the fingerprint of what a run depends on, and the settings that it stands for."""
    sizes = settings.named_sizes(corpus.mel.mels)
    values = {**dataclasses.asdict(settings), **model_entries(settings.size, sizes)}
    pairs = settings.pairs.with_nearest(corpus.mel.seconds_of(sizes.clip_frames))
    values |= {"corpus_fingerprint": corpus.fingerprint, "init": first and first.fingerprint}
    values["pairs"] = dataclasses.asdict(pairs)
    # As runs were written down before there were these.
    optional = ("masks", settings.masks > 1), ("augment", settings.augment), ("init", settings.init)
    unused = [name for name, used in optional if not used]
    return identify(values, without=("corpus", "out", "resume", "profile", *unused))


def _task(
    settings: PretrainSettings,
    sizes: ModelSettings,
    corpus: Corpus,
    pictures: Path | None,
    first: Embedder | None,
) -> MaskedTask:
    """Return the model with its first weights, and its data."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.train.seed)
        task = MaskedTask(
            corpus,
            sizes,
            settings.masking,
            settings.pairs,
            split=split_corpus(corpus, sizes.clip_frames, settings.held_out),
            batch=settings.train.batch,
            seed=settings.train.seed,
            pictures=pictures,
            masks=settings.masks,
            augment=settings.augment,
        )
    if first is not None:
        copy_weights(first, task.autoencoder)
    return task


def _finish(
    settings: PretrainSettings,
    sizes: ModelSettings,
    corpus: Corpus,
    out: Path,
    accelerator: Accelerator,
    outcome: Outcome,
) -> HeldOutScores | None:
    """Write the model and the result, on the first process, and return its scores there."""
    if not accelerator.is_main_process:
        return None
    embedder = embedder_of(sizes, outcome.weights, corpus, layer=settings.layer, pool=settings.pool)
    save(embedder, out, {"corpus_fingerprint": corpus.fingerprint, "steps": outcome.steps})
    write_json(out / "result.json", {"format": RESULT_FORMAT, "steps": outcome.steps, **outcome.metrics})
    return HeldOutScores(**outcome.metrics)


def _earlier_result(out: Path) -> PretrainResult:
    """Return what an earlier session has written down."""
    found = read_json(out / "result.json", format=RESULT_FORMAT)
    scores = HeldOutScores(**{name: float(found[name]) for name in HeldOutScores.__dataclass_fields__})
    return PretrainResult(str(out), int(found["steps"]), True, already_complete=True, metrics=scores)
