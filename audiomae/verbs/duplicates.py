"""vectors → songs that are there more than once, by their files: copies encoded anew, louder or cut a little."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.checks import require
from audiomae.disk.files import write_atomically
from audiomae.errors import ConfigError
from audiomae.progress import SILENT, Progress
from audiomae.vectors.duplicates import (
    CLIP_THRESHOLD,
    SECONDS,
    THRESHOLD,
    DuplicatePair,
    find_duplicates,
    group_pairs,
)
from audiomae.vectors.vectors import Vectors

__all__ = [
    "DuplicateGroup",
    "DuplicateSong",
    "DuplicatesResult",
    "DuplicatesSettings",
    "SongPair",
    "duplicates",
]

TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class DuplicatesSettings:
    """Settings of `audiomae duplicates`.

    Attributes:
        vectors: Folder made by `audiomae export`.
        threshold: Least cosine of two songs' vectors, in [-1, 1], each entry first brought to mean 0 and deviation 1
            over the collection unless the vectors are whitened; up to 64 songs it is not asked, all are compared
            clip by clip.
        clips: Least mean cosine of two songs' clips in order, in [-1, 1], brought to mean 0 and deviation 1 alike; null
            to go without, for live and other versions.
        seconds: Most that the lengths of two copies may differ by, in seconds; null for any, for edited versions.
        limit: Groups that the result holds at most, largest first; `out` holds all.
        out: CSV or Parquet file for all pairs, most alike first: group, first_path, second_path, first_track_id,
            second_track_id, first_seconds, second_seconds, cosine, clip_cosine.
    """

    vectors: str
    threshold: float = THRESHOLD
    clips: float | None = CLIP_THRESHOLD
    seconds: float | None = SECONDS
    limit: int = 100
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        require("threshold", self.threshold, least=-1, most=1)
        require("limit", self.limit, least=1)
        if self.clips is not None:
            require("clips", self.clips, least=-1, most=1)
        if self.seconds is not None:
            require("seconds", self.seconds, least=0)
        if self.out is not None and Path(self.out).suffix.lower() not in TABLES:
            raise ConfigError(f"out is {self.out}; name a file that ends in {' or '.join(TABLES)}.")


@dataclass(frozen=True)
class DuplicateSong:
    """A song of a group.

    Attributes:
        path: Where its file lay when it was prepared, empty where unknown.
        track_id: Its id.
        seconds: Its length.
        similarity: Similarity of the pair of the group that it is most alike in, in [-1, 1].
    """

    path: str
    track_id: str
    seconds: float
    similarity: float


@dataclass(frozen=True)
class DuplicateGroup:
    """Songs that pairs of copies join, directly or through others.

    Attributes:
        songs: The songs, in the order of the collection.
        least_similarity: Similarity of the pair that is least alike among those found, in [-1, 1].
    """

    songs: list[DuplicateSong]
    least_similarity: float


@dataclass(frozen=True)
class SongPair:
    """Two songs that are copies of each other, and the group they are of, 1 for the first.

    Attributes:
        group: Number of their group.
        first_path: Path of the one, empty where unknown.
        second_path: Path of the other.
        first_track_id: Id of the one.
        second_track_id: Id of the other.
        first_seconds: Length of the one.
        second_seconds: Length of the other.
        cosine: Cosine of their vectors, in [-1, 1].
        clip_cosine: Mean cosine of their clips in order, in [-1, 1]; None where clips were not compared.
    """

    group: int
    first_path: str
    second_path: str
    first_track_id: str
    second_track_id: str
    first_seconds: float
    second_seconds: float
    cosine: float
    clip_cosine: float | None


@dataclass(frozen=True)
class DuplicatesResult:
    """What `duplicates` found.

    Attributes:
        tracks: Songs that were compared.
        settings: The limits that decided, and what else was asked.
        found_groups: Groups found.
        found_pairs: Pairs found.
        groups: Groups, largest first; `settings.limit` of them at most.
        pairs: Pairs of these groups, most alike first.
        out: File that holds all pairs, if one was asked for.
    """

    tracks: int
    settings: DuplicatesSettings
    found_groups: int
    found_pairs: int
    groups: list[DuplicateGroup]
    pairs: list[SongPair]
    out: str | None


def duplicates(settings: DuplicatesSettings, *, progress: Progress = SILENT) -> DuplicatesResult:
    """Find copies among the songs of a collection, and write their pairs where a file is named.

    Raises:
        DataError: If more than a million pairs are alike, or the folder is damaged.
    """
    vectors = Vectors.open(settings.vectors)
    found = find_duplicates(
        vectors, settings.threshold, clips=settings.clips, seconds=settings.seconds, progress=progress
    )
    grouped = group_pairs(found)
    number = {row: place for place, rows in enumerate(grouped, 1) for row in rows}
    songs = _Songs(vectors)
    if settings.out is not None:
        _write(Path(settings.out), [songs.pair(pair, number[pair.first]) for pair in found])
    shown = [pair for pair in found if number[pair.first] <= settings.limit]
    best: dict[int, float] = {}
    least: dict[int, float] = {}
    for pair in shown:  # most alike first
        best.setdefault(pair.first, pair.similarity)
        best.setdefault(pair.second, pair.similarity)
        least[number[pair.first]] = pair.similarity
    groups = [
        DuplicateGroup([songs.song(row, best[row]) for row in rows], least[place])
        for place, rows in enumerate(grouped[: settings.limit], 1)
    ]
    pairs = [songs.pair(pair, number[pair.first]) for pair in shown]
    return DuplicatesResult(
        vectors.tracks.num_rows, settings, len(grouped), len(found), groups, pairs, settings.out
    )


class _Songs:
    """What is told of tracks, by their rows."""

    def __init__(self, vectors: Vectors) -> None:
        self.ids = vectors.track_ids
        self.paths = [path or "" for path in vectors.tracks["path"].to_pylist()]
        self.seconds = [float(length or 0.0) for length in vectors.tracks["seconds"].to_pylist()]

    def song(self, row: int, similarity: float) -> DuplicateSong:
        return DuplicateSong(self.paths[row], self.ids[row], self.seconds[row], similarity)

    def pair(self, pair: DuplicatePair, group: int) -> SongPair:
        one, other = pair.first, pair.second
        return SongPair(
            group,
            *(self.paths[one], self.paths[other]),
            *(self.ids[one], self.ids[other]),
            *(self.seconds[one], self.seconds[other]),
            *(pair.cosine, pair.clip_cosine),
        )


def _write(path: Path, pairs: Sequence[SongPair]) -> None:
    """Write pairs as CSV or Parquet."""
    names = [field.name for field in fields(SongPair)]
    columns = {name: [getattr(pair, name) for pair in pairs] for name in names}
    with write_atomically(path) as temporary:
        if path.suffix.lower() == ".csv":
            with temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(names)
                writer.writerows(zip(*columns.values(), strict=True))
            return
        kinds = {"group": pa.int64(), "cosine": pa.float64(), "clip_cosine": pa.float64()}
        kinds |= {"first_seconds": pa.float64(), "second_seconds": pa.float64()}
        schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in names])
        pq.write_table(pa.table(columns, schema=schema), temporary)
