"""The tracks of a corpus → clip vectors, in parts of whole tracks.

A part's clips are batched among themselves only, so the same part gives the same bytes whatever came before it
in this process: that is what lets a killed export go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from audiomae.corpus.clips import clip_starts, read_clips
from audiomae.corpus.corpus import Corpus
from audiomae.model.embedder import Embedder
from audiomae.model.whitening import Whitening
from audiomae.vectors.writer import TrackClips

__all__ = [
    "SHORTEST_SECONDS",
    "EmbedParts",
    "Precision",
    "count_clips",
    "embed_parts",
    "embed_tracks",
    "plan_parts",
    "whiten_tracks",
]

Precision = Literal["fp32", "bf16"]
SHORTEST_SECONDS = 0.2
"""Shortest audio file that gets a vector, in seconds."""


def count_clips(frames: NDArray[np.int64], clip_frames: int, hop_frames: int) -> NDArray[np.int64]:
    """Return how many clips the grid has in tracks of these lengths.

    Example:
        >>> count_clips(np.array([100, 496, 996]), 496, 500).tolist()
        [1, 1, 2]
    """
    return np.array([len(clip_starts(int(length), clip_frames, hop_frames)) for length in frames], np.int64)


def plan_parts(clips: NDArray[np.int64], part_clips: int) -> Iterator[range]:
    """Split tracks, in order, into runs of at least `part_clips` clips; the last may hold fewer.

    Example:
        >>> list(plan_parts(np.array([3, 3, 9, 1]), 6))
        [range(0, 2), range(2, 3), range(3, 4)]
    """
    first, held = 0, 0
    for track, count in enumerate(clips.tolist()):
        held += count
        if held >= part_clips:
            yield range(first, track + 1)
            first, held = track + 1, 0
    if first < len(clips):
        yield range(first, len(clips))


def embed_tracks(
    embedder: Embedder,
    corpus: Corpus,
    tracks: range,
    *,
    hop_frames: int,
    batch: int,
    precision: Precision = "fp32",
    on_clips: Callable[[int], None] | None = None,
) -> list[TrackClips]:
    """Embed the grid of clips of some tracks, without whitening.

    Reading runs beside the forward passes.

    Args:
        embedder: Model, layer and pooling; its whitening is left to `whiten_tracks`.
        corpus: Where the log-mels lie.
        tracks: Indices of the tracks.
        hop_frames: Distance between the starts of neighbouring clips.
        batch: Clips a forward pass.
        precision: Arithmetic of the forward pass.
        on_clips: Called with the clips of each batch when it is done.

    Returns:
        One entry a track, in order.
    """
    raw = embedder.with_pooling(whiten=None)
    frames = embedder.config.clip_frames
    grids = [clip_starts(int(corpus.frames[track]), frames, hop_frames) for track in tracks]
    owners = np.repeat(np.array(list(tracks), np.int64), [len(grid) for grid in grids])
    starts = np.concatenate(grids)
    lengths = np.minimum(frames, corpus.frames[owners])
    vectors = np.empty((len(starts), raw.dim), np.float32)
    batches = _batches(lengths, batch)

    def read(rows: NDArray[np.int64]) -> torch.Tensor:
        clips = torch.from_numpy(read_clips(corpus, owners[rows], starts[rows], int(lengths[rows[0]])))
        return clips.pin_memory() if raw.device.type == "cuda" else clips

    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(read, batches[0])
        for number, rows in enumerate(batches):
            clips = waiting.result()
            if number + 1 < len(batches):
                waiting = reader.submit(read, batches[number + 1])
            with torch.autocast(raw.device.type, torch.bfloat16, enabled=precision == "bf16"):
                vectors[rows] = raw.embed_mels(clips.to(raw.device, non_blocking=True)).float().cpu().numpy()
            if on_clips:
                on_clips(len(rows))
    edges = np.cumsum([0, *(len(grid) for grid in grids)])
    return [
        TrackClips(corpus.track_ids[track], corpus.mel.seconds_of(grid), vectors[edges[row] : edges[row + 1]])
        for row, (track, grid) in enumerate(zip(tracks, grids, strict=True))
    ]


class EmbedParts(Protocol):
    """What embeds many parts, as `embed_parts` does."""

    def __call__(
        self,
        embedder: Embedder,
        corpus: Corpus,
        parts: Sequence[range],
        *,
        hop_frames: int,
        batch: int,
        precision: Precision,
        on_clips: Callable[[int], None],
    ) -> Iterator[list[TrackClips]]:
        """Yield the clips of each part, in order."""


def embed_parts(
    embedder: Embedder,
    corpus: Corpus,
    parts: Sequence[range],
    *,
    hop_frames: int,
    batch: int,
    precision: Precision,
    on_clips: Callable[[int], None],
) -> Iterator[list[TrackClips]]:
    """Embed parts one after another in this process; arguments as for `embed_tracks`."""
    for part in parts:
        yield embed_tracks(
            embedder,
            corpus,
            part,
            hop_frames=hop_frames,
            batch=batch,
            precision=precision,
            on_clips=on_clips,
        )


def _batches(lengths: NDArray[np.int64], batch: int) -> list[NDArray[np.int64]]:
    """Group rows of equal length into batches: whole clips in order, then each short length."""
    out = []
    for length in sorted(set(lengths.tolist()), reverse=True):
        rows = np.flatnonzero(lengths == length)
        out += [rows[first : first + batch] for first in range(0, len(rows), batch)]
    return out


def whiten_tracks(tracks: list[TrackClips], whitening: Whitening | None) -> list[TrackClips]:
    """Whiten the clips of a part in one product; None changes nothing."""
    if whitening is None:
        return tracks
    vectors = whitening.transform(np.concatenate([track.vectors for track in tracks]))
    edges = np.cumsum([0, *(len(track.vectors) for track in tracks)])
    return [track._replace(vectors=vectors[edges[row] : edges[row + 1]]) for row, track in enumerate(tracks)]
