"""Which clips are read: every stretch once an epoch, the same for everyone who asks."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomae.corpus import clips as clips_module
from audiomae.corpus.clips import (
    ClipStream,
    clip_starts,
    permute,
    read_clips,
    uniform,
)
from audiomae.corpus.corpus import Corpus
from audiomae.errors import DataError

CLIP = 496


def stream_of(*frames: int, seed: int = 0, clip_frames: int = CLIP) -> ClipStream:
    """A stream over tracks of these lengths, with nothing behind them."""
    corpus: Any = SimpleNamespace(frames=np.array(frames, np.int64), folder=Path("nowhere"))
    return ClipStream(corpus, np.arange(len(frames)), clip_frames, seed)


def assert_each_stretch_once(stream: ClipStream, tracks: np.ndarray, starts: np.ndarray) -> None:
    """A track's k-th start, in rising order, lies in its k-th stretch, and there are as many as stretches."""
    for track, frames in enumerate(stream.corpus.frames):
        slots = frames // stream.clip_frames
        own = np.sort(starts[tracks == track])
        stretch = (frames - stream.clip_frames + 1) / slots
        assert len(own) == slots
        assert (own >= np.floor(np.arange(slots) * stretch)).all()
        assert (own < np.arange(1, slots + 1) * stretch).all()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 16, 17, 1000])
def test_permuting_sends_a_range_onto_itself(length):
    assert sorted(permute(np.arange(length), length, 3, 1).tolist()) == list(range(length))


@given(length=st.integers(1, 3000), key=st.integers(-(2**40), 2**70), epoch=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_permuting_is_a_bijection_for_any_length_and_key(length, key, epoch):
    out = permute(np.arange(length), length, key, epoch)
    assert np.array_equal(np.sort(out), np.arange(length))


def test_permuting_a_long_range_mixes_it_and_depends_on_its_key():
    one, other = (permute(np.arange(4096), 10**9, key) for key in (1, 2))
    assert len(np.unique(one)) == 4096
    assert (one == other).mean() < 0.01
    # 4096 even draws from [0, 1e9) have a mean within 1 % x 5 standard errors of the middle.
    assert abs(one.mean() / 1e9 - 0.5) < 0.025
    assert abs(np.corrcoef(np.arange(4096), one)[0, 1]) < 0.08


def test_the_order_of_a_seed_never_changes():
    assert permute(np.arange(10), 10, 42, 1).tolist() == [4, 9, 3, 0, 1, 2, 6, 8, 7, 5]
    assert uniform(np.arange(3), 42, 7) == pytest.approx(
        [0.240839179715, 0.585303437745, 0.529085272550], abs=1e-11
    )


def test_uniform_numbers_fill_the_unit_interval_evenly():
    draws = uniform(np.arange(20_000), 5)
    counts = np.histogram(draws, bins=10, range=(0, 1))[0]
    assert draws.min() >= 0
    assert draws.max() < 1
    # Five standard deviations of a binomial count of 2000.
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000 * 0.9)


@given(
    frames=st.lists(st.integers(CLIP, 12 * CLIP), min_size=1, max_size=8),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 50),
)
@settings(max_examples=40, deadline=None)
def test_each_epoch_visits_every_stretch_of_every_track_once(frames, seed, epoch):
    stream = stream_of(*frames, seed=seed)
    tracks, starts = stream.places(np.arange(len(stream)) + epoch * len(stream))
    assert_each_stretch_once(stream, tracks, starts)
    assert (starts >= 0).all()
    assert (starts + CLIP <= stream.corpus.frames[tracks]).all()


def test_more_tracks_than_are_counted_at_a_time_are_each_visited():
    count = 2 * clips_module._BLOCK + 3
    frames = CLIP + np.arange(count) % (2 * CLIP)
    stream = stream_of(*frames.tolist())
    assert len(stream) == int((frames // CLIP).sum())
    tracks, _ = stream.places(np.arange(len(stream)))
    assert np.array_equal(np.bincount(tracks), frames // CLIP)


def test_epochs_differ_in_order_and_in_phase():
    stream = stream_of(20 * CLIP)
    (_, first), (_, second) = (stream.places(np.arange(20) + epoch * 20) for epoch in (0, 1))
    assert first.tolist() != second.tolist()
    # The same 20 stretches, but each entered at another frame.
    assert (np.sort(first) != np.sort(second)).sum() >= 18
    assert len(set(np.concatenate([first, second]) % 16)) > 8  # no grid of columns


def test_every_start_in_a_track_is_drawn_about_equally_often():
    stream = stream_of(*[3 * CLIP + 200] * 300)
    _, starts = stream.places(np.arange(10 * len(stream)))
    counts = np.histogram(starts, bins=10, range=(0, 2 * CLIP + 201))[0]
    assert np.abs(counts / 900 - 1).max() < 0.15


def test_a_track_of_exactly_one_clip_is_read_from_its_start():
    stream = stream_of(CLIP, CLIP + 1)
    tracks, starts = stream.places(np.arange(200))
    assert set(starts[tracks == 0].tolist()) == {0}
    assert set(starts[tracks == 1].tolist()) == {0, 1}


def test_the_largest_draw_there_is_does_not_run_past_a_track(monkeypatch):
    monkeypatch.setattr(clips_module, "uniform", lambda numbers, *_: np.full(len(numbers), 1 - 2.0**-53))
    stream = stream_of(10 * CLIP + 3)
    samples = np.arange(len(stream))
    tracks, starts = stream.places(samples)
    assert int(starts.max()) == 9 * CLIP + 3
    for nearest, farthest in ((400, 3000), (400, 431), (10**6, 10**7)):
        seconds = stream.partners(samples, tracks, starts, nearest=nearest, farthest=farthest)
        assert int(seconds.max()) <= 9 * CLIP + 3
        if farthest < 10**6:
            assert (np.abs(seconds - starts) <= farthest).all()


def test_the_clips_of_a_step_do_not_depend_on_who_asks_for_which():
    stream = stream_of(5000, 700, 2000, seed=9)
    samples = np.arange(37, 37 + 64)
    whole = stream.places(samples)
    for ranks in (2, 4):
        parts = [stream.places(part) for part in np.split(samples, ranks)]
        for number in (0, 1):
            assert np.array_equal(np.concatenate([part[number] for part in parts]), whole[number])
    shuffled = np.random.default_rng(0).permutation(64)
    assert np.array_equal(stream.places(samples[shuffled])[1], whole[1][shuffled])


def test_the_same_seed_gives_the_same_clips_and_another_seed_others():
    one, same, other = (stream_of(9000, 4000, seed=seed).places(np.arange(26)) for seed in (4, 4, 5))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_only_the_chosen_tracks_are_drawn_from():
    corpus: Any = SimpleNamespace(frames=np.array([5000, 10, 600, 5000]), folder=Path("nowhere"))
    stream = ClipStream(corpus, np.array([0, 2, 3]), CLIP, 0)
    tracks, _ = stream.places(np.arange(len(stream)))
    assert sorted(set(tracks.tolist())) == [0, 2, 3]
    assert repr(stream) == "ClipStream(tracks=3, clips_per_epoch=21, clip_frames=496)"


def test_a_track_shorter_than_a_clip_is_refused():
    with pytest.raises(DataError, match="the shortest track to draw from has 495 frames; a clip takes 496"):
        stream_of(2000, 495)
    with pytest.raises(DataError, match="to draw from has 0 frames"):
        stream_of()


@given(
    frames=st.integers(CLIP, 20_000),
    nearest=st.integers(0, 1000),
    more=st.integers(0, 3000),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_partners_keep_their_distance_and_stay_in_the_track(frames, nearest, more, seed):
    stream = stream_of(frames, seed=seed)
    samples, last = np.arange(50), frames - CLIP
    starts = np.linspace(0, last, 50).astype(np.int64)
    seconds = stream.partners(
        samples, np.zeros(50, np.int64), starts, nearest=nearest, farthest=nearest + more
    )
    assert (seconds >= 0).all()
    assert (seconds <= last).all()
    possible = (starts - nearest >= 0) | (starts + nearest <= last)
    distance = np.abs(seconds - starts)[possible]
    assert (distance >= nearest).all()
    assert (distance <= nearest + more).all()


def test_partners_are_drawn_evenly_from_both_sides():
    stream = stream_of(5001 + CLIP - 1)
    samples = np.arange(20_000)
    middle = np.full(20_000, 2500)
    seconds = stream.partners(samples, np.zeros(20_000, np.int64), middle, nearest=400, farthest=1399)
    offsets = seconds - middle
    assert set(offsets.tolist()) == {*range(-1399, -399), *range(400, 1400)}
    assert abs((offsets > 0).mean() - 0.5) < 0.02


def test_a_track_with_no_place_at_that_distance_gives_any_of_its_clips():
    stream = stream_of(CLIP + 100)
    samples = np.arange(3000)
    seconds = stream.partners(
        samples, np.zeros(3000, np.int64), np.full(3000, 50), nearest=400, farthest=3000
    )
    assert set(seconds.tolist()) == set(range(101))


def test_a_billion_clips_take_no_more_memory_or_time_to_begin():
    frames = np.full(1000, 10**6 * CLIP, np.int64)
    tracemalloc.start()
    started = time.process_time()
    stream = stream_of(*frames.tolist())
    tracks, starts = stream.places(np.arange(64) + 123 * len(stream))
    taken, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(stream) == 10**9
    assert peak < 2**20  # a shuffled list of the clips would be 8 GB
    assert taken < 5  # and its shuffling minutes
    assert len(set(zip(tracks.tolist(), starts.tolist(), strict=True))) == 64


def test_the_grid_of_clips_covers_what_fits():
    assert clip_starts(1496, 496, 500).tolist() == [0, 500, 1000]
    assert clip_starts(1495, 496, 500).tolist() == [0, 500]
    assert clip_starts(496, 496, 500).tolist() == [0]
    assert clip_starts(100, 496, 500).tolist() == [0]
    assert clip_starts(1200, 496, 250).tolist() == [0, 250, 500]


def test_reading_copies_the_frames_that_were_asked_for(small_corpus):
    corpus = Corpus.open(small_corpus)
    stream = ClipStream(corpus, np.arange(len(corpus)), CLIP, 0)
    samples = np.array([3, 8, 100])
    tracks, starts = stream.places(samples)
    got = stream.read(samples)
    assert got.shape == (3, CLIP, 80)
    assert got.dtype == np.float16
    for row, (track, start) in enumerate(zip(tracks, starts, strict=True)):
        assert np.array_equal(got[row], corpus.mels(int(track))[start : start + CLIP])
    assert np.array_equal(read_clips(corpus, tracks, starts, CLIP), got)
