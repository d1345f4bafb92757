"""Mel statistics as content."""

from __future__ import annotations

import numpy as np

from audiomae.corpus.corpus import Corpus
from audiomae.listening.content import Content
from data_prep.plays import mel_content
from data_prep.plays.write import write_tables


def test_the_vector_is_mean_and_deviation_of_each_band_standardised_over_tracks(small_corpus, tmp_path):
    said = write_tables(tmp_path, mel_content.tables(small_corpus))
    assert said["counts"] == {"content": 6, "content_dim": 160}
    assert not (tmp_path / "interactions.parquet").exists()
    content = Content.open(tmp_path / "content.parquet")
    corpus = Corpus.open(small_corpus)
    assert content.track_ids == sorted(corpus.track_ids)
    raw = []
    for track in range(len(corpus)):
        mels = corpus.mels(track).astype(np.float64)
        raw.append(np.concatenate([mels.mean(axis=0), mels.std(axis=0)]))
    expected = (np.array(raw) - np.mean(raw, axis=0)) / np.std(raw, axis=0)
    assert np.allclose(content.vectors, expected, atol=1e-3)  # float32 sums over 1,200 frames
    assert content.model_fingerprint
