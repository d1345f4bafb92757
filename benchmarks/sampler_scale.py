"""The sampler of `audiomae pretrain` over 1,000 virtual ranks and a billion clips: is any clip lost or doubled?

    python benchmarks/sampler_scale.py [--clips 1000000000] [--ranks 1000] [--whole] [--seed 0]

No audio is read: a corpus of frame counts stands in for songs, and the ranks are numbers. Three things are shown.

1. Whole epochs of a smaller corpus, drawn by all ranks step by step, with and without the clip-level term and several
   masks per clip, killed in the middle and taken up by fewer ranks: every stretch of every song exactly once.
2. The order of the large epoch is a bijection: with --whole all its places are marked in a bitmap, one bit a clip
   (minutes); without, a hundredth of it, drawn at random, is sorted and has no double.
3. Start-up and one step of every rank at that size: seconds, and the memory that they take.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import conditions, markdown

from audiomae.corpus.clips import ClipStream, permute
from audiomae.model.config import ModelSettings
from audiomae.pretraining.task import sample_numbers

CLIP = ModelSettings().clip_frames
BLOCK = 1 << 20


def stream_of(frames: NDArray[np.int64], seed: int) -> ClipStream:
    """Return a stream over songs of these lengths, with nothing behind them."""
    corpus: Any = SimpleNamespace(frames=frames, folder=Path("nowhere"))
    return ClipStream(corpus, np.arange(len(frames)), CLIP, seed)


def drawn_by_ranks(step: int, *, ranks: int, batch: int, rows: int) -> NDArray[np.int64]:
    """Return the sample numbers of a step, rank after rank, each with its share of the global batch."""
    size = batch // ranks
    shares = [slice(rank * size, (rank + 1) * size) for rank in range(ranks)]
    return np.concatenate([sample_numbers(step, share, batch=batch, rows=rows) for share in shares])


def entered_once(stream: ClipStream, tracks: NDArray[np.int64], starts: NDArray[np.int64]) -> int:
    """Return how many stretches of an epoch are entered exactly once, by nothing but the places that would be read.

    Sorted, the k-th start of a song must lie in its k-th stretch, and there must be as many as stretches.
    """
    order = np.lexsort((starts, tracks))
    tracks, starts = tracks[order], starts[order]
    frames = stream.corpus.frames
    counts = np.bincount(tracks, minlength=len(frames))
    whole = np.repeat(counts == frames // CLIP, counts)
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    number = np.arange(len(tracks)) - firsts
    width = (frames[tracks] - CLIP + 1) / (frames[tracks] // CLIP)
    inside = (starts >= np.floor(number * width)) & (starts < (number + 1) * width)
    return int((whole & inside & (starts + CLIP <= frames[tracks])).sum())


def check_epochs(
    *, ranks: int, later: int, steps: int, rows: int, share: int, epochs: int, seed: int
) -> tuple[int, int, int]:
    """Draw whole epochs by `ranks` and, from the middle on, by `later` ranks.

    Args:
        ranks: Virtual ranks at the beginning.
        later: Virtual ranks after the kill.
        steps: Steps in an epoch.
        rows: Rows of the batch that one sample gives: its masks, times two with the clip-level term.
        share: Samples of a rank in a step.
        epochs: Epochs to draw.
        seed: Key of the order.

    Returns:
        Clips that the epochs hold, clips drawn, and stretches entered exactly once in their epoch.
    """
    clips = ranks * share * steps
    songs = clips // 40
    slots = np.full(songs, clips // songs)
    slots[: clips - int(slots.sum())] += 1
    stream = stream_of(slots * CLIP + np.arange(songs) % CLIP, seed)
    assert len(stream) == clips
    batch = ranks * share * rows
    drawn = once = 0
    for epoch in range(epochs):
        found = []
        for step in range(epoch * steps, (epoch + 1) * steps):
            now = ranks if step < epochs * steps // 2 else later
            found.append(stream.places(drawn_by_ranks(step, ranks=now, batch=batch, rows=rows)))
        tracks, starts = (np.concatenate(parts) for parts in zip(*found, strict=True))
        drawn, once = drawn + len(tracks), once + entered_once(stream, tracks, starts)
    return clips * epochs, drawn, once


def check_bijection(clips: int, seed: int, *, whole: bool) -> tuple[int, int, float]:
    """Return the clips looked at, those lost, doubled or out of range, and the CPU seconds it took."""
    started = time.process_time()
    if not whole:
        chosen = np.random.default_rng(seed).choice(
            clips // BLOCK + 1, max(1, clips // BLOCK // 100), replace=False
        )
        numbers = [np.arange(block * BLOCK, min(clips, (block + 1) * BLOCK)) for block in np.sort(chosen)]
        places = np.sort(np.concatenate([permute(block, clips, seed, 0) for block in numbers]))
        wrong = int((np.diff(places) == 0).sum()) + int(((places < 0) | (places >= clips)).sum())
        return len(places), wrong, time.process_time() - started
    seen = np.zeros(clips // 8 + 1, np.uint8)
    wrong = 0
    for first in range(0, clips, BLOCK):
        places = np.sort(permute(np.arange(first, min(clips, first + BLOCK)), clips, seed, 0))
        wrong += int((np.diff(places) == 0).sum()) + int(((places < 0) | (places >= clips)).sum())
        bits = np.left_shift(np.uint8(1), (places & 7).astype(np.uint8))
        bytes_, begins = np.unique(places >> 3, return_index=True)
        marks = np.bitwise_or.reduceat(bits, begins)
        wrong += int(np.bitwise_count(seen[bytes_] & marks).sum())
        seen[bytes_] |= marks
    # As many marks as clips, none twice: every place once.
    marked = int(np.bitwise_count(seen).sum(dtype=np.int64))
    return clips, wrong + abs(clips - marked), time.process_time() - started


def start_up(clips: int, songs: int, ranks: int, seed: int) -> list[str]:
    """Return seconds and CPU seconds to begin, CPU seconds of a rank's step, and MB taken by each of the two."""
    frames = np.full(songs, clips // songs * CLIP, np.int64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    stream = stream_of(frames, seed)
    stream.places(np.arange(64) + len(stream) // 2)
    begun, begun_cpu = time.perf_counter() - started, time.process_time() - cpu
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = time.process_time()
    for rank in range(ranks):
        step = 7919 * rank  # far apart, as at the end of a long run
        stream.places(sample_numbers(step, slice(64 * rank, 64 * (rank + 1)), batch=64 * ranks, rows=1))
    each = (time.process_time() - cpu) / ranks
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = [f"{(held - before) / 1024:.0f}", f"{(after - held) / 1024:.0f}"]
    return [f"{begun:.3f}", f"{begun_cpu:.3f}", f"{1000 * each:.2f}", *taken]


def main() -> None:
    """Check and measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=10**9, help="clips of an epoch, default a billion")
    parser.add_argument("--ranks", type=int, default=1000, help="virtual ranks, default 1000")
    parser.add_argument("--whole", action="store_true", help="mark all places of the epoch; minutes")
    parser.add_argument("--seed", type=int, default=0, help="key of the order, default 0")
    options = parser.parse_args()
    rows = []
    for name, song_clips in (("1,000 songs", options.clips // 1000), ("songs of 5 minutes", 60)):
        songs = options.clips // song_clips
        rows.append([name, f"{songs:,}", *start_up(options.clips, songs, options.ranks, options.seed)])
    header = [f"{options.clips:,} clips in", "songs", "start-up, s", "CPU s", "a rank's step of 64, CPU ms"]
    print(markdown([*header, "MB at start-up", f"MB more after {options.ranks:,} steps"], rows))
    rows = []
    for name, many in (
        ("reconstruction alone", 1),
        ("clip-level term", 2),
        ("4 masks and clip-level term", 8),
    ):
        found = check_epochs(
            ranks=options.ranks,
            later=max(1, options.ranks // 4),
            steps=10,
            rows=many,
            share=16,
            epochs=3,
            seed=options.seed,
        )
        rows.append([name, *(f"{one:,}" for one in found)])
    print()
    what = f"3 epochs, {options.ranks:,} ranks, then {max(1, options.ranks // 4):,}"
    print(markdown([what, "clips there are", "drawn", "drawn exactly once"], rows))
    looked, wrong, seconds = check_bijection(options.clips, options.seed, whole=options.whole)
    print(
        f"\n- order of {options.clips:,} clips: {looked:,} looked at, {wrong:,} lost or doubled, {seconds:.0f} CPU s"
    )
    print(conditions(options.seed))


if __name__ == "__main__":
    main()
