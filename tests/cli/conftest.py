"""A tiny model, some tones and their vectors, for the tests of the verbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save, untrained

TINY = ModelSettings(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny model with random weights."""
    folder = tmp_path_factory.mktemp("model") / "run"
    save(untrained(TINY), folder, {})
    return folder


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files of 6 s, two of each of three pitches, with some noise."""
    folder = tmp_path_factory.mktemp("tones") / "songs"
    folder.mkdir()
    generator = np.random.default_rng(0)
    seconds = np.arange(6 * 16_000) / 16_000
    for number in range(6):
        pitch = 220 * 2 ** (number // 2)
        sound = 0.3 * np.sin(2 * np.pi * pitch * seconds) + generator.normal(0, 0.01, len(seconds))
        soundfile.write(folder / f"tone-{number}.wav", sound, 16_000)
    return folder
