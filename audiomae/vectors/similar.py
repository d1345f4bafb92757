"""The songs whose vectors are nearest to one: what `Vectors.similar` and `audiomae similar` answer with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.vectors.search import Standardiser, nearest

__all__ = ["SimilarSong", "similar_songs"]


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


def similar_songs(
    tracks: pa.Table,
    vectors: NDArray[np.float32],
    query: NDArray[np.floating],
    k: int,
    *,
    standardise: bool,
    without: int = -1,
) -> list[SimilarSong]:
    """Find the songs nearest to a vector, best first; equal ones by their ids.

    Args:
        tracks: A row a track, as in a vectors folder.
        vectors: Their vectors, (tracks, dim).
        query: Vector to start from, (dim,).
        k: Songs to find; fewer are returned where there are fewer.
        standardise: Whether to bring each entry to mean 0 and deviation 1 over the collection first.
        without: Row that is not to be found, -1 for none.
    """
    query = query[None]
    if standardise:
        scale = Standardiser.fit(vectors)
        vectors, query = scale(vectors), scale(query)
    found = nearest(vectors, query, k, names=tracks["track_id"].to_pylist(), without=[without])
    fields = [name for name in SimilarSong.__dataclass_fields__ if name != "cosine"]
    rows = tracks.select(fields).take(found.rows[0]).to_pylist()
    cosines = np.round(found.cosines[0].astype(float), 6).tolist()
    return [SimilarSong(**row, cosine=cosine) for row, cosine in zip(rows, cosines, strict=True)]
