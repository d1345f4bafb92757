"""What many tests share: seeded generators, small models, small corpora."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Shapes in signatures are checked at every call of the network, in tests alone.
NETWORK = (
    "autoencoder",
    "clip_head",
    "decoder",
    "encoder",
    "level",
    "masking",
    "patches",
    "pooling",
)
NETWORK += ("positions", "transformer")
CHECKED = [f"audiomae.model.{name}" for name in NETWORK]
CHECKED += ["audiomae.pretraining.augmentation", "audiomae.pretraining.guesses"]
install_import_hook(CHECKED, "beartype.beartype")

from audiomae.audio.mel import MelSettings
from audiomae.corpus import build as build_module
from audiomae.corpus import pool
from audiomae.corpus.song import TAGS
from audiomae.corpus.writer import CorpusWriter
from audiomae.errors import StorageError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import save, untrained
from audiomae.similarity.collection import Collection
from audiomae.vectors.writer import TrackClips, VectorsWriter

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell starts what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture
def power_cut(monkeypatch) -> Callable[[type, int], contextlib.AbstractContextManager[None]]:
    """Ends the training within the block when a kind of task is asked for the samples of a step."""

    @contextlib.contextmanager
    def at(task: type, last: int) -> Iterator[None]:
        draw = task.draw

        def die(self, step, share):
            if step == last:
                raise RuntimeError("power cut")
            return draw(self, step, share)

        with monkeypatch.context() as patched:
            patched.setattr(task, "draw", die)
            with pytest.raises(RuntimeError, match="power cut"):
                yield

    return at


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded source of randomness."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def shared() -> Path:
    """The benchmark material beside the checkout, where it is there."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "bench" / "labels.csv").is_file():
        pytest.skip("the benchmark audio (../shared/bench) is not beside this checkout")
    return folder


def write_corpus(
    folder: Path, *, tracks: int = 6, seconds: float = 12.0, seed: int = 0, mel: MelSettings | None = None
) -> Path:
    """Write a corpus of synthetic log-mels (each track a chord of its own that fades in and out)."""
    generator = np.random.default_rng(seed)
    mel = mel or MelSettings()
    writer = CorpusWriter(folder, mel)
    frames = round(seconds * 100)
    with writer.spool() as spool:
        for number in range(tracks):
            bands = generator.choice(mel.mels, 6, replace=False)
            shape = np.exp(-0.5 * ((np.arange(mel.mels)[:, None] - bands) / 1.5) ** 2).sum(axis=1)
            beat = 1 + np.sin(np.arange(frames) * 2 * np.pi / generator.integers(30, 90))
            values = -10 + 6 * shape * beat[:, None] + generator.normal(0, 0.3, (frames, mel.mels))
            stored = values.astype(np.float16)
            path = spool / f"{number}.raw"
            stored.tofile(path)
            exact = stored.astype(np.float64)
            row = dict.fromkeys(TAGS, "")
            row |= {
                "track_id": f"song-{number}",
                "path": f"songs/{number}.wav",
                "content": f"content-{number}",
            }
            row |= {"seconds": seconds, "frames": frames, "level": -20.0, "bytes": 1, "modified_ns": 1}
            row |= {"mel_sum": float(exact.sum()), "mel_square_sum": float((exact**2).sum())}
            writer.add(row, path)
        writer.commit({"decoder": "synthetic"})
    return folder


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of six synthetic tracks of 12 s."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "small")


@pytest.fixture(scope="session")
def wide_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of four synthetic tracks of 12 s with 96 mel bands in place of 80."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "wide", tracks=4, mel=MelSettings(mels=96))


TINY = ModelSettings(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of a tiny model with random weights; a test that changes it (a whitening) takes a copy."""
    folder = tmp_path_factory.mktemp("model") / "run"
    save(untrained(TINY), folder, {})
    there = sorted(folder.iterdir())
    yield folder
    assert sorted(folder.iterdir()) == there


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files of 6 s, two of each of three pitches, with some noise."""
    folder = tmp_path_factory.mktemp("tones") / "songs"
    folder.mkdir()
    generator = np.random.default_rng(0)
    seconds = np.arange(6 * 16_000) / 16_000
    for number in range(6):
        pitch = 220 * 2 ** (number // 2)
        sound = 0.3 * np.sin(2 * np.pi * pitch * seconds) + generator.normal(0, 0.01, len(seconds))
        soundfile.write(folder / f"tone-{number}.wav", sound, 16_000)
    return folder


@pytest.fixture
def alone(monkeypatch) -> None:
    """Songs are prepared in the process that asks for it, so that one kill ends all."""

    def in_order(jobs, _, mel, limits):
        for number, job in enumerate(jobs):
            result = pool.attempt(job.path, job.mels, mel, limits)
            if "storage" in result:
                raise StorageError(result["storage"])
            yield number, result

    monkeypatch.setattr(build_module, "prepare_in_order", in_order)


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the object in a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.fixture
def edit() -> Callable[[Path, Callable[[dict[str, Any]], object]], None]:
    """What changes the object in a JSON file."""
    return edit_json


GROUPS = ("bells", "drums", "strings")


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Collection]:
    """Make a collection of vectors, one or more clips a song, with what is known of each."""

    def make(
        clips: Mapping[str, Sequence[Sequence[float]]],
        about: Mapping[str, Mapping[str, object]] | None = None,
    ) -> Collection:
        first = np.asarray(next(iter(clips.values())))
        settings = {"model_fingerprint": "m", "whiten": 0, "hop_seconds": 5.0, "clip_seconds": 5.0}
        writer = VectorsWriter(tmp_path / "vectors", settings, first.shape[1])
        writer.add_part(
            [
                TrackClips(name, 5.0 * np.arange(len(values)), np.asarray(values, np.float32))
                for name, values in clips.items()
            ]
        )
        writer.finish(about or {})
        return Collection.open(tmp_path / "vectors")

    return make


@pytest.fixture
def orchestra(build: Callable[..., Collection]) -> Collection:
    """Sixty songs of three groups, twenty each; artist, album, tempo and key follow from their numbers."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((3, 12)) * 2
    clips, about = {}, {}
    for group, name in enumerate(GROUPS):
        for number in range(20):
            song = f"{name}-{number:02d}"
            clips[song] = centres[group] + rng.standard_normal((3, 12))
            about[song] = {
                "title": f"{name} {number}",
                "artist": f"{name} band {number % 4}",
                "album": f"{name} album {number % 5}",
                "genre": name,
                "path": f"/music/{name}/{number:02d}.ogg",
                "seconds": 60.0 + 10 * number,
                "tempo": 80.0 + 5 * number,
                "key": ("C", "Am")[number % 2],
                "timbre": rng.standard_normal(4).tolist(),
                "rhythm": [float(number % 2), float(number % 2 == 0), 0.5],
                "harmony": rng.standard_normal(3).tolist(),
            }
    return build(clips, about)
