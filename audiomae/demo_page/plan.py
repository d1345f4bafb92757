"""What the demo does with a collection: what it trains on, what it judges, by whom, and how long that takes here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from audiomae.corpus.clips import hold_out_tracks
from audiomae.corpus.corpus import Corpus
from audiomae.demo_page.gather import MOST_SOUNDS
from audiomae.listening.tables import TableSettings
from audiomae.model.embedder import Embedder
from audiomae.recommend.splits import SplitSettings
from audiomae.training.settings import LoopSettings
from data_prep.plays.simulated.listeners import ListenerSettings

__all__ = [
    "LEAST_FOR_LISTENERS",
    "LEAST_TO_TRAIN",
    "Split",
    "estimate_seconds",
    "plan_towers",
    "plan_training",
    "split_songs",
]

LEAST_TO_TRAIN = 20
"""Songs that a model is trained on for; of fewer it would learn the songs, not how music goes on."""
HELD_OUT, HELD_OUT_TRACKS = 0.25, 24
"""Share that is kept from training; more, up to half, where that gives so many tracks."""

BATCH, RATE = 128, 5e-4
"""Clips a step, and peak learning rate, of the training on these songs."""

LEAST_FOR_LISTENERS = 20
"""Songs that listeners are simulated over."""
NEW_SONGS, NEW_SHARE = 20, 0.3
"""Songs of which no play reaches training: so many, or this share where there are few."""

TRIAL_CLIPS = 16
LISTENERS_COST = 5_000
"""What two recommenders, a ranker and their judging take, in clips embedded in the same time."""
SOUND_COST = 6
"""The same for the sound of a song that the page holds."""
ONCE_COST = 600
"""The same for opening models, rebuilding a clip and drawing the map."""
EVALUATION_COST = 600
"""The same for looking at held-out songs once training is over."""


class Split(NamedTuple):
    """Which songs are trained on, and which are judged."""

    share: float
    """Share of the songs that is kept from training."""
    heard: NDArray[np.int64]
    """Indices of the songs that are trained on; none where the model is used as it is."""
    held: NDArray[np.int64]
    """Indices of the others."""

    @property
    def trains(self) -> bool:
        """Whether there is any training."""
        return len(self.heard) > 0


def split_songs(track_ids: list[str], *, trains: bool) -> Split:
    """Split a collection.

    Args:
        track_ids: Ids of the songs.
        trains: Whether training is wanted; there is none with fewer than `LEAST_TO_TRAIN` songs.
    """
    share = min(0.5, max(HELD_OUT, HELD_OUT_TRACKS / len(track_ids)))
    heard, held = hold_out_tracks(track_ids, share)
    if not trains or len(track_ids) < LEAST_TO_TRAIN:
        return Split(share, heard[:0], np.arange(len(track_ids)))
    return Split(share, heard, held)


def plan_training(threads: int, seed: int) -> LoopSettings:
    """Return how a trained model is trained on for a few minutes."""
    return LoopSettings(
        batch=BATCH,
        optimizer="muon",
        learning_rate=RATE,
        clip_norm=3.0,
        threads=threads,
        seed=seed,
        evaluate_every=100_000,
        checkpoint_every=50,
    )


class TowersPlan(NamedTuple):
    """What towers are trained on for a collection: simulated plays, and which are kept to judge by."""

    listeners: ListenerSettings
    tables: TableSettings
    split: SplitSettings
    new_songs: int
    """Songs of which no play reaches training."""


def plan_towers(songs: int, tables: Path, *, listeners: int, seed: int) -> TowersPlan:
    """Return simulated listeners who leave enough songs unheard for lists to be judged.

    Args:
        songs: Songs of the collection.
        tables: Folder for their tables.
        listeners: How many there are.
        seed: Key of their draws and of the split.
    """
    plays = min(60.0, max(6.0, songs / 4))
    share = min(NEW_SHARE, NEW_SONGS / songs)
    plays_file, users, tracks = (
        str(tables / f"{name}.parquet") for name in ("interactions", "users", "tracks")
    )
    return TowersPlan(
        ListenerSettings(listeners=listeners, mean_plays=plays, seed=seed),
        TableSettings(plays_file, users, tracks),
        SplitSettings(cold_tracks=share, seed=seed),
        round(share * songs),
    )


def estimate_seconds(corpus: Corpus, embedder: Embedder, minutes: float, judged: int) -> float:
    """Embed a few clips and return the seconds that everything after preparing will take.

    Args:
        corpus: The songs.
        embedder: A model of the size that will be used.
        minutes: Minutes of training.
        judged: Clips that are judged, once for each model that judges them.
    """
    frames = embedder.config.clip_frames
    shape = (TRIAL_CLIPS, frames, corpus.mel.mels)
    mels = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    embedder.embed_mels(mels)
    start = time.perf_counter()
    embedder.embed_mels(mels)
    clip_seconds = (time.perf_counter() - start) / TRIAL_CLIPS
    clips = int((corpus.frames // frames).sum()) + judged + SOUND_COST * min(MOST_SOUNDS, len(corpus))
    clips += (
        ONCE_COST + LISTENERS_COST * (len(corpus) >= LEAST_FOR_LISTENERS) + EVALUATION_COST * (minutes > 0)
    )
    return round(60 * minutes + clips * clip_seconds, 1)
