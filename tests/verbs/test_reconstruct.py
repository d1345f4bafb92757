from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from audiomae.audio.mel import invert_log_mel
from audiomae.errors import ConfigError, DataError
from audiomae.model.autoencoder import Autoencoder, normalise_patches, split_places, take_tokens
from audiomae.model.embedder import load
from audiomae.verbs.reconstruct import ReconstructSettings, reconstruct


@pytest.fixture(autouse=True)
def two_rounds(monkeypatch):
    """Guess the phase quickly; how well it sounds is not asked here."""
    monkeypatch.setattr("audiomae.verbs.reconstruct.invert_log_mel", partial(invert_log_mel, rounds=2))


def test_a_picture_and_three_sounds_of_one_clip_are_written(tiny_model, tones, tmp_path, capsys):
    out = tmp_path / "out"
    config = ReconstructSettings(str(tiny_model), str(tones / "tone-2.wav"), str(out), start_seconds=0.5)
    made = reconstruct(config)
    assert capsys.readouterr() == ("", "")
    assert (made.start_seconds, made.clip_seconds) == (0.5, 4.96)
    assert made.masked_share == pytest.approx(0.7, abs=0.03)
    assert made.error_db > 0
    assert made.picture == out / "reconstruction.png"
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (made.picture, *made.pictures))
    sounds = {}
    for name in ("original", "masked", "rebuilt"):
        sounds[name], rate = soundfile.read(getattr(made, name))
        assert rate == 16_000
        assert len(sounds[name]) == pytest.approx(496 * 160, abs=160)
    spectrum = np.abs(np.fft.rfft(sounds["original"]))
    assert spectrum.argmax() * 16_000 / len(sounds["original"]) == pytest.approx(440, abs=30)
    assert np.square(sounds["masked"]).mean() < 0.5 * np.square(sounds["original"]).mean()


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_mask(tiny_model, tones, tmp_path):
    def run(name: str, seed: int) -> dict[str, bytes]:
        reconstruct(
            ReconstructSettings(str(tiny_model), str(tones / "tone-0.wav"), str(tmp_path / name), seed=seed)
        )
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    first = run("a", 0)
    assert run("b", 0) == first
    assert run("c", 1)["reconstruction.png"] != first["reconstruction.png"]


def test_a_perfect_guess_of_the_patches_gives_the_original_back(tiny_model, tones, tmp_path, monkeypatch):
    def know_all(self, clips, _, hidden):
        truth = take_tokens(self.patches_of(clips).flatten(1, 2), hidden)
        return type("Rebuilt", (), {"patches": normalise_patches(truth)})

    monkeypatch.setattr(Autoencoder, "forward", know_all)
    made = reconstruct(ReconstructSettings(str(tiny_model), str(tones / "tone-2.wav"), str(tmp_path)))
    assert made.error_db == pytest.approx(0, abs=0.01)
    assert (tmp_path / "rebuilt.wav").stat().st_size == (tmp_path / "original.wav").stat().st_size


def test_what_the_encoder_saw_is_left_as_it_was(tiny_model):
    model = load(tiny_model).autoencoder
    clips = torch.randn(1, 496, 80, generator=torch.Generator().manual_seed(0))
    masked = torch.zeros(1, 31, 5, dtype=torch.bool)
    masked[:, 10:15] = True
    rebuilt = model.rebuild(clips, masked)
    assert split_places(masked)[1].shape == (1, 25)
    assert torch.equal(rebuilt[:, :160], clips[:, :160])
    assert torch.equal(rebuilt[:, 240:], clips[:, 240:])
    assert not torch.equal(rebuilt[:, 160:240], clips[:, 160:240])


def test_a_start_too_late_a_song_too_short_and_a_wrong_ratio_are_refused(tiny_model, tones, tmp_path):
    song = str(tones / "tone-0.wav")
    with pytest.raises(DataError, match=r"use --start_seconds 1\.05 or less"):
        reconstruct(ReconstructSettings(str(tiny_model), song, str(tmp_path), start_seconds=3.0))
    with pytest.raises(ConfigError, match="start_seconds is -1"):
        ReconstructSettings("run", song, start_seconds=-1.0)
    with pytest.raises(ConfigError, match="ratio"):
        reconstruct(ReconstructSettings(str(tiny_model), song, str(tmp_path), ratio=0.999))
    soundfile.write(tmp_path / "short.wav", np.ones(16_000) * 0.1, 16_000)
    with pytest.raises(DataError, match=r"1\.01 s; a clip takes 4\.96 s"):
        reconstruct(ReconstructSettings(str(tiny_model), str(tmp_path / "short.wav"), str(tmp_path)))
