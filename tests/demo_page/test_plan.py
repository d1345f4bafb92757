"""How long the demo says it will take."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from audiomae.demo_page import plan


@pytest.fixture
def embedder(monkeypatch):
    """A model on a clock of its own: 0.16 s for a trial, but the first two calls take 100 times that."""
    clock, calls = [0.0], [0]

    def embed_mels(mels):
        assert mels.shape == (16, 496, 80)
        calls[0] += 1
        clock[0] += 16.0 if calls[0] <= 2 else 0.16

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    return SimpleNamespace(config=SimpleNamespace(clip_frames=496), embed_mels=embed_mels)


class Songs:
    """Songs of ten clips each."""

    mel = SimpleNamespace(mels=80)

    def __init__(self, songs: int) -> None:
        self.frames = np.full(songs, 4_960)

    def __len__(self) -> int:
        return len(self.frames)


def test_the_announcement_follows_this_machine_and_one_slow_moment_changes_nothing(embedder):
    # 10 songs: 100 clips, 30 judged, 3.6 a song for its sound, 250 once; no listeners; at 0.01 s a clip.
    assert plan.estimate_seconds(Songs(10), embedder, 0.0, 30) == pytest.approx(4.2, abs=0.11)


def test_training_and_listeners_are_announced_where_they_are(embedder):
    without = plan.estimate_seconds(Songs(19), embedder, 0.0, 0)
    listeners = plan.estimate_seconds(Songs(20), embedder, 0.0, 0)
    trained = plan.estimate_seconds(Songs(20), embedder, 2.0, 0)
    assert listeners - without == pytest.approx(22.1, abs=0.11)
    assert trained - listeners == pytest.approx(120 + 6.0, abs=0.11)
