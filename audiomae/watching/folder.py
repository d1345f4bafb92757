"""A vectors folder that is kept up to date: its tracks, its parts, the files it knows, and how a change is stored.

    clips/part-00042.parquet  written first, under a number that this folder has never given
    watch.parquet, tracks.parquet, vectors.json     then replaced together (`audiomae.disk.commits`)

A part is never written again once vectors.json has named it, and goes a minute after it was named last: somebody may
have the folder open as it was.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.corpus.measured import MEASURED
from audiomae.disk.commits import commit_together, finish_commit
from audiomae.disk.files import read_json, storage_errors, write_json
from audiomae.disk.records import as_record
from audiomae.errors import DataError, FingerprintError, MissingError
from audiomae.vectors.parts import (
    FORMAT,
    TEXTS,
    VectorsMeta,
    read_part,
    settings_fingerprint,
    stack_vectors,
)
from audiomae.vectors.writer import TrackClips, mean_of, metadata_of, write_tracks
from audiomae.watching.known import Known, key_of, read_known, write_known
from audiomae.watching.parts import Part, Parts

__all__ = ["Row", "WatchedFolder"]

TOLD = ("format", "fingerprint", "dim", "tracks", "clips", "parts", "generation", "watched", "next_part")
"""Entries of vectors.json that a change writes anew."""
CONTENT_ID = re.compile(r"[0-9a-f]{16}")
Row = dict[str, Any]


@dataclass
class WatchedFolder:
    """The folder, as it is after the last change. Hold `audiomae.disk.files.locked` on it.

    Attributes:
        folder: Where it lies.
        settings: What vectors.json says of how the vectors are made.
        dim: Entries of a vector.
        parts: The parts.
        generation: Number of the last change.
        rows: What is known of each track, by its id, in the order of the parts.
        clips: Clips of each track.
        means: Mean vector of each track, (dim,).
        known: The files that were looked at, by their paths.
        lost: Tracks of parts that are damaged or gone; their files are to be prepared anew.
        followed: Whether an export made the folder, and nothing has been stored here since.
    """

    folder: Path
    settings: dict[str, Any]
    dim: int
    parts: Parts
    generation: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    clips: dict[str, int] = field(default_factory=dict)
    means: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    lost: int = 0
    followed: bool = False

    @classmethod
    def make(cls, folder: Path, settings: dict[str, Any], dim: int, part_clips: int) -> WatchedFolder:
        """Write a folder that holds nothing yet.

        Raises:
            MissingError: If an export has begun there and not finished.
        """
        if (folder / "clips").exists() and any((folder / "clips").glob("part-*.parquet")):
            raise MissingError(
                f"{folder}: an export has begun here and not finished. Finish it, or name another --out."
            )
        made = cls(folder, settings, dim, Parts(folder, settings, dim, part_clips))
        with storage_errors(folder):
            made._store([], [])
        return made

    @classmethod
    def open(cls, folder: Path, part_clips: int) -> WatchedFolder:
        """Open a folder that was watched before or that an export made; a change that was cut short is finished.

        Raises:
            DataError: If it is damaged.
        """
        finish_commit(folder, last="vectors.json")
        named = folder / "vectors.json"
        meta = read_json(named, format=FORMAT)
        if meta.get("fingerprint") != settings_fingerprint(meta):
            raise FingerprintError(f"{named}: was edited by hand. Name another --out.")
        read = as_record(meta, VectorsMeta, where=named)
        table = read_part(folder / "tracks.parquet", read.fingerprint)
        columns = [name for name in ("track_id", *TEXTS, "seconds", *MEASURED) if name in table.column_names]
        rows = table.select(columns).to_pylist()
        means = stack_vectors(table["vector"])
        clips = table["clips"].to_pylist()
        settings = {name: value for name, value in meta.items() if name not in TOLD}
        parts = Parts(folder, settings, read.dim, part_clips, int(meta.get("next_part", 0)))
        place = 0
        for part in read.parts:
            first, held = place, 0
            while held < part.clips and place < len(rows):
                held += clips[place]
                place += 1
            if held != part.clips:
                raise DataError(f"{folder}: tracks.parquet does not fit its parts. Name another --out.")
            ids = tuple(str(row["track_id"]) for row in rows[first:place])
            parts.all.append(Part(part.name, part.clips, part.bytes, ids))
        names = [str(row["track_id"]) for row in rows]
        made = cls(
            folder,
            settings,
            read.dim,
            parts,
            int(meta.get("generation", 0)),
            dict(zip(names, rows, strict=True)),
            dict(zip(names, clips, strict=True)),
            dict(zip(names, means, strict=True)),
            followed=not meta.get("watched"),
        )
        made.known = _exported(rows, named) if made.followed else read_known(folder / "watch.parquet")
        made._drop_damaged()
        with storage_errors(folder):
            made.parts.sweep()
        return made

    def _drop_damaged(self) -> None:
        """Forget the tracks of parts that are gone or cut short, so that their files are prepared anew."""
        lost = set(self.parts.drop_damaged())
        self.lost = len(lost)
        for track in lost:
            del self.rows[track], self.clips[track], self.means[track]
        gone = {key_of(row.content) or row.path for row in self.known.values() if row.track_id in lost}
        self.known = {
            path: row for path, row in self.known.items() if (key_of(row.content) or path) not in gone
        }

    def store(self, rows: dict[str, Row], added: Sequence[TrackClips], known: dict[str, Known]) -> None:
        """Make a change the state of the folder, or none of it.

        Args:
            rows: What is known of each track from now on; the parts lose the others.
            added: Clips of the tracks of `rows` that the folder does not hold yet.
            known: The files that were looked at, from now on.

        Raises:
            StorageError: If the disk refuses; the folder on the disk is as it was, and is to be opened anew.
        """
        with storage_errors(self.folder):
            parts, renewed = self.parts.changed(rows, added)
            clips = {**self.clips, **{track.track_id: len(track.vectors) for track in added}}
            means = {**self.means, **{track.track_id: mean_of(track) for track in added}}
            order = [track for part in parts for track in part.tracks]
            self.generation += 1
            self.known, self.rows = known, {track: rows[track] for track in order}
            self.clips = {track: clips[track] for track in order}
            self.means = {track: means[track] for track in order}
            self._store(parts, renewed)
            self.parts.all, self.followed = parts, False
            self.parts.sweep()

    def _store(self, parts: Sequence[Part], renewed: Sequence[Part]) -> None:
        """Write what counts, and put it into place."""
        self.parts.touch(renewed)
        (self.folder / "clips").mkdir(parents=True, exist_ok=True)
        means = np.stack(list(self.means.values())) if self.means else np.zeros((0, self.dim), np.float32)
        rows, counts = list(self.rows.values()), list(self.clips.values())
        meta = {
            **self.settings,
            "format": FORMAT,
            "fingerprint": settings_fingerprint(self.settings),
            "dim": self.dim,
            "tracks": len(rows),
            "clips": sum(counts),
            "parts": [{"name": part.name, "clips": part.clips, "bytes": part.bytes} for part in parts],
            "watched": True,
            "generation": self.generation,
            "next_part": self.parts.next_number,
        }
        with commit_together(self.folder, last="vectors.json") as new:
            write_known(new / "watch.parquet", self.known.values())
            write_tracks(new / "tracks.parquet", rows, counts, means, metadata_of(self.settings))
            write_json(new / "vectors.json", meta)


def _exported(rows: Sequence[Row], named: Path) -> dict[str, Known]:
    """Return the files of an export as known, if they have not been written to since it ended."""
    ended = named.stat().st_mtime_ns
    known = dict[str, Known]()
    for row in rows:
        path, track = str(row.get("path") or ""), str(row["track_id"])
        if not path:
            continue
        try:
            status = os.stat(path)  # noqa: PTH116 - of 22,000 files
            same = status.st_mtime_ns <= ended
        except (OSError, ValueError):
            same = False
        stamp = (status.st_size, status.st_mtime_ns) if same else (-1, -1)
        content = key_of(track) if CONTENT_ID.fullmatch(track) else ""
        known[path] = Known(path, *stamp, content, track, "")
    return known
