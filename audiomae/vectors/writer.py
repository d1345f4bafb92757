"""Writing a vectors folder part by part, so that a killed export goes on after its last whole part."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.corpus.measured import MEASURED_FIELDS
from audiomae.disk.commits import drop_commit
from audiomae.disk.files import write_atomically, write_json
from audiomae.errors import MissingError
from audiomae.vectors.parts import (
    FORMAT,
    TEXTS,
    clip_schema,
    part_path,
    read_part,
    settings_fingerprint,
    stack_vectors,
)

__all__ = [
    "TrackClips",
    "VectorsWriter",
    "mean_of",
    "metadata_of",
    "split_tracks",
    "write_part",
    "write_tracks",
]


class TrackClips(NamedTuple):
    """All clips of one track."""

    track_id: str
    start_seconds: NDArray[np.floating]
    """Where each clip starts, in seconds, (clips,)."""
    vectors: NDArray[np.float32]
    """(clips, dim)"""


class VectorsWriter:
    """Appends whole tracks to a vectors folder.

    Opening a folder that holds parts of the same settings goes on after the last whole one. The same tracks
    in the same parts give the same bytes, however often the writing was interrupted.

    Args:
        folder: The vectors folder, made if needed.
        settings: What the vectors are made from: the entries of `audiomae.vectors.parts.SETTINGS`, and more
            JSON values to keep in `vectors.json`.
        dim: Entries of a vector.
        overwrite: Whether to drop what the folder holds first.

    Attributes:
        done: Names of the tracks already written, in order.
        clips: Clips already written.

    Raises:
        FingerprintError: If the folder holds vectors of other settings.
    """

    def __init__(
        self, folder: Path | str, settings: Mapping[str, Any], dim: int, *, overwrite: bool = False
    ) -> None:
        self.folder, self.settings, self.dim = Path(folder), dict(settings), dim
        self.fingerprint = settings_fingerprint(self.settings)
        self.metadata = metadata_of(self.settings)
        self.done: list[str] = []
        self.clips = 0
        self._counts: list[int] = []
        self._means: list[NDArray[np.float32]] = []
        self._parts: list[dict[str, Any]] = []
        if overwrite:
            drop_commit(self.folder)
            for name in ("vectors.json", "tracks.parquet", "watch.parquet", "whitening.safetensors"):
                (self.folder / name).unlink(missing_ok=True)
            shutil.rmtree(self.folder / "clips", ignore_errors=True)
        self._resume()

    def _resume(self) -> None:
        """Take in the parts that are already there; drop one that is damaged, and all after it."""
        number = 0
        while (path := part_path(self.folder, number)).exists():
            try:
                table = read_part(path, self.fingerprint)
            except MissingError:
                break
            self._take_in(path, list(split_tracks(table)))
            number += 1
        for path in self.folder.glob(".*.tmp"):
            path.unlink()
        if (self.folder / "clips").exists():
            kept = {part["name"] for part in self._parts}
            for path in (self.folder / "clips").iterdir():
                if path.name not in kept:
                    path.unlink()

    @property
    def parts(self) -> int:
        """Parts already written."""
        return len(self._parts)

    def _take_in(self, path: Path, tracks: Sequence[TrackClips]) -> None:
        clips = sum(len(track.vectors) for track in tracks)
        self._parts.append({"name": path.name, "clips": clips, "bytes": path.stat().st_size})
        for track in tracks:
            self.done.append(track.track_id)
            self._counts.append(len(track.vectors))
            self._means.append(mean_of(track))
        self.clips += clips

    def add_part(self, tracks: Sequence[TrackClips]) -> None:
        """Write whole tracks as the next part.

        Args:
            tracks: Tracks with at least one clip each; a few thousand clips make a good part.

        Raises:
            ValueError: If a track has no clips, a vector of another size, or one that is not finite.
            StorageError: If the disk refuses.
        """
        path = part_path(self.folder, len(self._parts))
        write_part(path, tracks, self.dim, self.metadata)
        self._take_in(path, tracks)

    def finish(self, tracks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Write `tracks.parquet`, then `vectors.json`: from here on the folder can be opened.

        Args:
            tracks: Title, artist, album, genre, path, seconds, and tempo, key and factors where a corpus has them, by
                track_id; what is missing stays empty.

        Returns:
            What `vectors.json` says.
        """
        means = np.stack(self._means) if self._means else np.zeros((0, self.dim), np.float32)
        rows = [{**tracks.get(name, {}), "track_id": name} for name in self.done]
        write_tracks(self.folder / "tracks.parquet", rows, self._counts, means, self.metadata)
        meta = {
            **self.settings,
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "dim": self.dim,
            "tracks": len(self.done),
            "clips": self.clips,
            "parts": self._parts,
        }
        write_json(self.folder / "vectors.json", meta)
        return meta


def metadata_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return what every file of vectors made with these settings carries."""
    made_from = ("model_fingerprint", "corpus_fingerprint", "whitening_fingerprint")
    about = {"fingerprint": settings_fingerprint(settings), "format": FORMAT}
    return about | {name: settings.get(name) or "" for name in made_from}


def mean_of(track: TrackClips) -> NDArray[np.float32]:
    """Return the mean vector of a track's clips, (dim,)."""
    mean: NDArray[np.float32] = track.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def write_part(path: Path, tracks: Sequence[TrackClips], dim: int, metadata: Mapping[str, str]) -> None:
    """Write whole tracks as one part, atomically; arguments and errors as for `VectorsWriter.add_part`."""
    for track in tracks:
        shape = (len(track.start_seconds), dim)
        if track.vectors.shape != shape or not shape[0] or not np.isfinite(track.vectors).all():
            raise ValueError(
                f"track {track.track_id}: vectors of shape {track.vectors.shape} must be finite, with "
                f"shape {shape} and at least one clip."
            )
    vectors = np.concatenate([track.vectors for track in tracks]).astype(np.float32, copy=False)
    schema = clip_schema(dim, metadata)
    columns = [
        pa.array([track.track_id for track in tracks for _ in track.vectors], pa.string()),
        pa.array([place for track in tracks for place in range(len(track.vectors))], pa.int32()),
        pa.array(np.concatenate([track.start_seconds for track in tracks]).astype(np.float32)),
        _lists(vectors, schema.field("vector").type),
    ]
    with write_atomically(path) as temporary:
        table = pa.Table.from_arrays(columns, schema=schema)
        pq.write_table(table, temporary, compression="zstd", use_dictionary=["track_id"])


def write_tracks(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    clips: Sequence[int],
    means: NDArray[np.float32],
    metadata: Mapping[str, str],
) -> None:
    """Write a table of tracks, atomically.

    Args:
        path: Its file.
        rows: A row a track: track_id, and what `VectorsWriter.finish` takes.
        clips: Clips of each.
        means: Mean vector of each, (tracks, dim).
        metadata: What the file carries, as of `metadata_of`.
    """
    dim = means.shape[1]
    vector_field = clip_schema(dim).field("vector")
    text = [pa.field(name, pa.string()) for name in ("track_id", *TEXTS)]
    measured = [field for field in MEASURED_FIELDS if any(row.get(field.name) is not None for row in rows)]
    rest = [pa.field("seconds", pa.float64()), pa.field("clips", pa.int32()), *measured, vector_field]
    table = pa.Table.from_arrays(
        [
            *(pa.array([str(row.get(field.name) or "") for row in rows], pa.string()) for field in text),
            pa.array([float(row.get("seconds") or 0.0) for row in rows], pa.float64()),
            pa.array(clips, pa.int32()),
            *(pa.array([row.get(field.name) for row in rows], field.type) for field in measured),
            _lists(means, vector_field.type),
        ],
        schema=pa.schema(text + rest, metadata=clip_schema(dim, metadata).metadata),
    )
    with write_atomically(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=False)


def _lists(vectors: NDArray[np.float32], kind: pa.DataType) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)


def split_tracks(table: pa.Table) -> Iterator[TrackClips]:
    """Yield the tracks of a part, in order, from its table."""
    ids = np.array(table["track_id"].to_pylist(), dtype=object)
    starts = table["start_seconds"].to_numpy()
    vectors = stack_vectors(table["vector"])
    edges = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist(), len(ids)]
    for first, last in itertools.pairwise(edges):
        if last > first:
            yield TrackClips(str(ids[first]), starts[first:last], vectors[first:last])
