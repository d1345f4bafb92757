"""A corpus as it lies on disk, read: log-mel shards, memory-mapped, and the table of their tracks.

corpus.json       mel settings, decoder versions, mean and std, counts, shards, fingerprint
tracks.parquet    a row a track, in the order of the shards
rejects.parquet   a row a file that was left out, with the reason
mels/shard-*.npy  float16 (frames, mels), whole tracks one after another
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.audio.mel import MelSettings
from audiomae.corpus.measured import MEASURED, MEASURED_FIELDS
from audiomae.corpus.meta import SHARD_NAME, CorpusMeta, shard_file
from audiomae.corpus.names import find_track
from audiomae.disk.files import fingerprint_of, inside, read_json
from audiomae.disk.parquet import read_parquet
from audiomae.errors import DataError, MissingError, reason_of

__all__ = [
    "CORPUS_FORMAT",
    "REJECT_SCHEMA",
    "TRACK_SCHEMA",
    "Corpus",
    "corpus_fingerprint",
    "read_rows",
]

CORPUS_FORMAT = "audiomae-corpus/1"
AGAIN = "Prepare the corpus again."

TRACK_SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("artist", pa.string(), nullable=False),
        pa.field("album", pa.string(), nullable=False),
        pa.field("genre", pa.string(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("first_frame", pa.int64(), nullable=False),
        pa.field("frames", pa.int64(), nullable=False),
        pa.field("level", pa.float64(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("modified_ns", pa.int64(), nullable=False),
        pa.field("mel_sum", pa.float64(), nullable=False),
        pa.field("mel_square_sum", pa.float64(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
        *MEASURED_FIELDS,
    ]
)
"""Columns of tracks.parquet: `seconds` of audio, `level` in dBFS (RMS), `content` a hash of the decoded
samples, `bytes` and `modified_ns` of the file, `mel_sum` and `mel_square_sum` over the track's log-mel
values, `note` what is odd about a file that is kept, then `MEASURED_FIELDS`. The last six are empty in corpora from
before they were measured."""

REJECT_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("modified_ns", pa.int64(), nullable=False),
    ]
)
"""Columns of rejects.parquet: `reason` is "kind: detail"; `content` is set for duplicates; a file that was
not there has -1 `bytes`."""


class Corpus:
    """Log-mels of many tracks, read as needed from disk; made by `audiomae prepare`.

    Attributes:
        folder: Where it lies.
        mel: Settings the log-mels were made with.
        mean: Mean of all log-mel values.
        std: Standard deviation of all log-mel values.
        fingerprint: Stands for the mel settings and the content and order of the tracks.
        track_ids: Names of the tracks, in order.
        frames: Frames of each track, int64 (tracks,).
        tracks: Table of the tracks, as `TRACK_SCHEMA`.
        meta: All of corpus.json.
    """

    def __init__(self, folder: Path, meta: dict[str, Any], tracks: pa.Table) -> None:
        self.folder = folder
        self.meta = meta
        self.tracks = tracks
        read = CorpusMeta.of(meta, folder / "corpus.json")
        self.mel, self.mean, self.std, self.fingerprint = read.mel, read.mean, read.std, read.fingerprint
        self.track_ids: list[str] = tracks["track_id"].to_pylist()
        self.frames: NDArray[np.int64] = column(tracks, "frames")
        self._shard = column(tracks, "shard")
        self._first_frame = column(tracks, "first_frame")
        self._index: dict[str, int] = {}
        self._maps: dict[int, NDArray[np.float16]] = {}

    @classmethod
    def open(cls, folder: Path | str) -> Corpus:
        """Open a corpus and check that all of it is there.

        Raises:
            MissingError: If a file is missing or cut short.
            DataError: If the folder holds another format.
        """
        folder = Path(folder)
        meta = read_json(folder / "corpus.json", format=CORPUS_FORMAT)
        shards = CorpusMeta.of(meta, folder / "corpus.json").shards
        for shard in shards:
            check_shard(inside(folder, shard.file, SHARD_NAME), shard.bytes)
        tracks = read_rows(folder / "tracks.parquet", TRACK_SCHEMA)
        corpus = cls(folder, meta, tracks)
        contents = tracks["content"].to_pylist()
        if corpus_fingerprint(corpus.mel, corpus.track_ids, contents) != corpus.fingerprint:
            raise MissingError(
                f"{folder}: tracks.parquet does not fit corpus.json; preparing was cut short. "
                "Run the same `audiomae prepare` again to finish it."
            )
        corpus.check_places({shard.shard: shard.bytes for shard in shards})
        return corpus

    def check_places(self, shards: dict[int, int]) -> None:
        """Refuse tracks that do not lie within their shard; `shards` has the bytes of each.

        Raises:
            DataError: With the first that does not.
        """
        numbers, places = np.unique(self._shard, return_inverse=True)
        sizes = np.array([shards.get(shard, -1) for shard in numbers.tolist()], np.int64)
        held = sizes[places] // (2 * self.mel.mels)
        with np.errstate(over="ignore"):
            ends = self._first_frame + self.frames
        wrong = (self.frames < 0) | (self._first_frame < 0) | (ends < self._first_frame) | (ends > held)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"{self.folder / 'tracks.parquet'}: row {row + 1} lies outside shard {self._shard[row]}. {AGAIN}"
            )

    @property
    def hours(self) -> float:
        """Length of all tracks."""
        return float(self.mel.seconds_of(int(self.frames.sum()))) / 3600

    def rejects(self) -> pa.Table:
        """Return the files that were left out, as `REJECT_SCHEMA`.

        Raises:
            MissingError: If the table is missing or cut short.
        """
        return read_rows(self.folder / "rejects.parquet", REJECT_SCHEMA)

    def __repr__(self) -> str:
        counts = f"tracks={len(self)}, hours={self.hours:.2f}, fingerprint={self.fingerprint}"
        return f"Corpus({str(self.folder)!r}, {counts})"

    def __len__(self) -> int:
        return len(self.track_ids)

    def __reduce__(self) -> tuple[Any, ...]:
        return Corpus, (self.folder, self.meta, self.tracks)  # a copy in another process maps the shards anew

    def mels(self, track: int, first: int = 0, frames: int | None = None) -> NDArray[np.float16]:
        """Return a view of a track's log-mels, read-only and memory-mapped.

        Args:
            track: Index of the track.
            first: First frame.
            frames: Frames to return; None for all that follow `first`.

        Returns:
            Log-mels (frames, mels), float16.

        Raises:
            IndexError: If the track has no such frames.
            MissingError: If the shard is gone.
        """
        if not 0 <= track < len(self):
            raise IndexError(f"track {track} is outside 0 to {len(self) - 1}")
        held = int(self.frames[track])
        frames = held - first if frames is None else frames
        if first < 0 or frames < 0 or first + frames > held:
            raise IndexError(
                f"frames {first} to {first + frames} are outside track {track}, which has {held}"
            )
        start = int(self._first_frame[track]) + first
        return self._map(int(self._shard[track]))[start : start + frames]

    def find(self, track: str) -> int:
        """Return the index of a track.

        Args:
            track: Its id, its path or the end of that, or its title where no other has it.

        Raises:
            DataError: If there is none of this name, or several; the line says which.
        """
        if not self._index:
            self._index = {name: index for index, name in enumerate(self.track_ids)}
        if track in self._index:
            return self._index[track]
        paths, titles = (self.tracks[name].to_pylist() for name in ("path", "title"))
        return find_track(track, self.track_ids, paths, titles, self.folder)

    def _map(self, shard: int) -> NDArray[np.float16]:
        mapped = self._maps.get(shard)
        if mapped is None:
            path = self.folder / shard_file(shard)
            try:
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, SyntaxError, MemoryError, RecursionError, OverflowError) as error:
                raise MissingError(f"{path}: cannot be read ({reason_of(error)}). {AGAIN}") from error
            if mapped.dtype != np.float16 or mapped.ndim != 2 or mapped.shape[1] != self.mel.mels:
                raise DataError(
                    f"{path}: holds {mapped.dtype} of shape {mapped.shape}, not float16 of {self.mel.mels} mel "
                    f"bands. {AGAIN}"
                )
            self._maps[shard] = mapped
        return mapped


def column(tracks: pa.Table, name: str) -> NDArray[np.int64]:
    """Return an integer column as int64 (tracks,)."""
    return np.asarray(tracks[name].to_numpy(), dtype=np.int64)


def corpus_fingerprint(mel: MelSettings, track_ids: list[str], contents: list[str]) -> str:
    """Return what stands for mel settings and tracks: the same for the same audio in the same order."""
    return fingerprint_of(asdict(mel), track_ids, contents)


def read_rows(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a Parquet file as a table of `schema`; columns that came later than the file are empty."""
    later = [name for name in schema.names if name in (*MEASURED, "note") and _lacks(path, name)]
    known = pa.schema([field for field in schema if field.name not in later])
    table = read_parquet(path, known, again=AGAIN)
    for name in later:
        field = schema.field(name)
        cells = (
            pa.nulls(len(table), field.type) if field.nullable else pa.array([""] * len(table), field.type)
        )
        table = table.append_column(field, cells)
    return table.select(schema.names)


def _lacks(path: Path, name: str) -> bool:
    """Return whether a table of tracks was written before it had a column."""
    try:
        return name not in pq.read_schema(path).names
    except (OSError, pa.ArrowException):  # who reads it says what is wrong
        return False


def check_shard(path: Path, size: int) -> None:
    """Refuse a shard that is not there or of another size."""
    try:
        found = path.stat().st_size
    except OSError:
        raise MissingError(f"{path}: no such file. Prepare the corpus again, in a new folder.") from None
    if found != size:
        raise MissingError(
            f"{path}: cut short, {found} of {size} bytes. Prepare the corpus again, in a new folder."
        )
