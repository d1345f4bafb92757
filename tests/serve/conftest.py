"""A small collection that is served: sixty songs, some of them files, one with a hostile title."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from audiomae.serve.app import make_app
from audiomae.vectors.writer import TrackClips, VectorsWriter
from audiomae.verbs.serve import ServeSettings

HOSTILE = "<script>alert(1)</script> & \"quotes\" 'n' Ünïcode"
HOME = "http://127.0.0.1:8765"


def write_collection(
    folder: Path, songs: Path, *, tracks: int = 60, seed: int = 0, model: str = "m", dim: int = 16
) -> Path:
    """Write vectors of some tracks, a clip or three each; t0 to t3 name the WAV files that lie in `songs`."""
    draw = np.random.default_rng(seed)
    about = {"model_fingerprint": model, "whiten": 0, "hop_seconds": 5.0, "clip_seconds": 4.96}
    writer = VectorsWriter(folder, about, dim, overwrite=True)
    writer.add_part(
        [
            TrackClips(
                f"t{number}",
                np.arange(1 + number % 3) * 5.0,
                draw.normal(size=(1 + number % 3, dim)).astype(np.float32),
            )
            for number in range(tracks)
        ]
    )
    rows = {
        f"t{number}": {
            "title": HOSTILE if number == 7 else f"Söng {number}",
            "artist": f"Artist {number % 7}",
            "album": f"Album {number % 5}",
            "genre": ("Rock", "Jazz", "Rock|Pop")[number % 3],
            "path": str(songs / f"{number}.wav"),
            "seconds": 60.0 + number,
        }
        for number in range(tracks)
    }
    writer.finish(rows)
    return folder


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four WAV files of 6 s, another pitch each."""
    folder = tmp_path_factory.mktemp("served") / "songs"
    folder.mkdir()
    seconds = np.arange(6 * 16_000) / 16_000
    for number in range(4):
        sound = 0.3 * np.sin(2 * np.pi * 220 * (number + 1) * seconds)
        soundfile.write(folder / f"{number}.wav", sound, 16_000)
    return folder


@pytest.fixture(scope="session")
def collection(songs: Path) -> Path:
    """A vectors folder of sixty tracks, to be read only."""
    return write_collection(songs.parent / "vectors", songs)


@pytest.fixture(scope="session")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommender of sixty tracks with untrained towers, to be read only."""
    made = runpy.run_path(str(Path(__file__).parents[1] / "recommend" / "conftest.py"))
    folder: Path = made["write_recommender"](tmp_path_factory.mktemp("served-rec") / "rec", 60)
    return folder


@pytest.fixture
def serve(collection: Path) -> Callable[..., TestClient]:
    """What makes a client of a service with some settings; nothing is opened behind its back."""

    def made(vectors: Path = collection, **settings: Any) -> TestClient:
        chosen = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
        app = make_app(ServeSettings(str(vectors), **chosen))
        return TestClient(app, base_url=HOME, raise_server_exceptions=False)

    return made


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    """A client of a service with the collection alone."""
    return serve()


@pytest.fixture
def write() -> Callable[..., Path]:
    """What writes a collection."""
    return write_collection
