"""A collection's map, kept beside its vectors as `map.parquet`: made once, then followed song by song.

map.parquet: a row a track (track_id, x, y, region, stamp of the track's vector). Its metadata name the method, the
vectors' fingerprint, and the space they lie in: a map of another model's vectors is made anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.atlas.places import Method, best_method, place_all, place_among, reduce_vectors
from audiomae.atlas.regions import find_regions, name_regions
from audiomae.disk.files import fingerprint_of, write_atomically
from audiomae.disk.parquet import read_parquet
from audiomae.errors import DataError
from audiomae.vectors.vectors import Vectors

__all__ = ["MAP_FILE", "MapPoints", "first_map", "open_map", "read_map"]

MAP_FILE = "map.parquet"
FORMAT = "audiomae-map/1"
SPACE = ("model_fingerprint", "layer", "pool", "whiten", "whitening_fingerprint", "dim")
"""What vectors must share to lie on one map."""
LEAST_KNOWN = 0.5
"""Share of the songs that must have been there when the map was made; it is made anew below."""
SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("x", pa.float32(), nullable=False),
        pa.field("y", pa.float32(), nullable=False),
        pa.field("region", pa.uint16(), nullable=False),
        pa.field("stamp", pa.uint64(), nullable=False),
        pa.field("added", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True)
class MapPoints:
    """A map of the tracks, in the order of the vectors.

    Attributes:
        x: To the right, float32, (tracks,); the middle of the map is 0, its bulk within -1 and 1.
        y: Upwards, the same.
        codes: Region of each track, uint16, (tracks,).
        names: Names of the regions.
        method: umap or pca.
        added: Which tracks were placed after the map was made, (tracks,).
    """

    x: NDArray[np.float32] = field(repr=False)
    y: NDArray[np.float32] = field(repr=False)
    codes: NDArray[np.uint16] = field(repr=False)
    names: tuple[str, ...]
    method: Method
    added: NDArray[np.bool_] = field(repr=False)

    def __len__(self) -> int:
        """Return how many tracks it shows."""
        return len(self.x)


def open_map(vectors: Vectors, *, method: Method | None = None, seed: int = 0) -> MapPoints:
    """Return the map that lies beside the vectors; made, or followed up, and stored first where it has to be.

    Songs that came since are placed among the others without moving them, songs that went are dropped.

    Args:
        vectors: The collection.
        method: umap or pca; the best that is installed without.
        seed: Key of the draws.

    Raises:
        ConfigError: If `umap` is asked for and not installed.
        StorageError: If the disk refuses.
    """
    method = method or best_method(len(vectors.tracks))
    found = read_map(vectors, method=method)
    if found is not None:
        return found
    points = _followed(vectors, method) or _made(vectors, method, seed)
    _write(vectors, points)
    return points


def first_map(vectors: Vectors, *, method: Method | None = None, seed: int = 0) -> MapPoints:
    """Return a map within a second or two for 100,000 tracks, without storing it.

    That is the stored one with new songs placed, where there is one to follow, and otherwise principal axes.

    Args:
        vectors: The collection.
        method: How the stored map must have been made; the best that is installed without.
        seed: Key of the draws.
    """
    followed = _followed(vectors, method or best_method(len(vectors.tracks)))
    return followed or _made(vectors, "pca", seed)


def read_map(vectors: Vectors, *, method: Method | None = None) -> MapPoints | None:
    """Return the map stored beside the vectors, where it shows exactly these; None where it has to be made.

    Args:
        vectors: The collection.
        method: How it must have been made; any way without.
    """
    stored = _stored(vectors, method)
    if stored is None:
        return None
    table, made_by = stored
    if table["track_id"].to_pylist() != vectors.track_ids:
        return None
    if not np.array_equal(table["stamp"].to_numpy(), _stamps(vectors.track_vectors)):
        return None
    return _points(vectors, table, made_by)


def _made(vectors: Vectors, method: Method, seed: int) -> MapPoints:
    reduced = reduce_vectors(vectors.track_vectors, whitened=vectors.whitened, seed=seed)
    places = place_all(reduced, method=method, seed=seed)
    codes = find_regions(reduced, seed=seed)
    names = name_regions(codes, vectors.tracks)
    return MapPoints(places[:, 0], places[:, 1], codes, names, method, np.zeros(len(codes), bool))


def _followed(vectors: Vectors, method: Method) -> MapPoints | None:
    """Return the stored map with new songs placed and gone ones dropped; None where there is none to follow."""
    stored = _stored(vectors, method)
    if stored is None:
        return None
    table, made_by = stored
    stamps = dict(zip(table["track_id"].to_pylist(), table["stamp"].to_pylist(), strict=True))
    rows = {name: row for row, name in enumerate(table["track_id"].to_pylist())}
    now = _stamps(vectors.track_vectors)
    kept = np.array(
        [
            rows[name] if stamps.get(name) == int(now[row]) else -1
            for row, name in enumerate(vectors.track_ids)
        ],
        dtype=np.int64,
    )
    old, new = np.flatnonzero(kept >= 0), np.flatnonzero(kept < 0)
    first = ~table["added"].to_numpy(zero_copy_only=False)
    if not len(old) or first[kept[old]].sum() < LEAST_KNOWN * len(kept):
        return None
    places = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)
    there = np.zeros((len(kept), 2), np.float32)
    codes, added = np.zeros(len(kept), np.uint16), np.ones(len(kept), bool)
    there[old], codes[old] = places[kept[old]], table["region"].to_numpy()[kept[old]]
    added[old] = ~first[kept[old]]
    if len(new):
        ready = vectors.standardised()
        there[new], near = place_among(ready[new], ready[old], there[old])
        codes[new] = codes[old][near]
    codes = np.unique(codes, return_inverse=True)[1].astype(np.uint16)  # without regions that have emptied
    return MapPoints(there[:, 0], there[:, 1], codes, name_regions(codes, vectors.tracks), made_by, added)


def _stored(vectors: Vectors, method: Method | None) -> tuple[pa.Table, Method] | None:
    """Return the stored table and its method, whatever tracks it shows, if it is of the same space."""
    path = Path(vectors.folder) / MAP_FILE
    if not path.is_file():
        return None
    try:
        table = read_parquet(path, SCHEMA)
        about = pq.read_schema(path).metadata or {}
    except DataError:
        return None  # cut short or somebody else's: it is made anew
    told = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in about.items()}
    made_by = told.get("audiomae.method")
    if told.get("audiomae.format") != FORMAT or made_by not in ("umap", "pca"):
        return None
    if told.get("audiomae.space") != _space(vectors) or (method is not None and made_by != method):
        return None
    places = np.stack([table["x"].to_numpy(), table["y"].to_numpy()])
    return (table, cast(Method, made_by)) if np.isfinite(places).all() else None


def _points(vectors: Vectors, table: pa.Table, method: Method) -> MapPoints:
    codes = table["region"].to_numpy()
    return MapPoints(
        table["x"].to_numpy(),
        table["y"].to_numpy(),
        codes,
        name_regions(codes, vectors.tracks),
        method,
        table["added"].to_numpy(zero_copy_only=False),
    )


def _write(vectors: Vectors, points: MapPoints) -> None:
    columns: dict[str, Any] = {
        "track_id": vectors.track_ids,
        "x": points.x,
        "y": points.y,
        "region": points.codes,
        "stamp": _stamps(vectors.track_vectors),
        "added": points.added,
    }
    about = {
        "audiomae.format": FORMAT,
        "audiomae.method": points.method,
        "audiomae.space": _space(vectors),
        "audiomae.fingerprint": str(vectors.meta.get("fingerprint", "")),
    }
    table = pa.table(columns, schema=SCHEMA).replace_schema_metadata(about)
    with write_atomically(Path(vectors.folder) / MAP_FILE) as temporary:
        pq.write_table(table, temporary)


def _space(vectors: Vectors) -> str:
    return fingerprint_of({name: vectors.meta.get(name) for name in SPACE})


def _stamps(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return eight bytes that stand for each vector, (tracks,)."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    raw = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(raw, dtype="<u8")
