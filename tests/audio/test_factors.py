from __future__ import annotations

import librosa
import numpy as np
import pytest

from audiomae.audio.factors import FactorMeter
from audiomae.audio.mel import MelSettings, log_mel_blocks

RATE = 16_000


def measure(sound, cut: int = 5_000) -> dict:
    mel = MelSettings()
    meter = FactorMeter(mel)
    blocks = (sound[first : first + cut] for first in range(0, len(sound), cut))
    for mels in log_mel_blocks(meter.through(blocks), mel):
        meter.take_mels(mels.astype(np.float32))
    return meter.measure()


def tones(*hertz: float, seconds: float = 20.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (sum(np.sin(2 * np.pi * one * time) for one in hertz) * 0.1).astype(np.float32)


def clicks(beats_a_minute: float, seconds: float = 30.0) -> np.ndarray:
    sound = np.zeros(int(seconds * RATE), np.float32)
    noise = np.random.default_rng(0).standard_normal(400).astype(np.float32) * np.linspace(
        0.5, 0, 400, dtype=np.float32
    )
    for beat in np.arange(0, seconds - 0.1, 60 / beats_a_minute):
        first = int(beat * RATE)
        sound[first : first + 400] += noise
    return sound


@pytest.mark.parametrize("tempo", [72, 90, 120, 140, 174])
def test_clicks_have_their_tempo_as_librosa_hears_it_too(tempo):
    sound = clicks(tempo)
    found = measure(sound)["tempo"]
    assert min(abs(found - tempo * factor) for factor in (1, 0.5)) < 0.02 * tempo
    theirs = float(librosa.feature.tempo(y=sound, sr=RATE, hop_length=160)[0])
    assert min(abs(found / theirs - factor) for factor in (1, 0.5, 2)) < 0.06


@pytest.mark.parametrize(
    ("hertz", "key"),
    [
        ((261.63, 329.63, 392.0, 523.25), "C"),
        ((220.0, 261.63, 329.63, 440.0), "Am"),
        ((185.0, 220.0, 277.18, 370.0), "F#m"),
    ],
)
def test_a_chord_is_in_its_key(hertz, key):
    assert measure(tones(*hertz))["key"] == key


def test_pitch_classes_agree_with_librosas():
    sound = tones(261.63, 415.3, 587.33, 1046.5)
    theirs = librosa.feature.chroma_stft(y=sound, sr=RATE, n_fft=4096, hop_length=4096, tuning=0.0).mean(
        axis=1
    )
    ours = np.array(measure(sound)["harmony"][:12])
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert set(np.argsort(-ours)[:3]) == {0, 8, 2}


def test_transposing_turns_the_pitch_classes_and_leaves_their_pattern():
    low, high = (
        np.array(measure(tones(*(f * 2 ** (step / 12) for f in (262, 330, 392))))["harmony"])
        for step in (0, 5)
    )
    np.testing.assert_allclose(np.roll(low[:12], 5), high[:12], atol=0.04)
    np.testing.assert_allclose(low[12:], high[12:], atol=0.04)


def test_how_the_samples_arrive_and_how_loud_they_are_change_nothing():
    sound = clicks(100) + tones(220, 277, seconds=30)
    whole, parts, quiet = measure(sound, 10**9), measure(sound, 777), measure(sound / 8)
    assert whole == parts
    assert quiet["tempo"] == pytest.approx(whole["tempo"], rel=0.01)
    assert quiet["key"] == whole["key"]


def test_silence_and_short_songs_have_no_tempo_and_no_key():
    silent = measure(np.zeros(20 * RATE, np.float32))
    assert (silent["tempo"], silent["key"]) == (0.0, "")
    short = measure(clicks(120, seconds=2.0))
    assert short["tempo"] == 0.0
    assert all(np.isfinite(short[name]).all() for name in ("timbre", "rhythm", "harmony"))
