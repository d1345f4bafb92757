"""The vectors folder, open for reading: its tracks, its clips, and the songs that are near each other.

Example:
    `ids, matrix = audiomae.Vectors.open("vectors/").to_numpy()`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.corpus.names import find_track
from audiomae.disk.commits import latest, read_settled
from audiomae.disk.files import inside, read_json
from audiomae.disk.records import as_record
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.vectors.parts import (
    FORMAT,
    PART_NAME,
    TRACK_COLUMNS,
    VectorsMeta,
    check_vectors,
    clip_schema,
    read_part,
    settings_fingerprint,
    stack_vectors,
)
from audiomae.vectors.search import Standardiser, unit_rows
from audiomae.vectors.similar import SimilarSong, best_rows, list_similar
from audiomae.vectors.space import SearchSpace

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["ClipVector", "NamedVectors", "Vectors"]


class ClipVector(NamedTuple):
    """One row of the clips table."""

    track_id: str
    clip_index: int
    start_seconds: float
    vector: NDArray[np.float32]


class NamedVectors(NamedTuple):
    """Vectors and whose they are."""

    track_ids: NDArray[np.str_]
    """Track of each row, (rows,)."""
    vectors: NDArray[np.float32]
    """(rows, dim)"""


@dataclass(frozen=True)
class Vectors:
    """A finished vectors folder, open for reading.

    Cosines of the vectors as they are lie close together, whatever the songs (their median was 0.96 on 18 h of
    game music): compare `standardised()` ones, as `similar` does, unless the vectors are whitened.

    Attributes:
        folder: Where it lies.
        meta: What `vectors.json` says: what the vectors were made from, and `fingerprint`.
        tracks: A row a track: track_id, title, artist, album, genre, path, seconds, clips, vector.
        track_vectors: Mean vector of each track's clips, float32, (tracks, dim), in the order of `tracks`.

    Example:
        `songs = Vectors.open("vectors/").similar("song-1", k=5)`
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
        return read_settled(folder, "vectors.json", lambda: cls._open_once(folder))

    @classmethod
    def _open_once(cls, folder: Path) -> Vectors:
        if not latest(folder, "vectors.json").exists() and (folder / "clips").exists():
            raise MissingError(f"{folder}: the export has not finished. Run the same audiomae export again.")
        meta = read_json(latest(folder, "vectors.json"), format=FORMAT)
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
        tracks = read_part(latest(folder, "tracks.parquet"), read.fingerprint)
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
        check_vectors(folder / "tracks.parquet", vectors, read.dim)
        return cls(folder, meta, tracks, vectors)

    @cached_property
    def track_ids(self) -> list[str]:
        """The tracks' names, in order."""
        return list(self.tracks["track_id"].to_pylist())

    @property
    def dim(self) -> int:
        """Entries of a vector."""
        return int(self.meta["dim"])

    def find(self, track: str) -> int:
        """Return the row of a track.

        Args:
            track: Its id, its path or the end of that, or its title where no other has it.

        Raises:
            DataError: If there is none of this name, or several; the line says which.
        """
        paths, titles = ([text or "" for text in self.tracks[name].to_pylist()] for name in ("path", "title"))
        return find_track(track, self.track_ids, paths, titles, self.folder)

    def clips_of(self, track: int) -> pa.Table:
        """Return the clips of one track: track_id, clip_index, start_seconds, vector.

        Args:
            track: Its row.

        Raises:
            DataError: If the part that should hold them does not.
        """
        name, before = self.track_ids[track], int(np.sum(self.tracks["clips"].to_numpy()[:track]))
        for number, part in enumerate(self.meta["parts"]):
            if before < part["clips"]:
                table = self.part(number).slice(before, int(self.tracks["clips"][track].as_py()))
                if set(table["track_id"].to_pylist()) == {name}:
                    return table
                break
            before -= part["clips"]
        raise DataError(f"{self.folder}: its parts do not hold the clips of {name} in order. Export again.")

    def parts(self) -> Iterator[pa.Table]:
        """Yield the clips table part by part: track_id, clip_index, start_seconds, vector.

        Raises:
            DataError: If a vector is of another length, or has NaN or infinite entries.
        """
        for number in range(len(self.meta["parts"])):
            yield self.part(number)

    def part(self, number: int) -> pa.Table:
        """Return one part of the clips table, as `parts` does; it holds whole tracks.

        Raises:
            DataError: If a vector is of another length, or has NaN or infinite entries.
        """
        path = inside(self.folder, f"clips/{self.meta['parts'][number]['name']}", PART_NAME)
        table = read_part(path, self.meta["fingerprint"])
        check_vectors(path, stack_vectors(table["vector"]), self.dim)
        return table

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

    def to_numpy(self, *, clips: bool = False) -> NamedVectors:
        """Return ids and vectors, as they lie on disk: a row a track, or a row a clip.

        Args:
            clips: Whether to return the clips, tracks in order and clips in order.
        """
        if not clips:
            return NamedVectors(np.array(self.track_ids, dtype=np.str_), self.track_vectors)
        table = self.clip_table()
        return NamedVectors(
            np.array(table["track_id"].to_pylist(), dtype=np.str_), stack_vectors(table["vector"])
        )

    def to_pandas(self, *, clips: bool = False) -> DataFrame:
        """Return the tables as pandas', with an array in the column `vector`.

        Args:
            clips: Whether to return the clips (track_id, clip_index, start_seconds, vector) instead of the tracks
                (track_id, title, artist, album, genre, path, seconds, clips, vector).

        Raises:
            ConfigError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConfigError(
                "to_pandas needs pandas, which is not installed. Install it (pip install pandas), or take to_numpy()."
            ) from None
        table = self.clip_table() if clips else self.tracks
        columns = {name: table[name].to_pylist() for name in table.column_names if name != "vector"}
        return pandas.DataFrame({**columns, "vector": list(stack_vectors(table["vector"]))})

    @property
    def whitened(self) -> bool:
        """Whether the vectors went through a whitening, so that their cosines can be compared as they are."""
        return bool(self.meta.get("whiten"))

    def standardised(self) -> NDArray[np.float32]:
        """Return the vectors of the tracks ready for cosines, (tracks, dim).

        Each entry is brought to mean 0 and deviation 1 over the collection; whitened vectors are returned as they
        are.
        """
        known = self.track_vectors
        return known if self.whitened else Standardiser.fit(known)(known)

    @cached_property
    def space(self) -> SearchSpace:
        """The space in which the tracks are compared, learned from them."""
        return SearchSpace.fit(self.track_vectors, standardise=not self.whitened)

    def similar(self, track: str, *, k: int = 10, raw: bool = False) -> list[SimilarSong]:
        """Return the songs most similar to a track, nearest first, without itself.

        Args:
            track: Its id, its path or the end of that, or its title where no other has it.
            k: Songs to return.
            raw: Whether to take cosines of the vectors as they are, and correct no hubs.

        Raises:
            DataError: If there is no such track.
        """
        row = self.find(track)
        return self._nearest(self.track_vectors[row], k, raw=raw, without=[row])

    def similar_to(
        self, vector: NDArray[np.floating], *, k: int = 10, raw: bool = False
    ) -> list[SimilarSong]:
        """Return the songs most similar to a vector, (dim,), that was made as these were, nearest first.

        Raises:
            DataError: If it has another length.
        """
        if vector.shape != (self.dim,):
            raise DataError(
                f"vector has shape {vector.shape}; {self.folder} holds vectors of shape ({self.dim},)."
            )
        return self._nearest(vector, k, raw=raw)

    def _nearest(
        self, query: NDArray[np.floating], k: int, *, raw: bool, without: Sequence[int] = ()
    ) -> list[SimilarSong]:
        require("k", k, least=1)
        if not len(self.track_vectors):
            raise DataError(f"{self.folder}: holds no track.")
        if raw:
            cosines = np.clip(unit_rows(self.track_vectors) @ unit_rows(query[None])[0], -1.0, 1.0)
            scores = cosines
        else:
            found = self.space.cosines(self.space.project(query[None]))
            cosines, scores = found[0], self.space.scores(found)[0]
        rows = best_rows(scores, k, self.track_ids, without=without)
        return list_similar(self.tracks, rows, cosines[rows], scores[rows])
