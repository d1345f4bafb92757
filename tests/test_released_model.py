"""The trained model that comes along: it loads, and it is as good as the tables say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import audiomae
from audiomae.verbs.probe_vectors import vectors_of_files

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "recipes" / "debian_games" / "model"


def test_it_is_the_one_that_its_results_are_of():
    model = audiomae.load(MODEL)
    assert model.fingerprint in (ROOT / "recipes/debian_games/RESULTS.md").read_text(encoding="utf-8")
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 80_000)).astype(np.float32)
    vectors = model.embed(noise, 16_000)
    assert vectors.shape == (2, model.dim)
    assert np.isfinite(vectors).all()


@pytest.mark.shared
def test_it_finds_songs_of_games_that_it_never_heard(shared, monkeypatch):
    bench = shared / "bench"
    monkeypatch.setattr(sys, "argv", ["score.py"])
    spec = importlib.util.spec_from_file_location("score", bench / "score.py")
    assert spec is not None
    assert spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    names = [row["path"] for row in scorer.ROWS if row["task"] == "music_track"]
    judged = vectors_of_files([bench / name for name in names], {"model": audiomae.load(MODEL)})
    tracks = np.array([row["track"] for row in scorer.ROWS if row["task"] == "music_track"])
    found = {}
    for name, vectors in judged.items():
        spread = vectors.std(axis=0)
        found[name] = scorer.rank1((vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1), tracks)
    assert found["mel statistics"] == pytest.approx(0.483, abs=0.02)
    assert found["model"] > found["mel statistics"] + 0.2
