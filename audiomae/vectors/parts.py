"""The files of a vectors folder: their names, columns and fingerprints.

vectors/
    vectors.json              format, what the vectors were made from, the parts; written last
    watch.parquet             where `audiomae watch` keeps the folder: a row a file that it knows
    tracks.parquet            a row a track: track_id, tags, path, seconds, clips, vector
    clips/part-00000.parquet  a row a clip: track_id, clip_index, start_seconds, vector; whole tracks
    whitening.safetensors     the projection, where one was used
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.corpus.song import TAGS
from audiomae.disk.commits import latest
from audiomae.disk.files import fingerprint_of, read_json
from audiomae.disk.parquet import read_parquet
from audiomae.errors import DataError, FingerprintError

__all__ = [
    "FORMAT",
    "PART_NAME",
    "SETTINGS",
    "TEXTS",
    "TRACK_COLUMNS",
    "VectorsMeta",
    "check_vectors",
    "clip_schema",
    "part_path",
    "read_part",
    "refuse_watched",
    "settings_fingerprint",
    "stack_vectors",
]

FORMAT = "audiomae-vectors/1"
TEXTS = (*TAGS, "path")
"""Columns of text beside the track id."""
SETTINGS = (
    "model_fingerprint",
    "corpus_fingerprint",
    "layer",
    "pool",
    "whiten",
    "whitening_fingerprint",
    "hop_seconds",
    "precision",
)
"""What decides the vectors; entries of `vectors.json`."""
TRACK_COLUMNS = ("track_id", *TEXTS, "vector")
PART_NAME = r"clips/part-[0-9]{5,9}\.parquet"
_FINGERPRINT_KEY = b"audiomae.fingerprint"


@dataclass(frozen=True)
class Part:
    """A part as vectors.json tells of it: its name in clips/, clips and size of the file."""

    name: str
    clips: int
    bytes: int


@dataclass(frozen=True)
class VectorsMeta:
    """What vectors.json must say beside the entries of `SETTINGS`; what else it says is for people."""

    fingerprint: str
    dim: int
    tracks: int
    parts: tuple[Part, ...]


def settings_fingerprint(settings: Mapping[str, Any]) -> str:
    """Return the fingerprint of vectors made with these settings (the entries named in `SETTINGS`)."""
    return fingerprint_of({name: settings.get(name) for name in SETTINGS})


def clip_schema(dim: int, metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """Return the columns of a part, with `metadata` written into the file."""
    return pa.schema(
        [
            pa.field("track_id", pa.string(), nullable=False),
            pa.field("clip_index", pa.int32(), nullable=False),
            pa.field("start_seconds", pa.float32(), nullable=False),
            pa.field(
                "vector", pa.list_(pa.field("element", pa.float32(), nullable=False), dim), nullable=False
            ),
        ],
        metadata={f"audiomae.{key}": str(value) for key, value in (metadata or {}).items()},
    )


def part_path(folder: Path, number: int) -> Path:
    """Return where part `number` lies."""
    return folder / "clips" / f"part-{number:05d}.parquet"


def refuse_watched(folder: Path) -> None:
    """Refuse to write to a folder that `audiomae watch` keeps.

    Raises:
        DataError: If it is one.
    """
    named = latest(folder, "vectors.json")
    if named.exists() and read_json(named).get("watched"):
        raise DataError(
            f"{folder}: is kept up to date by audiomae watch. Name another --out, or start afresh with --overwrite."
        )


def stack_vectors(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Turn a column of fixed-size lists into an array, (rows, dim)."""
    dim = column.type.list_size
    flat = [_values(chunk.flatten()) for chunk in column.chunks]
    joined = np.concatenate(flat) if flat else np.zeros(0, np.float32)
    return joined.astype(np.float32, copy=False).reshape(-1, dim)


def _values(array: pa.Array) -> NDArray[np.floating]:
    """Return numbers as NumPy's; pyarrow's `to_numpy` would import pandas, which takes half a second."""
    if array.type != pa.float32() or array.null_count or not len(array):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    return np.frombuffer(array.buffers()[1], np.float32, len(array), 4 * array.offset)


def check_vectors(path: Path, vectors: NDArray[np.float32], dim: int) -> None:
    """Refuse vectors read from a file that are of another length, or not finite.

    Raises:
        DataError: If one is.
    """
    if vectors.shape[1] != dim:
        raise DataError(f"{path}: a vector is not of {dim} entries. Export again.")
    if not np.isfinite(vectors).all():
        raise DataError(f"{path}: a vector has NaN or infinite entries. Export again.")


def read_part(path: Path, fingerprint: str) -> pa.Table:
    """Read one Parquet file of a vectors folder.

    Raises:
        MissingError: If it is not there or cut short.
        FingerprintError: If it belongs to other vectors.
    """
    table = read_parquet(path, again="Delete it and export again.")
    absent = [name for name in ("track_id", "vector") if name not in table.column_names]
    if absent or not pa.types.is_fixed_size_list(table.schema.field("vector").type):
        raise DataError(f"{path}: has no column {absent[0] if absent else 'of vectors'}. Export again.")
    found = (table.schema.metadata or {}).get(_FINGERPRINT_KEY, b"none").decode(errors="replace")
    if found != fingerprint:
        raise FingerprintError(
            f"{path}: fingerprint is {found}, not {fingerprint}; it was made with another model, corpus or "
            "settings. Export into another folder, or start this one afresh with --overwrite."
        )
    return table
