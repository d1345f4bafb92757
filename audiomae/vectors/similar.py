"""The songs whose vectors are nearest to one: what `Vectors.similar` and `audiomae similar` answer with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["SimilarSong", "best_rows", "list_similar"]


@dataclass(frozen=True)
class SimilarSong:
    """A song found.

    Attributes:
        track_id: Its id.
        title: Its title, empty where unknown.
        artist: Its artist, empty where unknown.
        album: Its album, empty where unknown.
        genre: Its genre, empty where unknown.
        path: Where the song lay when it was prepared, empty where unknown.
        seconds: Its length.
        clips: Its clips.
        cosine: How near it is, in [-1, 1].
        score: What the songs are ordered by: how far the cosine lies above what is usual for this song, in standard
            deviations; the cosine itself where hubs are not corrected.
    """

    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    path: str
    seconds: float
    clips: int
    cosine: float
    score: float


def best_rows(
    scores: NDArray[np.floating], k: int, names: Sequence[str], *, without: Sequence[int] = ()
) -> NDArray[np.int64]:
    """Return the k rows of the largest scores, best first; equal ones by their names.

    Args:
        scores: A score a row, (rows,); -inf for one that must not be found.
        k: Rows to return; fewer where there are fewer.
        names: Name of each row.
        without: Rows that are not to be found.

    Example:
        >>> best_rows(np.array([0.5, 0.9, 0.9]), 2, ["c", "b", "a"]).tolist()
        [2, 1]
    """
    scores = np.array(scores, dtype=np.float64)
    scores[list(without)] = -np.inf
    k = min(k, int(np.isfinite(scores).sum()))
    if k < 1:
        return np.zeros(0, np.int64)
    # Every row that ties with the k-th best stays in, so that names alone decide among them.
    limit = np.partition(scores, len(scores) - k)[len(scores) - k]
    kept = np.flatnonzero(scores >= limit).tolist()
    return np.array(sorted(kept, key=lambda row: (-scores[row], names[row]))[:k], np.int64)


def list_similar(
    tracks: pa.Table,
    rows: NDArray[np.int64],
    cosines: NDArray[np.floating],
    scores: NDArray[np.floating],
) -> list[SimilarSong]:
    """Return rows of a table of tracks as songs found.

    Args:
        tracks: A row a track, as in a vectors folder.
        rows: The rows, in order.
        cosines: Cosine of each, (found,).
        scores: Score of each, (found,).
    """
    fields = [name for name in SimilarSong.__dataclass_fields__ if name not in ("cosine", "score")]
    about = tracks.select(fields).take(pa.array(rows, pa.int64())).to_pylist()
    figures = zip(cosines.astype(float).tolist(), scores.astype(float).tolist(), strict=True)
    return [
        SimilarSong(**row, cosine=round(cosine, 6), score=round(score, 6))
        for row, (cosine, score) in zip(about, figures, strict=True)
    ]
