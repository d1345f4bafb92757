"""The model as its users meet it: the same sound, the same vector."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch

from audiomae.audio.mel import LogMel, MelSettings
from audiomae.errors import ConfigError, DataError, DecodeError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import untrained
from audiomae.model.whitening import Whitening

RATE = 16_000


def cosines(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    one, two = (vectors.astype(np.float64) for vectors in (one, two))
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(two, axis=-1)
    return np.asarray((one * two).sum(axis=-1) / norms)


def test_clips_of_different_music_get_different_vectors(music, model):
    """Guards the tests below: cosines near 1 between the same music mean something."""
    vectors = model.embed(music(4.96, clips=4), RATE)
    vectors = vectors - vectors.mean(axis=0)
    between = cosines(vectors[:, None], vectors[None])[~np.eye(4, dtype=bool)]
    assert between.max() < 0.5


@pytest.mark.parametrize("pool", ["mean", "freq_concat", "mean_std"])
def test_a_batch_of_n_equals_n_batches_of_one(music, model, pool):
    readout = model.with_pooling(pool=pool)
    clips = music(4.96, clips=5)
    together = readout.embed(clips, RATE)
    alone = np.concatenate([readout.embed(clip, RATE) for clip in clips])
    by_twos = readout.embed(clips, RATE, batch=2)
    assert together.shape == (5, readout.dim)
    assert cosines(together, alone).min() >= 0.9999
    assert cosines(together, by_twos).min() >= 0.9999
    # Beyond the direction: float32 sums in another order.
    assert np.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("decibels", [-6.0, 6.0])
def test_level_does_not_matter(music, model, decibels):
    clips = music(4.96, clips=4) / 2
    louder = clips * np.float32(10 ** (decibels / 20))
    one, two = model.embed(clips, RATE), model.embed(louder, RATE)
    assert cosines(one, two).min() >= 0.999
    # The mean over clips is shared by all; what is left must agree too.
    assert cosines(one - one.mean(axis=0), two - one.mean(axis=0)).min() >= 0.999


def test_the_same_file_gives_the_same_vector_each_time(music, model, tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, music(12.0)[0], RATE)
    first = model.embed_files([path])
    again = model.embed_files([path, path])
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[0], again[1])


def test_a_file_gives_the_vector_of_its_samples(music, model, tmp_path):
    sound = music(12.0)[0]
    path = tmp_path / "song.wav"
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    assert cosines(model.embed_files([str(path)]), model.embed(sound, RATE)).min() >= 0.9999


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(music, model, bad):
    sound = music(1.0)
    sound[0, 500] = bad
    with pytest.raises(DataError, match=r"not finite \(NaN or infinite\)"):
        model.embed(sound, RATE)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 3, 4)])
def test_waveforms_of_another_shape_are_refused(model, shape):
    with pytest.raises(DataError, match="waveforms have shape"):
        model.embed(np.zeros(shape, np.float32), RATE)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.2, 1.0, 4.0])
def test_short_clips_have_vectors_too(music, model, seconds):
    vectors = model.embed(music(max(seconds, 1.0), clips=3)[:, : round(seconds * RATE)], RATE)
    assert vectors.shape == (3, model.dim)
    assert np.isfinite(vectors).all()


def test_silence_has_a_vector(model):
    assert np.isfinite(model.embed(np.zeros(5 * RATE, np.float32), RATE)).all()


def test_long_audio_is_the_mean_of_its_windows(music, model):
    sound = music(16.0)[0]
    whole = model.embed(sound, RATE)[0]
    # Windows at 0, 5 and 10 s, each with the sound around it that its edge frames reach into.
    log_mel = LogMel(model.mel)(torch.from_numpy(sound)[None]).half().float()[0]
    windows = torch.stack([log_mel[start : start + 496] for start in (0, 500, 1000)])
    assert np.allclose(whole, model.embed_mels(windows).mean(dim=0).numpy(), atol=1e-5)
    # Cut from the waveform instead, only the frames at the cuts differ.
    cut = np.stack([sound[start : start + round(4.96 * RATE)] for start in (0, 5 * RATE, 10 * RATE)])
    assert cosines(whole, model.embed(cut, RATE).mean(axis=0)) > 0.999


def test_another_sample_rate_is_resampled(music, model):
    fine = music(4.96, clips=3, rate=44_100)
    coarse = soxr.resample(fine.T, 44_100, RATE, quality="VHQ").T
    one, two = model.embed(fine, 44_100), model.embed(coarse, RATE)
    # Another resampler: they differ near 8 kHz.
    assert cosines(one, two).min() > 0.999
    assert cosines(one, model.embed(fine, RATE)).min() < 0.99  # a rate that is ignored would show


def test_a_readout_of_another_layer_pooling_and_whitening(music, model):
    clips = music(4.96, clips=8)
    raw = model.with_pooling(layer=1, pool="mean")
    assert (raw.layer, raw.pool, raw.dim, model.layer) == (1, "mean", 48, 3)
    white = Whitening.fit(raw.embed(clips, RATE), 4)
    changed = raw.with_pooling(whiten=white)
    assert changed.dim == 4
    assert np.allclose(changed.embed(clips, RATE), white.transform(raw.embed(clips, RATE)), atol=1e-3)


def test_a_readout_that_does_not_fit_is_refused(model):
    with pytest.raises(ConfigError, match="layer 4 is not one of 1 to 3"):
        model.with_pooling(layer=4)
    white = Whitening.fit(np.random.default_rng(0).normal(size=(20, 7)), 2)
    with pytest.raises(
        ConfigError, match=r"takes vectors of 7 values; layer 3 pooled by freq_concat gives 240"
    ):
        model.with_pooling(whiten=white)


@pytest.mark.parametrize("shape", [(1, 497, 80), (1, 15, 80), (1, 496, 64)])
def test_log_mels_that_do_not_fit_are_refused(model, shape):
    with pytest.raises(
        DataError, match=f"log-mels of {shape[1]} frames x {shape[2]} mels; this model takes 16 to 496"
    ):
        model.embed_mels(torch.zeros(shape))


def test_files_that_are_none_or_no_audio_are_refused(model, tmp_path):
    with pytest.raises(DataError, match="was given no path"):
        model.embed_files([])
    text = Path(tmp_path / "song.wav")
    text.write_text("no music")
    with pytest.raises(DecodeError, match=r"song\.wav"):
        model.embed_files(text)
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros(100, np.float32), RATE)
    with pytest.raises(DataError, match=r"short\.wav: 0\.01 s; an embedding needs 0\.16 s"):
        model.embed_files([short])


def test_the_untrained_baseline_has_the_same_sizes_and_other_weights(music, model):
    base = untrained(model, seed=1)
    assert (base.dim, base.layer, base.pool, base.fingerprint) == (
        model.dim,
        model.layer,
        model.pool,
        "untrained-1",
    )
    sound = music(2.0)
    assert np.array_equal(base.embed(sound, RATE), untrained(model, seed=1).embed(sound, RATE))
    assert not np.allclose(base.embed(sound, RATE), model.embed(sound, RATE))


def test_one_path_is_a_file_and_not_its_letters(music, model, tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, music(6.0)[0], RATE)
    assert np.array_equal(model.embed_files(str(path)), model.embed_files([path]))


def test_bad_files_are_skipped_with_a_warning_or_come_with_their_error(music, model, tmp_path, caplog):
    good, bad, gone = tmp_path / "good.wav", tmp_path / "bad.wav", tmp_path / "gone.wav"
    soundfile.write(good, music(6.0)[0], RATE)
    bad.write_text("no music")
    files = [bad, good, gone]
    vectors = model.embed_files(iter(files), on_error="skip")
    assert np.array_equal(vectors, model.embed_files(good))
    assert ["bad.wav" in record.message or "gone.wav" in record.message for record in caplog.records] == [
        True
    ] * 2
    assert model.embed_files(bad, on_error="skip").shape == (0, model.dim)
    found = list(model.iter_files(files))
    assert [one.path for one in found] == files
    assert [one.error is None for one in found] == [False, True, False]
    assert found[0].vector is None
    assert np.array_equal(found[1].vector, vectors[0])
    with pytest.raises(ConfigError, match="on_error is 'ignore'; it must be raise or skip"):
        model.embed_files(good, on_error="ignore")


@pytest.mark.parametrize(
    ("frames", "hop_samples", "seconds"),
    [(496, 160, 5.0), (992, 160, 10.0), (496, 320, 10.0), (32, 160, 0.4)],
)
def test_long_sound_is_cut_every_clip_up_to_the_next_tenth_of_a_second(music, frames, hop_samples, seconds):
    sizes = ModelSettings(width=16, depth=1, heads=1, decoder_width=16, decoder_depth=1, clip_frames=frames)
    model = dataclasses.replace(untrained(sizes), mel=MelSettings(hop_samples=hop_samples))
    assert model.hop_seconds == seconds
    assert model.embed(music(2.5 * seconds)[0], RATE).shape == (1, model.dim)
