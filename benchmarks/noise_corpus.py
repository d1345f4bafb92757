"""A corpus of seeded noise: for benchmarks that ask how fast or how large, not how good."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audiomae.audio.mel import MelSettings
from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import TAGS
from audiomae.corpus.writer import CorpusWriter

__all__ = ["write_noise_corpus"]


def write_noise_corpus(folder: Path, *, tracks: int, seconds: float, seed: int = 0) -> Corpus:
    """Write a corpus of log-mels of noise, and open it."""
    generator = np.random.default_rng(seed)
    mel = MelSettings()
    writer = CorpusWriter(folder, mel)
    frames = mel.frames_of(seconds)
    with writer.spool() as spool:
        for number in range(tracks):
            stored = generator.normal(-8, 3, (frames, mel.mels)).astype(np.float16)
            path = spool / f"{number}.raw"
            stored.tofile(path)
            exact = stored.astype(np.float64)
            row = dict.fromkeys(TAGS, "")
            row |= {
                "track_id": f"noise-{number}",
                "path": f"noise/{number}.wav",
                "content": f"noise-{number}",
            }
            row |= {"seconds": seconds, "frames": frames, "level": -20.0, "bytes": 1, "modified_ns": 1}
            row |= {"mel_sum": float(exact.sum()), "mel_square_sum": float((exact**2).sum())}
            writer.add(row, path)
        writer.commit({"decoder": "noise"})
    return Corpus.open(folder)
