"""What is known of tracks without any listener: one vector each, from audio, tags or genres."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.disk.files import fingerprint_of, write_atomically
from audiomae.disk.parquet import read_parquet
from audiomae.errors import DataError, MissingError
from audiomae.listening.check.columns import id_texts
from audiomae.listening.tables import TRACK_FIELDS
from audiomae.vectors.parts import stack_vectors
from audiomae.vectors.vectors import Vectors

__all__ = ["ClipVectors", "Content", "write_content"]

MODEL_KEY = b"audiomae.model_fingerprint"
"""Metadata of a content Parquet file: what made the vectors."""
SPACE = ("model_fingerprint", "layer", "pool", "whiten", "whitening_fingerprint")
"""Entries of vectors.json that decide which vectors can be compared with each other."""


class ClipVectors(NamedTuple):
    """Clips of each track."""

    vectors: NDArray[np.float32]
    """(tracks, clips, dim), 0 where a track has fewer clips."""
    there: NDArray[np.bool_]
    """Which of them there are, (tracks, clips)."""


@dataclass(frozen=True)
class Content:
    """One vector a track.

    Attributes:
        path: Vectors folder or Parquet file it was read from.
        track_ids: Tracks, sorted, each once.
        vectors: Finite vectors, float32 (tracks, dim).
        tags: track_id, title, artist, album, genre, path (strings, empty where unknown), a row a track.
        fingerprint: Stands for these tracks and vectors.
        model_fingerprint: Stands for what made the vectors: encoder, layer, pooling, whitening. Vectors of
            different ones cannot be compared. None where the source does not say.
    """

    path: Path
    track_ids: list[str] = field(repr=False)
    vectors: NDArray[np.float32] = field(repr=False)
    tags: pa.Table = field(repr=False)
    fingerprint: str
    model_fingerprint: str | None

    @classmethod
    def open(cls, path: Path | str) -> Content:
        """Read a folder that `audiomae export` has finished, or Parquet with track_id and vector.

        The Parquet file's vectors are lists of numbers, all of one length; title, artist, album and
        genre may stand beside them.

        Raises:
            MissingError: If the file or folder is not there, or cut short.
            DataError: If there is no track, an id is empty or twice the same, or a vector is not finite.
        """
        path = Path(path)
        if path.is_dir():
            vectors = Vectors.open(path)
            space = fingerprint_of({name: vectors.meta.get(name) for name in SPACE})
            return cls._build(path, vectors.tracks, vectors.track_vectors, space, vectors.meta["fingerprint"])
        if not path.exists():
            raise MissingError(f"{path}: no such file or folder. Check the spelling.")
        table = read_parquet(path)
        for name in ("track_id", "vector"):
            if name not in table.column_names:
                found = ", ".join(table.column_names)
                raise DataError(
                    f"{path}: column {name} is missing. The table has {found}; rename the right one."
                )
        model = (table.schema.metadata or {}).get(MODEL_KEY, b"").decode() or None
        return cls._build(path, table, _read_vectors(path, table["vector"]), model, None)

    def __len__(self) -> int:
        return len(self.track_ids)

    @property
    def dim(self) -> int:
        """Entries of a vector."""
        return int(self.vectors.shape[1])

    def clip_vectors(self, limit: int) -> ClipVectors:
        """Return clip vectors of each track; of a track with more clips, `limit` spread over its length.

        Args:
            limit: Clips a track, at most.

        Raises:
            DataError: If this content is no vectors folder, or a clip's vector is not finite.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        if not self.path.is_dir():
            raise DataError(
                f"{self.path}: one vector a track, no clips; pooling over clips needs them. Name a vectors folder."
            )
        opened = Vectors.open(self.path)
        rows = {name: row for row, name in enumerate(self.track_ids)}
        held = np.zeros((len(self), limit, self.dim), dtype=np.float32)
        mask = np.zeros((len(self), limit), dtype=bool)
        for part in opened.parts():
            names = part["track_id"].combine_chunks().dictionary_encode()
            codes, vectors = names.indices.to_numpy(zero_copy_only=False), stack_vectors(part["vector"])
            order = np.argsort(codes, kind="stable")  # a part holds whole tracks, clips in order
            bounds = np.searchsorted(codes[order], np.arange(len(names.dictionary) + 1))
            for code, name in enumerate(names.dictionary.to_pylist()):
                clips = order[bounds[code] : bounds[code + 1]]
                if len(clips) > limit:
                    clips = clips[np.linspace(0, len(clips) - 1, limit).round().astype(np.int64)]
                held[rows[name], : len(clips)] = vectors[clips]
                mask[rows[name], : len(clips)] = True
        _refuse_unknown(self.path, self.track_ids, held.reshape(len(self), -1))
        return ClipVectors(held, mask)

    @classmethod
    def _build(
        cls, path: Path, table: pa.Table, vectors: NDArray[np.float32], model: str | None, known: str | None
    ) -> Content:
        try:
            ids = [name or "" for name in id_texts(table["track_id"])]
        except DataError as error:
            raise DataError(f"{path}: column track_id: {error} Convert the column.") from None
        if not ids:
            raise DataError(f"{path}: 0 tracks; at least one is needed. Name a source with vectors in it.")
        order = sorted(range(len(ids)), key=ids.__getitem__)
        names = [ids[row] for row in order]
        if not names[0]:
            raise DataError(
                f"{path}: row {order[0] + 1}, column track_id: empty. Fill it in, or drop the row."
            )
        for place, name in enumerate(names[1:], 1):
            if name == names[place - 1]:
                row, first = order[place] + 1, order[place - 1] + 1
                raise DataError(
                    f"{path}: row {row}, column track_id: {name!r} stands in row {first} too; one vector a track. "
                    "Drop one of them."
                )
        _refuse_unknown(path, ids, vectors)
        vectors = np.ascontiguousarray(vectors[order])
        unknown = pa.array([""] * len(ids), pa.string())
        tags = {
            name: pc.fill_null(table[name].cast(pa.string()), "") if name in table.column_names else unknown
            for name in (*TRACK_FIELDS, "path")
        }
        own = known or fingerprint_of(names, list(vectors.shape), vectors.tobytes())
        return cls(path, names, vectors, pa.table(tags).take(pa.array(order, pa.int64())), own, model)


def write_content(
    path: Path | str, tracks: pa.Table, vectors: NDArray[np.float32], model_fingerprint: str | None = None
) -> None:
    """Write content Parquet that `Content.open` reads.

    Args:
        path: File to write, atomically.
        tracks: track_id and, as far as known, title, artist, album, genre.
        vectors: float32 (tracks, dim).
        model_fingerprint: Stands for what made the vectors, if they are to be told from others.

    Raises:
        StorageError: If the disk refuses.
    """
    known = {name: tracks[name] for name in TRACK_FIELDS if name in tracks.column_names}
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    table = pa.table(known | {"vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])})
    if model_fingerprint:
        table = table.replace_schema_metadata({MODEL_KEY: model_fingerprint.encode()})
    with write_atomically(path) as temporary:
        pq.write_table(table, temporary)


def _read_vectors(path: Path, column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Read lists of one length, (rows, dim)."""
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not lists or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise DataError(f"{path}: column vector is of type {kind}; it must hold lists of numbers.")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    if (len(lengths) and (lengths != lengths[0]).any()) or not lengths.all():
        row = int(np.flatnonzero((lengths != lengths[0]) | (lengths == 0))[0])
        raise DataError(
            f"{path}: row {row + 1}, column vector: {lengths[row]} entries, the first row has {lengths[0]}; all "
            "must be of one length above 0. Make the file again."
        )
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), -1 if len(column) else 0)


def _refuse_unknown(path: Path, ids: list[str], vectors: NDArray[np.float32]) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        more = f" ({len(bad)} tracks in all)" if len(bad) > 1 else ""
        raise DataError(
            f"{path}: row {bad[0] + 1}, column vector: track {ids[bad[0]]!r} has NaN or infinite entries{more}. "
            "Make its vector again, or drop the row."
        )
