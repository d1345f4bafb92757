"""Which clips of a corpus are read, and in what order.

Training order is a function of (seed, sample number): nothing is shuffled in memory, so start-up and memory do
not grow with the corpus, and "samples consumed" is all a resumed run needs, at any number of processes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audiomae.corpus.corpus import Corpus
from audiomae.errors import DataError

__all__ = [
    "ClipStream",
    "clip_starts",
    "hold_out_tracks",
    "mix_bits",
    "permute",
    "read_clips",
    "split_corpus",
    "uniform",
]

log = logging.getLogger(__name__)

Ints = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

_BLOCK = 1 << 16
"""Tracks that are counted at a time; their numbers stay in the processor's cache."""


def mix_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit values (the finaliser of splitmix64; Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _keyed(numbers: Ints, *keys: int) -> npt.NDArray[np.uint64]:
    values = numbers.astype(np.uint64)
    for key in keys:
        salt = np.uint64((key * int(_GOLDEN) + 1) & 0xFFFFFFFFFFFFFFFF)
        values = mix_bits(values * _GOLDEN + salt)
    return values


def uniform(numbers: Ints, *keys: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each of `numbers`, the same for the same keys."""
    return (_keyed(numbers, *keys) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def permute(numbers: Ints, length: int, *keys: int) -> Ints:
    """Return where a keyed permutation of `range(length)` sends each number, without storing it.

    A four-round Feistel network on the next power of four, walked until it lands inside the range.

    Source: Black & Rogaway 2002, "Ciphers with Arbitrary Finite Domains".

    Example:
        >>> sorted(permute(np.arange(5), 5, 42).tolist())
        [0, 1, 2, 3, 4]
    """
    half = np.uint64(max(1, ((length - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    out = numbers.astype(np.uint64)
    outside = np.arange(len(out))
    while len(outside):
        left, right = out[outside] >> half, out[outside] & mask
        for turn in range(4):
            left, right = right, left ^ (_keyed(right.astype(np.int64), turn, *keys) & mask)
        out[outside] = (left << half) | right
        outside = outside[out[outside] >= np.uint64(length)]
    return out.astype(np.int64)


def clip_starts(frames: int, clip_frames: int, hop_frames: int) -> Ints:
    """Return the first frames of the fixed grid of clips in a track.

    Args:
        frames: Length of the track.
        clip_frames: Length of a clip.
        hop_frames: Distance between the starts of neighbouring clips.

    Returns:
        Every multiple of the hop at which a whole clip fits; a track shorter than a clip is one short clip.
    """
    return np.arange(0, max(1, frames - clip_frames + 1), hop_frames, dtype=np.int64)


def hold_out_tracks(track_ids: Sequence[str], share: float) -> tuple[Ints, Ints]:
    """Split tracks into those to train on and those held out, by a hash of their ids.

    The split depends on the ids alone, so adding songs later moves few from one side to the other.

    Returns:
        Indices of the training tracks and of the held-out tracks; at least one on each side when there are
        two tracks or more; with a single track it stands on both.

    Raises:
        DataError: If there is no track.
    """
    if not track_ids:
        raise DataError("the corpus holds 0 tracks; training needs at least 1. Prepare some songs first.")
    if len(track_ids) == 1:
        return np.zeros(1, np.int64), np.zeros(1, np.int64)
    hashes = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in track_ids]
    order = np.array(sorted(range(len(track_ids)), key=hashes.__getitem__), np.int64)
    held = min(len(track_ids) - 1, max(1, round(len(track_ids) * share)))
    return np.sort(order[held:]), np.sort(order[:held])


def split_corpus(corpus: Corpus, clip_frames: int, share: float) -> tuple[Ints, Ints]:
    """Split the tracks that a clip fits into; of shorter ones the log says how many are left out.

    Args:
        corpus: Prepared songs.
        clip_frames: Length of a clip.
        share: Share of the tracks to hold out.

    Returns:
        Indices of the training tracks and of the held-out tracks, as `hold_out_tracks` draws them.

    Raises:
        DataError: If no track is as long as a clip.
    """
    whole = np.flatnonzero(corpus.frames >= clip_frames)
    if short := len(corpus) - len(whole):
        clip = corpus.mel.seconds_of(clip_frames)
        if not len(whole):
            longest = corpus.mel.seconds_of(int(corpus.frames.max()))
            raise DataError(
                f"{corpus.folder}: its longest track has {longest:.2f} s; a clip takes {clip:.2f} s. Prepare longer "
                f"songs, or train on shorter clips: --model.clip_frames below {clip_frames}."
            )
        log.warning(
            "%s: %d of %d tracks are shorter than a clip (%.2f s) and are left out of training.",
            corpus.folder,
            short,
            len(corpus),
            clip,
        )
    ids = corpus.track_ids if not short else [corpus.track_ids[track] for track in whole.tolist()]
    train, held = hold_out_tracks(ids, share)
    return whole[train], whole[held]


def _count_clips(frames: Ints, tracks: Ints, clip_frames: int) -> tuple[int, Ints]:
    """Return the frames of the shortest track (0 without tracks), and the clips up to the end of each.

    Block by block, so that of millions of tracks nothing but the result is held.
    """
    ends = np.empty(len(tracks), np.int64)
    shortest, total = [], 0
    for first in range(0, len(tracks), _BLOCK):
        some = frames[tracks[first : first + _BLOCK]]
        shortest.append(int(some.min()))
        block = ends[first : first + _BLOCK]
        np.cumsum(some // clip_frames, out=block)
        block += total
        total = int(block[-1])
    return min(shortest, default=0), ends


class ClipStream:
    """An endless, seeded stream of random clips, addressed by sample number.

    Each epoch visits every clip-long stretch of every track once, in an order of its own and each time with
    another phase, so that no frame is favoured and no grid is learned.

    Args:
        corpus: Where the log-mels lie.
        tracks: Indices of the tracks to draw from.
        clip_frames: Length of a clip, in frames.
        seed: Key of the order.

    Raises:
        DataError: If a track is shorter than a clip.
    """

    def __init__(self, corpus: Corpus, tracks: Ints, clip_frames: int, seed: int) -> None:
        shortest, self.ends = _count_clips(corpus.frames, tracks, clip_frames)
        if shortest < clip_frames:
            raise DataError(
                f"{corpus.folder}: the shortest track to draw from has {shortest} frames; a clip takes {clip_frames}. "
                "Leave it out, or use shorter clips."
            )
        self.corpus, self.tracks, self.clip_frames, self.seed = corpus, tracks, clip_frames, seed

    def __len__(self) -> int:
        """Return the clips of one epoch."""
        return int(self.ends[-1])

    def __repr__(self) -> str:
        """Show the size of an epoch."""
        return f"ClipStream(tracks={len(self.tracks)}, clips_per_epoch={len(self)}, clip_frames={self.clip_frames})"

    def places(self, samples: Ints) -> tuple[Ints, Ints]:
        """Return the track (its index in the corpus) and the first frame of each sample number."""
        epoch, number = np.divmod(samples, len(self))
        slot = np.empty_like(number)
        for one in np.unique(epoch):
            chosen = epoch == one
            slot[chosen] = permute(number[chosen], len(self), self.seed, int(one))
        place = np.searchsorted(self.ends, slot, side="right")
        track = self.tracks[place]
        frames = self.corpus.frames[track]
        slots = frames // self.clip_frames
        within = slot - (self.ends[place] - slots)
        stretch = (frames - self.clip_frames + 1) / slots
        start = ((within + uniform(samples, self.seed, 7)) * stretch).astype(np.int64)
        # A draw just below 1 can round up to the next stretch.
        return track, np.minimum(start, frames - self.clip_frames)

    def partners(self, samples: Ints, tracks: Ints, starts: Ints, *, nearest: int, farthest: int) -> Ints:
        """Return the first frame of a second clip in the same track for each sample.

        Args:
            samples: Sample numbers, which key the draw.
            tracks: Tracks of the samples' own clips, from `places`.
            starts: Their first frames.
            nearest: Least distance between the two starts, in frames.
            farthest: Largest distance, in frames.

        Returns:
            Starts drawn evenly from what lies within both distances; anywhere in the track where nothing does.
        """
        last = self.corpus.frames[tracks] - self.clip_frames
        left = np.maximum(0, starts - farthest), np.maximum(0, starts - nearest + 1)
        right = np.minimum(last + 1, starts + nearest), np.minimum(last + 1, starts + farthest + 1)
        before, after = np.maximum(0, left[1] - left[0]), np.maximum(0, right[1] - right[0])
        draw = uniform(samples, self.seed, 11)
        step = np.minimum((draw * (before + after)).astype(np.int64), before + after - 1)
        chosen = np.where(step < before, left[0] + step, right[0] + step - before)
        return np.where(before + after > 0, chosen, np.minimum((draw * (last + 1)).astype(np.int64), last))

    def read(self, samples: Ints) -> npt.NDArray[np.float16]:
        """Return the log-mels of some samples: (samples, clip_frames, mels)."""
        tracks, starts = self.places(samples)
        return read_clips(self.corpus, tracks, starts, self.clip_frames)


def read_clips(corpus: Corpus, tracks: Ints, starts: Ints, clip_frames: int) -> npt.NDArray[np.float16]:
    """Copy clips out of the memory-mapped shards: (clips, clip_frames, mels)."""
    out = np.empty((len(tracks), clip_frames, corpus.mel.mels), np.float16)
    for row, (track, start) in enumerate(zip(tracks.tolist(), starts.tolist(), strict=True)):
        out[row] = corpus.mels(track, start, clip_frames)
    return out
