from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from audiomae.similarity.collection import Collection
from audiomae.vectors.writer import TrackClips, VectorsWriter

GROUPS = ("bells", "drums", "strings")


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Collection]:
    """Make a collection of vectors, one or more clips a song, with what is known of each."""

    def make(
        clips: Mapping[str, Sequence[Sequence[float]]], about: Mapping[str, Mapping[str, object]] | None = None
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
