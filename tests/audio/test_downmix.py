from __future__ import annotations

import numpy as np
import pytest
import soundfile

from audiomae.audio.decode import decode
from audiomae.audio.downmix import Downmix


def noise(channels: int, seconds: float = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (round(seconds * 44_100), channels)).astype("f4")


def test_ordinary_channels_are_averaged_to_the_bit():
    channels = noise(6).T
    assert np.array_equal(Downmix(44_100).mono(channels), channels.T.mean(axis=1, dtype=np.float32))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_a_song_whose_channels_cancel_is_heard(tmp_path, suffix):
    steps = np.arange(4 * 44_100) / 44_100
    left = sum(0.1 * np.sin(2 * np.pi * hertz * steps) for hertz in (220, 554, 1330))
    path, plain = tmp_path / f"a.{suffix}", tmp_path / "plain.wav"
    soundfile.write(path, np.stack([left, -left], axis=1), 44_100)
    soundfile.write(plain, left, 44_100)
    found, whole = decode(path, 16_000), decode(plain, 16_000)
    assert np.corrcoef(found[2_000:-2_000], whole[2_000 : len(found) - 2_000])[0, 1] > (
        0.999 if suffix in ("wav", "flac") else 0.9
    )


def test_of_four_channels_those_against_the_loudest_are_turned_over():
    one, other = noise(2, seed=1).T
    channels = np.stack([one, -one, 0.9 * other, -0.9 * other])
    mono = Downmix(44_100).mono(channels)
    assert np.square(mono).mean() > 0.1 * np.square(channels).mean()


def test_where_cancelling_begins_and_ends_there_is_no_click():
    downmix, steps = Downmix(44_100), np.arange(3 * 44_100) / 44_100
    tone = (0.5 * np.sin(2 * np.pi * 100 * steps)).astype("f4")
    same, against = np.stack([tone, tone]), np.stack([tone, -tone])
    mono = np.concatenate([downmix.mono(block) for block in (same, against, same)])
    assert np.abs(np.diff(mono)).max() < 2 * np.abs(np.diff(tone)).max()
    assert np.allclose(mono[-44_100:], tone[-44_100:], atol=1e-6)


def test_a_channel_that_is_silent_is_no_cancelling():
    channels = np.stack([noise(1)[:, 0], np.zeros(4 * 44_100, np.float32)])
    assert np.array_equal(Downmix(44_100).mono(channels), channels.mean(axis=0, dtype=np.float32))


@pytest.mark.parametrize("channels", [7, 8, 9, 16])
def test_a_song_of_many_channels_is_their_mean_and_no_crash(tmp_path, channels):
    path = tmp_path / "a.ogg"
    steps = np.arange(4 * 44_100) / 44_100
    sound = np.zeros((len(steps), channels), np.float32)
    sound[:, -1] = sound[:, 0] = 0.5 * np.sin(2 * np.pi * 440 * steps)
    soundfile.write(path, sound, 44_100, format="OGG", subtype="VORBIS")
    middle = decode(path, 16_000)[8_000:-8_000]
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.5 / np.sqrt(2) * 2 / channels, rel=0.05)
