"""A small model and music for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audiomae.model.config import ModelSettings
from audiomae.model.embedder import Embedder, untrained

SIZES = ModelSettings(width=48, depth=3, heads=3, decoder_width=16, decoder_depth=1, decoder_heads=2)
RATE = 16_000


@pytest.fixture(scope="module")
def model() -> Embedder:
    """A small model of three blocks, untrained."""
    return untrained(SIZES, seed=3)


def make_music(seconds: float, *, clips: int = 1, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Music-like noise: chords with overtones that come and go, over noise that falls with frequency."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    out = np.empty((clips, len(time)), np.float32)
    for row in out:
        sound = np.cumsum(generator.normal(0, 0.003, len(time)))
        sound -= np.convolve(sound, np.ones(400) / 400, mode="same")
        for pitch in generator.uniform(80, 900, 4):
            swell = 0.5 + 0.5 * np.sin(2 * np.pi * generator.uniform(0.2, 3) * time + generator.uniform(0, 6))
            for overtone in range(1, 6):
                sound += 0.05 / overtone * swell * np.sin(2 * np.pi * pitch * overtone * time)
        row[:] = sound + generator.normal(0, 0.002, len(time))
    return out


@pytest.fixture
def music() -> Callable[..., np.ndarray]:
    """What makes clips of music at 16 kHz."""
    return make_music
