"""The sampler over a thousand virtual ranks and a billion clips, as the benchmark of that name shows it at length."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    """The benchmark as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("sampler_scale", BENCHMARKS / "sampler_scale.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_thousand_ranks_then_fewer_read_every_clip_once_an_epoch(scale, rows):
    found = scale.check_epochs(ranks=1000, later=250, steps=4, rows=rows, share=8, epochs=2, seed=3)
    assert found == (64_000, 64_000, 64_000)


def test_the_check_notices_a_lost_and_a_doubled_clip(scale):
    stream = scale.stream_of(np.full(5, 10 * scale.CLIP + 7), 0)
    tracks, starts = stream.places(np.arange(50))
    assert scale.entered_once(stream, tracks, starts) == 50
    tracks[3], starts[3] = tracks[4], starts[4]
    assert scale.entered_once(stream, tracks, starts) < 50
    assert scale.entered_once(stream, tracks[:-1], starts[:-1]) < 50


@pytest.mark.parametrize("clips", [100_003, 1_048_577])
def test_the_bitmap_finds_every_place_once(scale, clips):
    assert scale.check_bijection(clips, 7, whole=True)[:2] == (clips, 0)


def test_a_billion_clips_begin_at_once_and_stay_flat(scale):
    _, cpu, _, _, more = (float(one) for one in scale.start_up(10**9, 1000, 200, 0))
    assert cpu < 1
    assert more < 50  # MB
