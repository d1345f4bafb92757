"""Songs that are there more than once: copies encoded anew, louder, or cut a little, told by their vectors.

Two steps: pairs of tracks whose mean vectors are alike and whose lengths agree, then their clips compared in order. The
second tells a copy from a song that merely sounds like it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.errors import DataError
from audiomae.progress import SILENT, Progress
from audiomae.vectors.near_pairs import NearPairs, near_pairs
from audiomae.vectors.search import Standardiser, unit_rows
from audiomae.vectors.vectors import Vectors
from audiomae.vectors.writer import split_tracks

__all__ = [
    "CLIP_THRESHOLD",
    "SECONDS",
    "THRESHOLD",
    "DuplicatePair",
    "clip_cosine",
    "find_duplicates",
    "fit_clips",
    "group_pairs",
]

THRESHOLD = 0.85
"""Cosine of two tracks' vectors from which their clips are compared; measured by `benchmarks/duplicates.py`."""

CLIP_THRESHOLD = 0.85
"""Mean cosine of two tracks' clips in order from which they are copies; measured there too."""

SECONDS = 2.0
"""Most that the lengths of copies differ by."""

FEW_TRACKS = 64
"""Up to so many tracks all pairs are compared clip by clip: the mean and deviation of few tracks say little."""

SAMPLED_CLIPS = 20_000
HELD_CLIPS = 100_000
"""Clips of the candidates that are held at a time; 1.2 GB of `tiny`'s."""

Values = NDArray[np.float32]


class DuplicatePair(NamedTuple):
    """Two tracks that are copies of each other."""

    first: int
    """Row of the one in `Vectors.tracks`."""
    second: int
    """Row of the other, larger than `first`."""
    cosine: float
    """Cosine of their standardised vectors, in [-1, 1]."""
    clip_cosine: float | None
    """Mean cosine of their clips in order, in [-1, 1]; None where clips were not compared."""

    @property
    def similarity(self) -> float:
        """What pairs are ordered by: the cosine of the clips where they were compared, else that of the tracks."""
        return self.cosine if self.clip_cosine is None else self.clip_cosine


def find_duplicates(
    vectors: Vectors,
    threshold: float = THRESHOLD,
    *,
    clips: float | None = CLIP_THRESHOLD,
    seconds: float | None = SECONDS,
    progress: Progress = SILENT,
) -> list[DuplicatePair]:
    """Return the pairs of tracks that are copies of each other, most alike first.

    Up to `FEW_TRACKS` tracks, `threshold` is asked only where clips are not compared. `near_pairs` says how the search
    keeps its memory small.

    Args:
        vectors: Open vectors folder.
        threshold: Least cosine of the tracks' vectors (`Vectors.standardised`), in [-1, 1].
        clips: Least mean cosine of the clips in order, in [-1, 1]; None to compare tracks alone.
        seconds: Most that the lengths may differ by; None for any.
        progress: Is told how far the search is.

    Raises:
        ConfigError: If a limit is out of range.
        DataError: If more than a million pairs are alike, or a part is damaged.
    """
    require("threshold", threshold, least=-1, most=1)
    if clips is not None:
        require("clips", clips, least=-1, most=1)
    if seconds is not None:
        require("seconds", seconds, least=0)
    if vectors.tracks.num_rows < 2:
        return []
    unit = unit_rows(vectors.standardised())
    lengths = _column(vectors, "seconds")
    few = clips is not None and len(unit) <= FEW_TRACKS
    near = near_pairs(unit, lengths, -1.0 if few else threshold, seconds=seconds, progress=progress)
    alike = None if clips is None else _compare_clips(vectors, near, progress)
    found = []
    for place, (first, second, cosine) in enumerate(zip(*(column.tolist() for column in near), strict=True)):
        if alike is None or alike[place] >= (clips or 0.0):
            similar = None if alike is None else round(float(alike[place]), 6)
            found.append(DuplicatePair(first, second, round(cosine, 6), similar))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def group_pairs(pairs: Sequence[DuplicatePair]) -> list[list[int]]:
    """Return the rows that pairs join, directly or through others: each group in order, the largest first.

    Example:
        >>> group_pairs([DuplicatePair(*rows, 1.0, None) for rows in ((0, 2), (2, 5), (1, 3))])
        [[0, 2, 5], [1, 3]]
    """
    root: dict[int, int] = {}

    def find(row: int) -> int:
        while root.setdefault(row, row) != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    for pair in pairs:
        one, other = sorted((find(pair.first), find(pair.second)))
        root[other] = one
    groups: dict[int, list[int]] = {}
    for row in sorted(root):
        groups.setdefault(find(row), []).append(row)
    return sorted(groups.values(), key=lambda group: (-len(group), group))


def clip_cosine(first: Values, second: Values) -> float:
    """Return the mean cosine of two tracks' clips in order, where the shorter fits best into the longer.

    Args:
        first: Clips of one, standardised and of length 1, (clips, dim).
        second: Those of the other.
    """
    short, long = sorted((first, second), key=len)
    fits = (long[at : at + len(short)] for at in range(len(long) - len(short) + 1))
    return max(float(np.einsum("cd,cd->", short, part) / len(short)) for part in fits)


def fit_clips(vectors: Vectors) -> Standardiser | None:
    """Return what brings the entries of clips to mean 0 and deviation 1, learned on some 20,000 clips of all parts.

    None where the vectors are whitened, whose cosines are compared as they are.
    """
    parts = vectors.meta["parts"]
    if vectors.whitened or not parts:
        return None
    size = max(1, sum(part["clips"] for part in parts) // len(parts))
    count = min(len(parts), max(1, SAMPLED_CLIPS // size))
    places = np.unique(np.linspace(0, len(parts) - 1, count).astype(int)).tolist()
    sample = [track.vectors for place in places for track in split_tracks(vectors.part(place))]
    return Standardiser.fit(np.concatenate(sample)[: 2 * SAMPLED_CLIPS])


def _compare_clips(vectors: Vectors, near: NearPairs, progress: Progress) -> Values:
    """Return the mean cosine of the clips of each pair, (pairs,); -1 where a track has none.

    Pairs are taken in batches whose clips fit into memory; each batch reads the parts that hold its tracks once.
    """
    alike = np.full(len(near.first), -1.0, np.float32)
    scale = fit_clips(vectors) if len(alike) else None
    counts, track_ids = _column(vectors, "clips").astype(np.int64), vectors.track_ids
    order = np.lexsort((near.second, near.first))
    with progress.stage("comparing clips", total=len(order), unit="pairs") as stage:
        for batch in _batches(near, order, counts):
            rows = np.union1d(near.first[batch], near.second[batch]).tolist()
            held = dict(_read_clips(vectors, {track_ids[row]: row for row in rows}, counts, scale))
            for place in batch.tolist():
                one, other = held.get(int(near.first[place])), held.get(int(near.second[place]))
                if one is not None and other is not None:
                    alike[place] = np.clip(clip_cosine(one, other), -1.0, 1.0)
            stage.advance(len(batch))
    return alike


def _batches(
    near: NearPairs, order: NDArray[np.int64], counts: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Yield places of pairs, as many as have no more than `HELD_CLIPS` clips together, or one."""
    held: set[int] = set()
    clips, start = 0, 0
    for at, place in enumerate(order.tolist()):
        more = {int(near.first[place]), int(near.second[place])} - held
        size = int(counts[list(more)].sum())
        if clips + size > HELD_CLIPS and at > start:
            yield order[start:at]
            held, clips, start = set(), 0, at
            more = {int(near.first[place]), int(near.second[place])}
            size = int(counts[list(more)].sum())
        held |= more
        clips += size
    if start < len(order):
        yield order[start:]


def _read_clips(
    vectors: Vectors, rows: dict[str, int], counts: NDArray[np.int64], scale: Standardiser | None
) -> Iterator[tuple[int, Values]]:
    """Yield the rows asked for with their clips, standardised and of length 1; parts without any are not read."""
    lasts = np.cumsum([part["clips"] for part in vectors.meta["parts"]])
    starts = np.cumsum(counts) - counts
    needed = np.unique(np.searchsorted(lasts, starts[sorted(rows.values())], side="right"))
    for number in needed[needed < len(lasts)].tolist():
        for track in split_tracks(vectors.part(number)):
            if track.track_id in rows:
                clips = track.vectors if scale is None else scale(track.vectors)
                yield rows[track.track_id], unit_rows(clips)


def _column(vectors: Vectors, name: str) -> NDArray[np.float64]:
    """Return a column of numbers of the tracks, 0 where it is empty."""
    try:
        column = pc.fill_null(vectors.tracks[name].cast(pa.float64()), 0.0)
    except (KeyError, pa.ArrowException):
        where = vectors.folder / "tracks.parquet"
        raise DataError(f"{where}: column {name} is missing or holds no numbers. Export again.") from None
    return np.asarray(column.to_numpy(), dtype=np.float64)
