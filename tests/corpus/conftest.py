"""Songs of noise and the corpora made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audiomae.corpus import build as pipeline
from audiomae.corpus.build import PrepareResult, prepare_corpus
from audiomae.corpus.song import Song
from audiomae.corpus.worker import prepare_song

RATE = 16_000


def make_song(path: Path, seed: int, seconds: float = 6.0, **kind: Any) -> Path:
    """Write noise of its own colour; the same seed gives the same content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    soundfile.write(path, noise.astype(np.float32), RATE, **({"subtype": "PCM_16"} | kind))
    return path


def prepare_folder(folder: Path, out: Path, **settings: Any) -> PrepareResult:
    """Prepare all files of a folder with two workers."""
    songs = [Song(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    return prepare_corpus(songs, out, **({"workers": 2} | settings))


def rejects_of(out: Path) -> dict[str, str]:
    """Why each file was left out, by its name."""
    rows = pq.ParquetFile(out / "rejects.parquet").read().to_pylist()
    return {Path(row["path"]).name: row["reason"] for row in rows}


def files_of(folder: Path) -> dict[str, bytes]:
    """The bytes of each file but the lock."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def songs(tmp_path) -> Path:
    """A folder of six songs."""
    for number in range(6):
        make_song(tmp_path / "songs" / f"{number}.wav", number)
    return tmp_path / "songs"


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the files that are decoded, here instead of in other processes."""
    names: list[str] = []

    def in_order(jobs, _, mel, limits):
        for number, job in enumerate(jobs):
            names.append(job.path.name)
            yield number, json.loads(json.dumps(prepare_song(job.path, job.mels, mel, limits)))

    monkeypatch.setattr(pipeline, "prepare_in_order", in_order)
    return names


@pytest.fixture
def write_song() -> Callable[..., Path]:
    """What writes a song of noise, chosen by a seed."""
    return make_song


@pytest.fixture
def prepare() -> Callable[..., PrepareResult]:
    """What prepares all files of a folder."""
    return prepare_folder


@pytest.fixture
def rejects() -> Callable[[Path], dict[str, str]]:
    """What tells why each file was left out of a corpus, by its name."""
    return rejects_of


@pytest.fixture
def files() -> Callable[[Path], dict[str, bytes]]:
    """What reads the bytes of each file of a folder but the lock."""
    return files_of
