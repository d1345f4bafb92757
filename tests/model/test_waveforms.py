"""Sound as its users hold it: arrays, tensors, lists, integers, stereo."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from audiomae.errors import ConfigError, DataError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import Embedder, untrained

RATE = 16_000


@pytest.fixture(scope="module")
def model() -> Embedder:
    return untrained(ModelSettings(width=16, depth=1, heads=1, decoder_width=16, decoder_depth=1))


def noise(seconds: float, *, clips: int = 1, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(0, 0.1, (clips, round(seconds * RATE)))
    return np.asarray(values, np.float32)


def test_waveforms_of_several_lengths_come_as_a_list_and_keep_their_order(model):
    sounds = [noise(seconds, seed=seed)[0] for seed, seconds in enumerate((3.0, 7.0, 3.0, 12.0))]
    together = model.embed(sounds, RATE)
    alone = np.concatenate([model.embed(sound, RATE) for sound in sounds])
    assert together.shape == (4, model.dim)
    assert np.allclose(together, alone, atol=1e-4)


def test_a_list_of_numbers_is_one_waveform(model):
    sound = noise(1.0)[0]
    assert np.array_equal(model.embed(sound.tolist(), RATE), model.embed(sound, RATE))


@pytest.mark.parametrize(("kind", "full"), [("int8", 2**7), ("int16", 2**15), ("int32", 2**31)])
def test_integers_are_scaled_by_their_full_scale(model, kind, full):
    whole = np.round(noise(5.0, clips=3) / 2 * (full - 1)).astype(kind)
    expected = model.embed(whole.astype(np.float64) / full, RATE)
    assert np.array_equal(model.embed(whole, RATE), expected)
    assert np.array_equal(model.embed(torch.from_numpy(whole), RATE), expected)


def test_unsigned_bytes_have_their_middle_at_128(model):
    whole = np.round(noise(5.0)[0] / 2 * 127 + 128).astype(np.uint8)
    assert np.array_equal(model.embed(whole, RATE), model.embed((whole - 128.0) / 128, RATE))


@pytest.mark.parametrize(
    ("sounds", "match"),
    [
        (np.full(16_000, 3_000.0), r"reach 3000, far beyond \[-1, 1\]; divide them .*32768"),
        (np.zeros(16_000, np.int64), "are int64, whose full scale nobody knows; give int16 or int32"),
        (np.zeros(16_000, complex), "are complex128"),
        (["song.wav"], "are <U8.*use embed_files"),
        ([], "given no waveform"),
        ([[np.zeros(9), np.zeros(8)]], "a list within a list"),
        ([np.zeros((2, 16_000))], r"in a list have shape \(2, 16000\)"),
        (np.zeros((16_000, 1)), r"looks like \(samples, channels\). Say channels='last'"),
        (np.zeros((16_000, 2)), r"looks like \(samples, channels\). Say channels='last'"),
        (np.zeros((2, 16_000)), "two clips, or one stereo sound\\? Say channels='none' for two clips"),
    ],
)
def test_sound_that_could_mean_something_else_is_refused_with_the_way_out(model, sounds, match):
    with pytest.raises(DataError, match=match):
        model.embed(sounds, RATE)


def test_stereo_is_averaged_where_its_channels_are_named(model):
    left, right = noise(6.0), noise(6.0, seed=1)
    mono, stereo = model.embed((left + right)[0] / 2, RATE), np.concatenate([left, right])
    for sounds, channels in (
        (stereo, "first"),
        (stereo.T, "last"),
        (stereo[None], "first"),
        (stereo.T[None], "last"),
        ([stereo], "first"),
        ([stereo.T], "last"),
    ):
        assert np.allclose(model.embed(sounds, RATE, channels=channels), mono, atol=1e-4), channels
    assert model.embed(stereo, RATE, channels="none").shape == (2, model.dim)
    with pytest.raises(ConfigError, match="channels is 'left'; it must be one of none, first, last"):
        model.embed(stereo, RATE, channels="left")


def antiphase(seconds: float) -> np.ndarray:
    """Left = -right for the first half, then alike, (2, samples)."""
    left = noise(seconds)[0]
    signs = np.where(np.arange(len(left)) < len(left) // 2, -1.0, 1.0)
    return np.stack([left, (left * signs)]).astype(np.float32)


@pytest.mark.parametrize("seconds", [6.0, 24.0])
def test_an_array_with_channels_is_mixed_as_its_file_is(model, tmp_path, seconds):
    stereo = antiphase(seconds)
    soundfile.write(tmp_path / "song.wav", stereo.T, RATE, subtype="FLOAT")
    (of_file,) = model.embed_files(tmp_path / "song.wav")
    for sounds, channels in (
        (stereo, "first"),
        (stereo.T, "last"),
        ([stereo.T], "last"),
        (stereo[None], "first"),
    ):
        (found,) = model.embed(sounds, RATE, channels=channels)
        assert np.allclose(found, of_file, atol=1e-5), channels


def test_channels_that_cancel_are_no_silence(model):
    left = noise(6.0)[0]
    (found,) = model.embed(np.stack([left, -left]), RATE, channels="first")
    (wanted,) = model.embed(left, RATE)  # the file's rule fades in for 10 ms
    assert found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted) > 0.999


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_are_taken_even_those_that_want_gradients(model, kind):
    sound = torch.from_numpy(noise(5.0)[0]).to(kind).requires_grad_()
    assert np.array_equal(model.embed(sound, RATE), model.embed(sound.detach().float().numpy(), RATE))
