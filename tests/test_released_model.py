"""The trained model that comes along: it loads, and it is as good as its table says."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import audiomae
from audiomae.model.released import model_folder
from audiomae.probing.labels import read_tasks
from audiomae.probing.measures import retrieve_track
from audiomae.probing.vectors import vectors_of_files

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "debian_games"
CARD = model_folder("tiny") / "README.md"


def test_it_is_the_one_that_its_results_and_its_card_are_of():
    model = audiomae.load("tiny")
    for text in (RECIPE / "RESULTS.md", CARD):
        assert model.fingerprint in text.read_text(encoding="utf-8")
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 80_000)).astype(np.float32)
    vectors = model.embed(noise, 16_000)
    assert vectors.shape == (3, model.dim)
    assert np.isfinite(vectors).all()


@pytest.mark.shared
def test_it_finds_songs_of_games_that_it_never_heard(shared):
    with (shared / "bench" / "pool.csv").open(newline="", encoding="utf-8") as file:
        unseen = sorted({f"deb:{row['package']}" for row in csv.DictReader(file) if row["role"] == "unseen"})
    (task,) = read_tasks(shared / "bench" / "labels.csv", ["music_track"], {"source": unseen})
    vectors = vectors_of_files(task.paths, {"model": audiomae.load("tiny")})
    found = {name: float(retrieve_track(rows, task.labels).mean()) for name, rows in vectors.items()}
    # As in the table, but for what another processor's rounding turns over among 418 clips.
    assert found["mel statistics"] == pytest.approx(0.483, abs=0.015)
    assert found["model"] == pytest.approx(0.775, abs=0.015)
