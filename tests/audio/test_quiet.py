from __future__ import annotations

import numpy as np
import soundfile

from audiomae.audio.quiet import Loudness, gain_of, raise_quiet
from audiomae.model.embedder import load


def test_songs_of_ordinary_level_are_left_to_the_bit():
    sound = np.random.default_rng(0).normal(0, 0.01, (2, 16_000)).astype("f4")
    assert raise_quiet(sound) is sound


def test_a_quiet_song_is_raised_and_a_silent_one_is_not():
    sound = np.random.default_rng(0).normal(0, 1e-4, (1, 16_000)).astype("f4")
    loudness = Loudness()
    list(loudness.through(iter(raise_quiet(sound))))
    assert abs(loudness.level + 20) < 0.01
    assert gain_of(-np.inf) == 1


def test_a_float_copy_60_db_down_has_the_songs_vector(tiny_model, tmp_path):
    """Pulses of tones over a decaying noise: loud and quiet frames, as music has them."""
    embedder = load(tiny_model)
    generator = np.random.default_rng(0)
    steps = np.arange(6 * 16_000) / 16_000
    sound = 0.2 * np.sin(2 * np.pi * 330 * steps) * (np.sin(2 * np.pi * steps) > 0)
    sound = (sound + generator.normal(0, 0.05, len(steps)) * np.exp(-2 * (steps % 1.5))).astype("f4")
    vectors = []
    for name, gain in (("whole", 1.0), ("quiet", 1e-3)):
        soundfile.write(tmp_path / f"{name}.wav", sound * gain, 16_000, subtype="FLOAT")
        vectors += [
            embedder.embed_files([tmp_path / f"{name}.wav"])[0],
            embedder.embed(sound * gain, 16_000)[0],
        ]
    whole, _, *others = vectors
    for other in others:
        assert np.dot(whole, other) / np.linalg.norm(whole) / np.linalg.norm(other) > 0.99
