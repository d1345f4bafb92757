"""Clips of another length, more mel bands or another hop: one setting, and the whole path follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiomae
from audiomae.cli.main import main

RATE = 16_000
SIZES = {"width": 32, "depth": 2, "heads": 2, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
SECONDS = (12.0, 15.0, 24.0, 6.0, 13.0, 12.5)
"""The fourth song is in a corpus made with the defaults, but holds no clip of 10 s."""


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs that differ: a chord each, over noise."""
    folder = tmp_path_factory.mktemp("songs")
    generator = np.random.default_rng(0)
    for number, seconds in enumerate(SECONDS):
        time = np.arange(round(seconds * RATE)) / RATE
        pitches = generator.uniform(100, 2_000, 4)
        sound = sum(0.1 * np.sin(2 * np.pi * pitch * time) * np.sin(pitch / 900 * time) for pitch in pitches)
        soundfile.write(folder / f"{number}.wav", sound + generator.normal(0, 0.01, len(time)), RATE)
    return folder


@pytest.mark.parametrize(
    ("mel", "model", "hop_seconds"),
    [
        pytest.param({}, {"clip_frames": 992}, 10.0, id="clips of 10 s"),
        pytest.param({"mels": 128}, {"mels": 128}, 5.0, id="128 mel bands"),
        pytest.param({"hop_samples": 320}, {}, 10.0, id="frames of 20 ms"),
    ],
)
@pytest.mark.processes
def test_one_setting_carries_from_songs_to_similar_songs(songs, tmp_path, mel, model, hop_seconds):
    corpus, run, out = (str(tmp_path / name) for name in ("corpus", "run", "vectors"))
    mels = [f"--mel.{name}={value}" for name, value in mel.items()]
    sizes = [f"--model.{name}={value}" for name, value in {**SIZES, **model}.items()]
    few = ["--steps=2", "--held_out=0.2", "--train.batch=4", "--train.threads=1"]
    assert main(["prepare", str(songs), "--out", corpus, "--workers=1", *mels]) == 0
    assert main(["pretrain", "--corpus", corpus, "--out", run, *few, *sizes]) == 0
    assert main(["export", run, corpus, "--out", out, "--threads=1"]) == 0
    embedder, vectors = audiomae.load(run), audiomae.Vectors.open(out)
    assert embedder.hop_seconds == vectors.meta["hop_seconds"] == hop_seconds
    assert 0 <= hop_seconds - embedder.clip_seconds < 0.1
    clips = [max(1, 1 + int((seconds - embedder.clip_seconds) / hop_seconds)) for seconds in SECONDS]
    assert vectors.tracks["clips"].to_pylist() == clips
    song = str(songs / "2.wav")
    found = audiomae.similar(out, file=song, model=run, k=1)
    assert (found.similar[0].title, found.similar[0].cosine) == ("2", pytest.approx(1.0, abs=1e-3))
    stored = vectors.tracks["vector"][2].as_py()
    assert np.allclose(embedder.embed_files(song)[0], stored, atol=1e-4)
