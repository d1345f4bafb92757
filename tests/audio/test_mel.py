from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audiomae.audio.mel import LogMel, MelSettings, invert_log_mel, log_mel_blocks, mel_filters
from audiomae.errors import ConfigError

CONFIGS = [
    MelSettings(),
    MelSettings(sample_rate=22_050, n_fft=2048, hop_samples=441, mels=128, low_hz=0, high_hz=11_025),
    MelSettings(
        sample_rate=8_000, n_fft=512, hop_samples=512, mels=24, low_hz=100, high_hz=4_000, floor=1e-10
    ),
]


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def log_mel_of(samples: NDArray[np.float32], config: MelSettings) -> NDArray[np.float32]:
    return np.asarray(LogMel(config)(torch.from_numpy(samples)[None])[0])


@pytest.mark.parametrize("config", CONFIGS)
def test_log_mels_equal_those_of_librosa(config):
    samples = noise(3 * config.sample_rate + 77)
    theirs = librosa.feature.melspectrogram(
        y=samples,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_samples,
        n_mels=config.mels,
        fmin=config.low_hz,
        fmax=config.high_hz,
        pad_mode="constant",
    )
    # float32 transforms of two libraries: the power differs by some 1e-5 of its value, so does the log.
    np.testing.assert_allclose(log_mel_of(samples, config), np.log(theirs.T + config.floor), atol=5e-4)


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 16_000, 80_000])
def test_there_is_a_frame_for_every_hop_and_one_more(samples):
    config = MelSettings()
    assert log_mel_of(noise(samples), config).shape == (samples // 160 + 1, 80)
    assert config.frames(samples) == samples // 160 + 1


@pytest.mark.parametrize("hertz", [110.0, 440.0, 1_000.0, 6_000.0])
def test_a_pure_tone_is_loudest_in_the_band_that_holds_it(hertz):
    config = MelSettings()
    tone = np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000).astype(np.float32)
    edges = librosa.mel_frequencies(config.mels + 2, fmin=config.low_hz, fmax=config.high_hz)
    middle = log_mel_of(tone, config)[20:80].mean(axis=0)
    loudest = int(middle.argmax())
    assert edges[loudest] < hertz < edges[loudest + 2]
    far = np.abs(np.arange(config.mels) - loudest) > 12
    assert middle[far].max() < middle[loudest] - 6


def test_silence_is_the_log_of_the_floor_everywhere():
    config = MelSettings()
    assert log_mel_of(np.zeros(16_000, np.float32), config) == pytest.approx(math.log(config.floor), abs=1e-6)


def test_padding_is_never_louder_than_silence():
    """Zeros before the log: a frame that reaches past the end holds less power, never more."""
    config = MelSettings()
    samples = np.full(16_000, 0.0, np.float32)
    samples[8_000:8_100] = 0.5
    frames = log_mel_of(samples, config)
    quiet = frames[:3].max(), frames[-3:].max()
    assert max(quiet) <= math.log(config.floor) + 1e-6
    steady = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    energy = np.exp(log_mel_of(steady, config)).sum(axis=1)
    assert max(energy[0], energy[-1]) < energy[40:60].mean()


def test_six_decibels_more_add_log_four_to_every_value_above_the_floor():
    config = MelSettings(floor=1e-12)
    samples = noise(16_000)
    louder = log_mel_of(2 * samples, config) - log_mel_of(samples, config)
    np.testing.assert_allclose(louder, math.log(4), atol=1e-3)


@pytest.mark.parametrize(
    "cuts",
    [[], [1], [100, 101, 300], [16_000, 32_000], [163_000, 163_840, 164_864], list(range(512, 300_000, 512))],
)
def test_streaming_equals_the_whole_however_the_samples_arrive(cuts):
    config = MelSettings()
    samples = noise(350_001)
    streamed = np.concatenate(list(log_mel_blocks(np.split(samples, cuts), config)))
    # The matrix product may add in another order when more frames are computed at once.
    np.testing.assert_allclose(streamed, log_mel_of(samples, config), atol=1e-5)
    assert streamed.dtype == np.float32


def test_how_the_samples_arrive_changes_not_one_bit():
    config = MelSettings()
    samples = noise(350_001)
    one = np.concatenate(list(log_mel_blocks([samples], config)))
    many = np.concatenate(list(log_mel_blocks(np.array_split(samples, 999), config)))
    assert one.tobytes() == many.tobytes()


@pytest.mark.parametrize("samples", [1, 10, 511, 512, 513, 1024, 1023 * 160 + 1024, 1023 * 160 + 1025])
def test_streaming_gives_as_many_frames_as_the_whole_at_every_edge(samples):
    config = MelSettings()
    streamed = np.concatenate(list(log_mel_blocks([noise(samples)], config)))
    assert len(streamed) == config.frames(samples)


def test_no_samples_give_no_frames():
    assert list(log_mel_blocks([], MelSettings())) == []


def test_no_band_of_the_defaults_is_empty_and_none_weighs_more_than_its_width_allows():
    filters = mel_filters(MelSettings())
    assert filters.shape == (513, 80)
    assert bool((filters.sum(dim=0) > 0).all())
    # Slaney: every triangle has area 1 in Hz. Narrow ones are sampled by few bins, 15.6 Hz apart.
    areas = filters.sum(dim=0) * 16_000 / 1024
    assert areas.mean().item() == pytest.approx(1, abs=0.02)


def test_bands_without_a_bin_are_refused():
    with pytest.raises(ConfigError, match=r"mel.n_fft 256 leaves \d+ of 128 mel bands without a bin\. Use"):
        LogMel(MelSettings(n_fft=256, mels=128))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"high_hz": 9_000.0}, "low_hz 50 and mel.high_hz 9000 must rise within 0 to 8000 Hz"),
        ({"low_hz": 8_000.0}, "must rise within"),
        ({"low_hz": -1.0}, "must rise within"),
        ({"n_fft": 401}, "n_fft 401 is odd"),
        ({"n_fft": 4}, "n_fft is 4; it must be from 16"),
        ({"hop_samples": 0}, "hop_samples is 0; it must be from 1"),
        ({"hop_samples": 2_000}, "skips samples"),
        ({"mels": 0}, "mels is 0; it must be from 1"),
        ({"sample_rate": 10}, "sample_rate is 10; it must be from 1000"),
        ({"floor": 0.0}, "floor 0 is outside"),
        ({"floor": math.nan}, "floor nan is outside"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MelSettings(**settings)


def test_the_log_mel_is_computed_in_float32_under_autocast():
    config = MelSettings()
    samples = torch.from_numpy(noise(16_000))[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = LogMel(config)(samples)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, LogMel(config)(samples))


def test_an_inverted_log_mel_sounds_like_it_and_repeats_with_its_seed():
    config = MelSettings()
    steps = np.arange(32_000) / 16_000
    samples = (0.3 * np.sin(2 * np.pi * 440 * steps) + 0.2 * np.sin(2 * np.pi * 1_320 * steps)).astype(
        np.float32
    )
    log_mel = log_mel_of(samples, config)
    rebuilt = invert_log_mel(log_mel, config, seed=3)
    assert rebuilt.shape == (32_000,)
    assert np.abs(rebuilt).max() <= 1
    again = log_mel_of(rebuilt, config)[20:180].mean(axis=0)
    assert abs(int(again.argmax()) - int(log_mel[20:180].mean(axis=0).argmax())) <= 1
    assert np.corrcoef(again, log_mel[20:180].mean(axis=0))[0, 1] > 0.8
    assert np.array_equal(rebuilt, invert_log_mel(log_mel, config, seed=3))
    assert not np.array_equal(rebuilt, invert_log_mel(log_mel, config, seed=4))
