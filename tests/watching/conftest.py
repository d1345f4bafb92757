"""Short songs in a folder that changes, and what follows it within this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiomae.model.embedder import load
from audiomae.vectors.vectors import Vectors
from audiomae.verbs.watch import WatchResult, WatchSettings, watch


def write_song(path: Path, pitch: float, *, seconds: float = 0.5, age: float = 3600.0) -> Path:
    """Write a tone; it was last modified some seconds ago, another time for each pitch."""
    times = np.arange(round(seconds * 16_000)) / 16_000
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * times), 16_000)
    moment = path.stat().st_mtime_ns - round((age + pitch) * 1e9)
    os.utime(path, ns=(moment, moment))
    return path


@pytest.fixture
def song() -> Callable[..., Path]:
    """What writes a song."""
    return write_song


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A folder of five short songs."""
    for number in range(5):
        write_song(tmp_path / "songs" / f"{number}.wav", 200 + 50 * number)
    return tmp_path / "songs"


@pytest.fixture
def once(
    alone: None,  # noqa: ARG001
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., WatchResult]:
    """What brings a vectors folder up to date, without waiting for files to lie still."""
    monkeypatch.setattr("audiomae.verbs.watch.load", cache(load))

    def run(songs: Path, out: Path | None = None, **settings: Any) -> WatchResult:
        values = {"model": str(tiny_model), "once": True, "settle_seconds": 0.0, **settings}
        return watch(WatchSettings(str(songs), str(out or tmp_path / "v"), **values))

    return run


def names_of(folder: Path) -> list[str]:
    """Return the file names of a folder's tracks, in order."""
    return [Path(path).name for path in Vectors.open(folder).tracks["path"].to_pylist()]


@pytest.fixture
def names() -> Callable[[Path], list[str]]:
    """What names the songs of a vectors folder."""
    return names_of


def state_of(folder: Path) -> dict[str, Any]:
    """Return what a folder holds, whatever it went through to get there: tracks, clips and known files."""
    from audiomae.watching.known import read_known

    vectors = Vectors.open(folder)
    for row in range(len(vectors.track_ids)):
        vectors.clips_of(row)
    by_id = dict(zip(vectors.track_ids, vectors.tracks["path"].to_pylist(), strict=True))
    means = dict(zip(vectors.track_ids, vectors.track_vectors.round(5).tolist(), strict=True))
    clips = [(clip.track_id, clip.clip_index) for clip in vectors.clips()]
    known = {
        row.path: (row.track_id, row.reason, row.content)
        for row in read_known(folder / "watch.parquet").values()
    }
    return {"paths": by_id, "means": means, "clips": sorted(clips), "known": known}


@pytest.fixture
def state() -> Callable[[Path], dict[str, Any]]:
    """What tells what a vectors folder holds."""
    return state_of
