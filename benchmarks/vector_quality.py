"""Are the vectors of our arrangement as good as those of AudioMAE's? The second half of training_step.py."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from audiomae_arrangement import Arm, AudioMaeArrangement
from report import markdown
from torch import nn

from audiomae.corpus.clips import clip_starts, hold_out_tracks, read_clips
from audiomae.corpus.corpus import Corpus
from audiomae.model.config import ModelSettings, model_of_size
from audiomae.model.embedder import Embedder, untrained
from audiomae.pretraining.settings import MaskSettings, PairSettings
from audiomae.pretraining.task import MaskedTask
from audiomae.probing.measures import Score, bootstrap, retrieve_track
from audiomae.probing.vectors import mel_statistics
from audiomae.training.optimizer import make_optimizer
from audiomae.training.schedule import learning_rate_at
from audiomae.training.settings import LoopSettings
from audiomae.verbs.pretrain import PretrainSettings

__all__ = ["compare_vectors"]

HELD_OUT = 0.2
CLIPS_A_TRACK = 8
RESAMPLES = 2000


class Trained(NamedTuple):
    """An arm after its training."""

    name: str
    module: Arm
    clips: int
    cpu_seconds: float


class Judge:
    """Held-out clips, a few a track, and how well vectors find the track again."""

    def __init__(
        self, corpus: Corpus, tracks: npt.NDArray[np.int64], sizes: ModelSettings, seed: int
    ) -> None:
        self.corpus, self.seed = corpus, seed
        like = untrained(sizes, seed=seed).with_pooling(pool=PretrainSettings.pool)
        self.like = dataclasses.replace(like, mel=corpus.mel, mean=corpus.mean, std=corpus.std)
        hop = corpus.mel.frames_of(self.like.hop_seconds)
        grids = [clip_starts(int(corpus.frames[track]), sizes.clip_frames, hop) for track in tracks]
        grids = [
            grid[np.linspace(0, len(grid) - 1, min(len(grid), CLIPS_A_TRACK)).astype(int)] for grid in grids
        ]
        self.owners = np.repeat(tracks, [len(grid) for grid in grids])
        self.clips = read_clips(corpus, self.owners, np.concatenate(grids), sizes.clip_frames)
        self.names = np.array([str(owner) for owner in self.owners])

    def embed(self, module: Arm | None) -> npt.NDArray[np.float32]:
        """Embed the clips with an arm's encoder; None is the encoder with random weights."""
        embedder: Embedder = self.like
        if module is not None:
            fresh = untrained(self.like).autoencoder
            fresh.encoder.load_state_dict(module.encoder.state_dict())
            embedder = dataclasses.replace(self.like, autoencoder=fresh)
        clips = torch.from_numpy(self.clips)
        parts = [clips[first : first + 64].float() for first in range(0, len(clips), 64)]
        return np.concatenate([embedder.embed_mels(part).numpy() for part in parts])

    def hits(self, vectors: npt.NDArray[np.float32], whiten: int) -> npt.NDArray[np.int64]:
        """Return 1 where a clip's nearest other clip is of its track."""
        return retrieve_track(vectors, self.names, whiten=whiten).astype(np.int64)

    def score(self, hits: npt.NDArray[np.int64]) -> Score:
        """Return the share of hits with its interval over tracks."""
        return bootstrap(hits, self.names, resamples=RESAMPLES, seed=self.seed)


def train_arm(
    name: str,
    module: Arm,
    task: MaskedTask,
    *,
    steps: int | None,
    seconds: float | None,
    learning_rate: float,
) -> Trained:
    """Train for a number of steps, or of CPU seconds that the learning rate then follows."""
    config = LoopSettings(learning_rate=learning_rate)
    optimizer = make_optimizer(module, config)
    started, step, progress = time.process_time(), 0, 0.0
    while progress < 1.0:
        rate = learning_rate_at(progress, peak=config.learning_rate, warmup=config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = task.loss(module, task.draw(step, slice(0, task.batch)))["loss"]
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        progress = step / steps if steps is not None else (time.process_time() - started) / (seconds or 1.0)
        if step % 20 == 0:
            print(f"{name}: step {step}, {progress:.0%}, loss {float(loss.detach()):.3f}", file=sys.stderr)
    return Trained(name, module, step * task.batch, time.process_time() - started)


def compare_vectors(options: argparse.Namespace) -> str:
    """Train the arms and return a Markdown table."""
    corpus = Corpus.open(options.vectors)
    split = hold_out_tracks(corpus.track_ids, HELD_OUT)
    plain = model_of_size(options.sizes[0], decoded=1.0)
    ours = dataclasses.replace(plain, decoded=options.decoded[-1])
    pairs = PairSettings()

    def task_of(sizes: ModelSettings, weight: float) -> MaskedTask:
        torch.manual_seed(options.seed)
        if weight:
            sizes = dataclasses.replace(sizes, projection=128)
        mask, terms = MaskSettings(options.mask, options.ratio, 4), dataclasses.replace(pairs, weight=weight)
        with tempfile.TemporaryDirectory() as pictures:
            place = Path(pictures)
            return MaskedTask(
                corpus,
                sizes,
                mask,
                terms,
                split=split,
                batch=options.batch,
                seed=options.seed,
                pictures=place,
            )

    def train_own(name: str, weight: float) -> Trained:
        task = task_of(ours, weight)
        return train_arm(name, task.autoencoder, task, steps=steps, seconds=None, learning_rate=rate)

    def train_peer(name: str, seconds: float | None) -> Trained:
        task = task_of(plain, 0.0)
        torch.manual_seed(options.seed)
        module = AudioMaeArrangement(plain)
        limit = steps if seconds is None else None
        return train_arm(name, module, task, steps=limit, seconds=seconds, learning_rate=rate)

    rate, steps = options.learning_rate, options.clips // options.batch
    own = train_own(f"ours, clip-level term {pairs.weight}", pairs.weight)
    arms = [
        own,
        train_own("ours, reconstruction alone", 0.0),
    ]
    if options.equal in ("time", "both"):
        arms.append(train_peer("AudioMAE's arrangement, equal CPU time", own.cpu_seconds))
    if options.equal in ("clips", "both"):
        arms.append(train_peer("AudioMAE's arrangement, equal clips", None))
    return report(Judge(corpus, split[1], plain, options.seed), arms, options.sizes[0])


def report(judge: Judge, arms: list[Trained], size: str) -> str:
    """Return the table: same-track rank-1 of each arm, and its difference from ours."""
    statistics = mel_statistics(judge.clips.astype(np.float32))
    named = [(arm.name, f"{arm.clips}", f"{arm.cpu_seconds:.0f}", judge.embed(arm.module)) for arm in arms]
    named += [("untrained encoder", "0", "0", judge.embed(None)), ("mel statistics", "-", "-", statistics)]
    rows = []
    for name, clips, seconds, vectors in named:
        cells = [name, clips, seconds]
        for whiten in (0, 128):
            hits, own = judge.hits(vectors, whiten), judge.hits(named[0][3], whiten)
            score, behind = judge.score(hits), judge.score(own - hits)
            cells.append(f"{score.score:.3f} ({score.low:.3f} to {score.high:.3f})")
            cells.append(f"{behind.score:+.3f} ({behind.low:+.3f} to {behind.high:+.3f})")
        rows.append(cells)
    header = [
        f"{size}, vectors",
        "clips",
        "CPU s",
        "rank-1, standardised",
        "ours less this",
        "whitened to 128",
        "ours less this",
    ]
    tracks = len(set(judge.names.tolist()))
    note = f"- {len(judge.clips)} clips of {tracks} held-out tracks; intervals of 95 % over tracks, differences paired"
    return f"{markdown(header, rows)}\n\n{note}"
