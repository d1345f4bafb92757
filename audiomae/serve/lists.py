"""Lists of similar songs: requests in, what `audiomae.similarity` answers out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.serve.schemas import SimilarRequest
from audiomae.serve.snapshot import Snapshot

__all__ = ["similar_songs", "similar_to_vector"]


def similar_songs(snapshot: Snapshot, asked: SimilarRequest) -> dict[str, Any]:
    """Find the songs most like some, and not like others."""
    rows = [snapshot.find(name) for name in asked.like]
    songs = snapshot.vectors.similar(asked.like[0], k=asked.k)
    return {"like": snapshot.tracks(rows), "unlike": [], "songs": songs}


def similar_to_vector(snapshot: Snapshot, vector: NDArray[np.float32], k: int) -> list[Any]:
    """Find the songs most like a vector that was made as the collection's were."""
    return list(snapshot.vectors.similar_to(vector, k=k))
