"""The parts of a watched folder: which tracks lie in which file, and which files a change writes anew."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiomae.disk.files import inside
from audiomae.vectors.embed import plan_parts
from audiomae.vectors.parts import PART_NAME, part_path, read_part, settings_fingerprint
from audiomae.vectors.writer import TrackClips, metadata_of, split_tracks, write_part

__all__ = ["Part", "Parts"]

KEPT_SECONDS = 60.0
"""How long a part stays that vectors.json names no longer."""


class Part(NamedTuple):
    """Whole tracks in one file."""

    name: str
    clips: int
    bytes: int
    tracks: tuple[str, ...]
    """Their ids, in order."""


class Parts:
    """The parts, in order. None is ever written again once vectors.json has named it.

    Args:
        folder: The vectors folder.
        settings: What vectors.json says of how the vectors are made.
        dim: Entries of a vector.
        part_clips: Clips from which on a part is full.
        next_number: Number of the next new part; those before it have been given.

    Attributes:
        all: Those that vectors.json names.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], dim: int, part_clips: int, next_number: int = 0
    ) -> None:
        self.folder, self.settings, self.dim, self.part_clips = folder, settings, dim, part_clips
        self.next_number = next_number
        self.all: list[Part] = []

    def changed(self, kept: Container[str], added: Sequence[TrackClips]) -> tuple[list[Part], list[Part]]:
        """Write the parts that a change concerns.

        Args:
            kept: Ids of the tracks that stay.
            added: Clips of new tracks, which come last.

        Returns:
            All parts as they will be, and those that will be named no longer.
        """
        parts, renewed, waiting = list[Part](), list[Part](), list[TrackClips]()
        for part in self.all:
            whole = all(track in kept for track in part.tracks)
            held = sum(len(track.vectors) for track in waiting)
            # What a change has left of a part is joined with the next, so that few parts stay small.
            if whole and (not waiting or 2 * held >= self.part_clips):
                parts += self._written(waiting)
                waiting = []
                parts.append(part)
                continue
            waiting += [track for track in self._tracks_of(part) if track.track_id in kept]
            renewed.append(part)
        if added and not waiting and parts and parts[-1].clips < self.part_clips:
            renewed.append(parts[-1])
            waiting = list(self._tracks_of(parts.pop()))
        parts += self._written([*waiting, *added])
        return parts, renewed

    def drop_damaged(self) -> Iterator[str]:
        """Drop the parts that are gone or cut short; yield the ids of their tracks."""
        there, self.all = self.all, []
        for part in there:
            path = inside(self.folder, f"clips/{part.name}", PART_NAME)
            if path.exists() and path.stat().st_size == part.bytes:
                self.all.append(part)
            else:
                yield from part.tracks

    def touch(self, parts: Sequence[Part]) -> None:
        """Let the time begin that parts stay which will be named no longer."""
        for part in parts:
            with contextlib.suppress(FileNotFoundError):
                os.utime(self.folder / "clips" / part.name)

    def sweep(self) -> None:
        """Remove the parts that have not been named for a minute."""
        named = {part.name for part in self.all}
        for path in (self.folder / "clips").glob("part-*.parquet"):
            if path.name not in named and time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink(missing_ok=True)

    def _tracks_of(self, part: Part) -> Iterator[TrackClips]:
        path = inside(self.folder, f"clips/{part.name}", PART_NAME)
        return split_tracks(read_part(path, settings_fingerprint(self.settings)))

    def _written(self, tracks: Sequence[TrackClips]) -> list[Part]:
        """Write tracks as new parts."""
        parts = list[Part]()
        counts = np.array([len(track.vectors) for track in tracks], np.int64)
        for chosen in plan_parts(counts, self.part_clips):
            path = part_path(self.folder, self._new_number())
            ours = tracks[chosen.start : chosen.stop]
            write_part(path, ours, self.dim, metadata_of(self.settings))
            clips = int(counts[chosen.start : chosen.stop].sum())
            ids = tuple(track.track_id for track in ours)
            parts.append(Part(path.name, clips, path.stat().st_size, ids))
        return parts

    def _new_number(self) -> int:
        """Return a number that no part of this folder has had."""
        there = [
            int(path.stem.removeprefix("part-")) for path in (self.folder / "clips").glob("part-*.parquet")
        ]
        number = max([self.next_number - 1, *there]) + 1
        self.next_number = number + 1
        return number
