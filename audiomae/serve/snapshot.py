"""One state of the vectors folder: what a request that has begun goes on with, whatever changes meanwhile."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from audiomae.corpus.song import TAGS
from audiomae.serve.answers import RefusedError
from audiomae.vectors.vectors import Vectors

if TYPE_CHECKING:
    from audiomae.serve.lists import Lists

__all__ = [
    "Snapshot",
    "fold",
    "stamp_of",
]

SHOWN = ("track_id", *TAGS, "path", "seconds", "clips")
"""Columns that the page and other programs see of a song."""
SEARCHED = ("title", "artist", "album", "path")
Stamp = tuple[int, int, int]
"""Modification time, size and file number of vectors.json."""


def stamp_of(folder: Path | str) -> Stamp | None:
    """Return what changes whenever vectors.json is written; None where it is not there."""
    try:
        status = (Path(folder) / "vectors.json").stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


@dataclass(frozen=True)
class Snapshot:
    """The collection as it was when it was opened.

    Attributes:
        vectors: The open folder.
        stamp: Of the vectors.json that was read.
        row_of: Row of each track id.
    """

    vectors: Vectors
    stamp: Stamp | None
    row_of: dict[str, int] = field(repr=False)
    _made: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def open(cls, folder: str) -> Snapshot:
        """Open the folder as it is now.

        Raises:
            AudiomaeError: If it cannot be opened.
        """
        stamp = stamp_of(folder)
        vectors = Vectors.open(folder)
        return cls(vectors, stamp, {name: row for row, name in enumerate(vectors.track_ids)})

    @property
    def generation(self) -> int:
        """How often the folder has changed, as it says itself."""
        return int(self.vectors.meta.get("generation", 0))

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """The shown columns as Python values; None where a folder lacks one."""
        there = self.vectors.tracks
        return {
            name: there[name].to_pylist() if name in there.column_names else [None] * there.num_rows
            for name in SHOWN
        }

    @cached_property
    def texts(self) -> pa.Array:
        """What a search looks in: title, artist, album and path, without accents and case, a line a track."""
        rows = zip(*(self.columns[name] for name in SEARCHED), strict=True)
        return pa.array([fold("\n".join(text or "" for text in row)) for row in rows], pa.string())

    def row(self, track_id: str) -> int:
        """Return the row of a track by its id alone.

        Raises:
            RefusedError: If there is no such track.
        """
        found = self.row_of.get(track_id)
        if found is None:
            raise RefusedError(
                404, f"track {track_id[:100]!r} is not among the {len(self.row_of)} there are."
            )
        return found

    def track(self, row: int) -> dict[str, Any]:
        """Return what is shown of a track."""
        return {name: values[row] for name, values in self.columns.items()}

    def tracks(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return what is shown of some tracks."""
        return [self.track(row) for row in rows]

    def search(self, query: str) -> list[int]:
        """Return the rows of which title, artist, album or path hold every word of a query, in any case."""
        words = fold(query).split()
        if not words:
            return list(range(len(self.row_of)))
        found = None
        for word in words:
            holds = pc.match_substring(self.texts, word)
            found = holds if found is None else pc.and_(found, holds)
        rows: list[int] = pc.indices_nonzero(found).to_pylist()
        return rows

    @cached_property
    def row_of_path(self) -> dict[str, int]:
        """Row of each path."""
        return {path: row for row, path in enumerate(self.columns["path"]) if path}

    def find(self, name: str) -> int:
        """Return the row of a track by its id, its path or the end of that, or its title.

        Raises:
            DataError: If there is none of this name, or several.
        """
        found = self.row_of.get(name)
        return self.vectors.find(name) if found is None else found

    @property
    def lists(self) -> Lists:
        """What finds similar songs, made at its first use."""
        with self._lock:
            if "lists" not in self._made:
                self._made["lists"] = import_module("audiomae.serve.lists").Lists(self.vectors)
        found: Lists = self._made["lists"]
        return found

    def warm(self) -> None:
        """Work out what the first requests need."""
        _ = self.columns, self.texts
        if self.row_of:
            _ = self.lists

    @cached_property
    def clip_starts(self) -> dict[str, list[float]]:
        """Where the clips of each track start, in seconds."""
        starts: dict[str, list[float]] = {}
        for table in self.vectors.parts():
            for name, start in zip(
                table["track_id"].to_pylist(), table["start_seconds"].to_pylist(), strict=True
            ):
                starts.setdefault(name, []).append(round(start, 3))
        return starts


def fold(text: str) -> str:
    """Return text without accents and case.

    Example:
        >>> fold("Björk – JÓGA")
        'bjork – joga'
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(mark for mark in plain if not unicodedata.combining(mark))
