"""The nearest songs of every song, as a table; and how uneven neighbourhoods are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.disk.files import write_atomically
from audiomae.progress import SILENT, Progress
from audiomae.similarity.collection import Collection
from audiomae.vectors.space import SearchSpace

__all__ = ["Hubness", "skewness_of", "write_neighbours"]

EXACT_SONGS = 200_000
"""Songs up to which every pair is compared; beyond, faiss looks in the nearest of its inverted lists."""
BLOCK = 1_024
REACH = 8
"""Songs that are weighed for each one that is kept, since hubs lose their places."""
SCHEMA = pa.schema(
    [
        ("track_id", pa.string()),
        ("place", pa.int32()),
        ("similar_track_id", pa.string()),
        ("cosine", pa.float32()),
        ("score", pa.float32()),
    ]
)


class Hubness(NamedTuple):
    """How uneven neighbourhoods are: skewness of how often a song is among the k nearest of others."""

    before: float
    """With cosines as they are."""
    after: float
    """With hubs corrected."""


def write_neighbours(
    collection: Collection, k: int, out: Path | str, *, hubs: bool = True, progress: Progress = SILENT
) -> Hubness:
    """Write the k nearest songs of every song to a Parquet file: track_id, place, similar_track_id, cosine, score.

    Args:
        collection: The songs.
        k: Neighbours of each; all others where there are fewer.
        out: File to write, atomically.
        hubs: Whether to correct hubs.
        progress: Told how far it is.

    Returns:
        How uneven neighbourhoods are, before and after.

    Raises:
        ConfigError: If k is out of range.
        StorageError: If the disk refuses; nothing is left half-written.
    """
    require("k", k, least=1, most=10_000)
    space, ids = collection.vectors.space, pa.array(collection.track_ids, pa.string())
    k = min(k, len(collection) - 1)
    index = _build(space.units) if len(collection) > EXACT_SONGS else None
    plain, corrected = (np.zeros(len(collection), np.int64) for _ in range(2))
    with (
        write_atomically(out) as temporary,
        pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer,
        progress.stage("neighbours", total=len(collection), unit="songs") as stage,
    ):
        for first in range(0, len(collection), BLOCK):
            own = np.arange(first, min(first + BLOCK, len(collection)))
            rows, cosines = _weighed(space, own, k, index)
            scores = (cosines - space.means[rows]) / space.deviations[rows] if space.corrects else cosines
            near, best = _order(cosines, rows, k), _order(scores, rows, k)
            np.add.at(plain, np.take_along_axis(rows, near, 1).ravel(), 1)
            np.add.at(corrected, np.take_along_axis(rows, best, 1).ravel(), 1)
            order, shown = (best, scores) if hubs else (near, cosines)
            columns = [
                ids.take(pa.array(np.repeat(own, k))),
                pa.array(np.tile(np.arange(1, k + 1), len(own)), pa.int32()),
                ids.take(pa.array(np.take_along_axis(rows, order, 1).ravel())),
                *(
                    pa.array(np.take_along_axis(values, order, 1).ravel().astype(np.float32))
                    for values in (cosines, shown)
                ),
            ]
            writer.write_table(pa.table(columns, schema=SCHEMA))
            stage.advance(len(own))
    return Hubness(skewness_of(plain), skewness_of(corrected))


def skewness_of(counts: NDArray[np.int64]) -> float:
    """Return the skewness of counts; 0 where all are equal."""
    apart = counts - counts.mean()
    deviation = float(np.sqrt(np.mean(apart**2)))
    return round(float(np.mean(apart**3)) / deviation**3, 3) if deviation > 0 else 0.0


def _weighed(
    space: SearchSpace, own: NDArray[np.int64], k: int, index: Any | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows among which the k nearest of some songs are, and their cosines, (songs, weighed).

    Exact: all rows, sorted, but the songs themselves. From inverted lists: a few for each one that is kept.
    """
    if index is None:
        cosines = np.clip(space.units[own] @ space.units.T, -1, 1)
        cosines[np.arange(len(own)), own] = -np.inf
        return np.broadcast_to(np.arange(len(space.units)), cosines.shape), cosines
    cosines, rows = index.search(np.ascontiguousarray(space.units[own]), REACH * k + 1)
    cosines[(rows == own[:, None]) | (rows < 0)] = -np.inf
    return np.maximum(rows, 0), cosines


def _order(values: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the places of the k largest values of each line, best first; the smaller row first among equals."""
    kept = np.argpartition(-values, k - 1, axis=1)[:, :k] if k else np.zeros((len(values), 0), np.int64)
    found, names = np.take_along_axis(values, kept, 1), np.take_along_axis(rows, kept, 1)
    return np.take_along_axis(kept, np.lexsort((names, -found), axis=1), 1)


def _build(units: NDArray[np.float32]) -> Any:
    """Return inverted lists of a large collection."""
    lists = int(4 * np.sqrt(len(units)))
    index: Any = faiss.index_factory(units.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    drawn = np.random.default_rng(0).choice(len(units), min(len(units), 40 * lists), replace=False)
    index.train(np.ascontiguousarray(units[np.sort(drawn)]))
    index.add(np.ascontiguousarray(units))
    index.nprobe = 32
    return index
