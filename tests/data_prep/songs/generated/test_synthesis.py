"""Sounds made from numbers, against what they must measure."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.songs.generated.synthesis import (
    INSTRUMENTS,
    SAMPLE_RATE,
    Note,
    Timbre,
    hit_drum,
    master,
    play,
    vary_timbre,
)


def strongest_hz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * SAMPLE_RATE / len(samples)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_an_instrument_plays_the_pitch_it_is_given(name):
    samples = play([Note(0, 1, 69)], INSTRUMENTS[name], SAMPLE_RATE, np.random.default_rng(0))
    assert min(abs(strongest_hz(samples) - harmonic * 440) for harmonic in (1, 2, 3)) < 4


def test_partials_above_half_the_rate_are_left_out():
    samples = play([Note(0, 1, 108)], Timbre(slope=0.0), SAMPLE_RATE, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    harmonic = np.abs(hz / 4186.01 - np.round(hz / 4186.01)) * 4186.01 < 30
    assert spectrum[~harmonic].sum() < 1e-3 * spectrum.sum()


def test_notes_start_when_they_are_told_and_end_with_the_piece():
    samples = play(
        [Note(0.5, 9, 60), Note(2, 1, 60)], INSTRUMENTS["organ"], SAMPLE_RATE, np.random.default_rng(0)
    )
    assert len(samples) == SAMPLE_RATE
    assert not samples[: SAMPLE_RATE // 2].any()
    assert samples[SAMPLE_RATE // 2 :].any()


def test_two_makers_instruments_differ():
    rng = np.random.default_rng(0)
    assert vary_timbre(INSTRUMENTS["piano"], rng) != vary_timbre(INSTRUMENTS["piano"], rng)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("kick", 20, 200), ("snare", 100, 8000), ("hat", 4000, 11_025), ("ride", 4000, 11_025)],
)
def test_a_drum_sounds_in_its_own_range(name, low, high):
    samples = hit_drum(name, np.random.default_rng(0))
    assert np.abs(samples).max() == pytest.approx(1)
    assert low < strongest_hz(samples) < high


def test_the_master_sets_the_level_and_the_colour():
    rng = np.random.default_rng(0)
    dry = rng.standard_normal(2 * SAMPLE_RATE, dtype=np.float32)
    settings = {"wet": 0.3, "noise_db": -60.0, "low_hz": 30.0, "high_hz": 9000.0, "level_db": -20.0}
    dull = master(dry, np.random.default_rng(1), room_seconds=0.5, tilt_db=-6.0, **settings)
    bright = master(dry, np.random.default_rng(1), room_seconds=0.5, tilt_db=0.0, **settings)
    assert len(dull) == len(dry)
    for samples in (dull, bright):
        assert 10 * np.log10(np.mean(samples**2)) == pytest.approx(-20, abs=1.5)

    def centroid(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        return (power * np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)).sum() / power.sum()

    assert centroid(dull) < 0.3 * centroid(bright)
