"""The vectors folder: clip vectors in Parquet parts, one vector a track, and what they were made from.

vectors/
    vectors.json              format, what the vectors were made from, the parts; written last
    tracks.parquet            a row a track: track_id, tags, path, seconds, clips, vector
    clips/part-00000.parquet  a row a clip: track_id, clip_index, start_seconds, vector; whole tracks
    whitening.safetensors     the projection, where one was used
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.disk.files import fingerprint_of, inside, read_json
from audiomae.disk.parquet import read_parquet
from audiomae.disk.records import as_record
from audiomae.errors import DataError, FingerprintError, MissingError

__all__ = [
    "FORMAT",
    "TAGS",
    "ClipVector",
    "Vectors",
    "clip_schema",
    "part_path",
    "read_part",
    "settings_fingerprint",
    "stack_vectors",
]

FORMAT = "audiomae-vectors/1"
TAGS = ("title", "artist", "album", "genre", "path")
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
TRACK_COLUMNS = ("track_id", *TAGS, "vector")
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


class ClipVector(NamedTuple):
    """One row of the clips table."""

    track_id: str
    clip_index: int
    start_seconds: float
    vector: NDArray[np.float32]


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


def stack_vectors(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Turn a column of fixed-size lists into an array, (rows, dim)."""
    dim = column.type.list_size
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    joined = np.concatenate(flat) if flat else np.zeros(0, np.float32)
    return joined.astype(np.float32, copy=False).reshape(-1, dim)


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


@dataclass(frozen=True)
class Vectors:
    """A finished vectors folder, open for reading.

    Attributes:
        folder: Where it lies.
        meta: What `vectors.json` says: what the vectors were made from, and `fingerprint`.
        tracks: A row a track: track_id, title, artist, album, genre, path, seconds, clips, vector.
        track_vectors: Mean vector of each track's clips, float32, (tracks, dim), in the order of `tracks`.
    """

    folder: Path
    meta: dict[str, Any]
    tracks: pa.Table = field(repr=False)
    track_vectors: NDArray[np.float32] = field(repr=False)

    @classmethod
    def open(cls, folder: Path | str) -> Vectors:
        """Open a folder that `audiomae export` has finished.

        Raises:
            MissingError: If a file is missing or cut short.
            DataError: If the folder is of another format.
            FingerprintError: If its files do not belong together.
        """
        folder = Path(folder)
        if not (folder / "vectors.json").exists() and (folder / "clips").exists():
            raise MissingError(f"{folder}: the export has not finished. Run the same audiomae export again.")
        meta = read_json(folder / "vectors.json", format=FORMAT)
        if meta.get("fingerprint") != settings_fingerprint(meta):
            raise FingerprintError(f"{folder / 'vectors.json'}: was edited by hand; export again.")
        read = as_record(meta, VectorsMeta, where=folder / "vectors.json")
        for part in read.parts:
            path = inside(folder, f"clips/{part.name}", PART_NAME)
            size = path.stat().st_size if path.exists() else 0
            if size != part.bytes:
                raise MissingError(
                    f"{path}: {size} bytes of {part.bytes}, missing or cut short. Delete "
                    f"{folder / 'vectors.json'} and this file, then run the same audiomae export again."
                )
        tracks = read_part(folder / "tracks.parquet", read.fingerprint)
        if tracks.num_rows != read.tracks:
            raise MissingError(
                f"{folder / 'tracks.parquet'}: {tracks.num_rows} tracks of {read.tracks}. Export again."
            )
        missing = [name for name in TRACK_COLUMNS if name not in tracks.column_names]
        if missing or tracks["track_id"].null_count:
            raise DataError(
                f"{folder / 'tracks.parquet'}: column {missing[0] if missing else 'track_id'} is missing or has empty "
                "cells. Export again."
            )
        vectors = stack_vectors(tracks["vector"])
        if vectors.shape[1] != read.dim or not np.isfinite(vectors).all():
            what = (
                "has NaN or infinite entries"
                if vectors.shape[1] == read.dim
                else f"is not of {read.dim} entries"
            )
            raise DataError(f"{folder / 'tracks.parquet'}: a vector {what}. Export again.")
        return cls(folder, meta, tracks, vectors)

    @property
    def track_ids(self) -> list[str]:
        """The tracks' names, in order."""
        return list(self.tracks["track_id"].to_pylist())

    @property
    def dim(self) -> int:
        """Entries of a vector."""
        return int(self.meta["dim"])

    def find(self, track_id: str) -> int:
        """Return the row of a track.

        Raises:
            DataError: If there is none of this name; the line proposes close ones.
        """
        ids = self.track_ids
        if track_id in ids:
            return ids.index(track_id)
        titles = self.tracks["title"].to_pylist()
        starts = [name for name in ids if track_id and name.startswith(track_id)][:3]
        close = starts or difflib.get_close_matches(track_id, ids, n=3, cutoff=0.5)
        wanted = re.escape(track_id.lower())
        close += [
            f"{name} ({title})"
            for name, title in zip(ids, titles, strict=True)
            if len(track_id) > 2 and re.search(wanted, (title or "").lower())
        ][:3]
        first = f"The first is {ids[0]}." if ids else "It is empty."
        hint = f"Close: {', '.join(close)}." if close else first
        raise DataError(f"track {track_id!r} is not among the {len(ids)} of {self.folder}. {hint}")

    def parts(self) -> Iterator[pa.Table]:
        """Yield the clips table part by part: track_id, clip_index, start_seconds, vector."""
        for part in self.meta["parts"]:
            yield read_part(inside(self.folder, f"clips/{part['name']}", PART_NAME), self.meta["fingerprint"])

    def clips(self) -> Iterator[ClipVector]:
        """Yield every clip, tracks in order and clips in order."""
        for table in self.parts():
            ids, places = table["track_id"].to_pylist(), table["clip_index"].to_pylist()
            starts, vectors = table["start_seconds"].to_pylist(), stack_vectors(table["vector"])
            yield from map(ClipVector, ids, places, starts, vectors)

    def clip_table(self) -> pa.Table:
        """Return all clips as one table; it takes 4 bytes an entry of memory."""
        tables = list(self.parts())
        return pa.concat_tables(tables) if tables else clip_schema(self.dim).empty_table()
