"""Mel statistics of a corpus as content: the baseline that a learned encoder has to beat.

A track's vector is the mean and the standard deviation over time of each log-mel band, each entry then
standardised over the tracks of the corpus, so that loud bands do not outweigh the others.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomae.corpus.corpus import Corpus
from audiomae.corpus.song import TAGS
from audiomae.disk.files import fingerprint_of
from data_prep.plays.write import ContentTable, SourceTables

__all__ = ["tables"]


def tables(corpus_folder: Path | str) -> SourceTables:
    """Make content, and nothing else, of a corpus.

    Raises:
        MissingError: If the corpus is not there or cut short.
    """
    corpus = Corpus.open(corpus_folder)
    tracks = corpus.tracks.select(["track_id", *TAGS])

    def content() -> ContentTable:
        values = mel_statistics(corpus)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        vectors = ((values - mean) / np.maximum(deviation, 1e-6)).astype(np.float32)
        what = fingerprint_of("mel statistics", asdict(corpus.mel), mean.tobytes(), deviation.tobytes())
        return ContentTable(tracks, vectors, what)

    return SourceTables(
        "mel-statistics",
        None,
        content=content,
        notes=(
            "Content is the mean and deviation over time of each mel band, standardised over the tracks.",
        ),
        settings={"corpus": corpus.fingerprint},
    )


def mel_statistics(corpus: Corpus) -> NDArray[np.float64]:
    """Return mean and standard deviation over time of each band's log-mel, (tracks, 2 · mels)."""
    values = np.empty((len(corpus), 2 * corpus.mel.mels))
    for track in range(len(corpus)):
        mels = corpus.mels(track).astype(np.float32)
        values[track] = np.concatenate([mels.mean(axis=0), mels.std(axis=0)])
    return values
