"""Looking at a folder of songs: which files are there, and which of them lie still."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from audiomae.watching.known import Stamp, stamp_of, text_of
from data_prep.songs.folder import Search

__all__ = ["Look", "Settling", "look_at"]

OLD_SECONDS = 60.0
"""Age from which on a file that is there at the first look is no longer being copied."""


class Look(NamedTuple):
    """The songs of a folder at one moment."""

    files: dict[str, Stamp]
    """By their whole paths, in the order of `find_songs`."""
    blocked: frozenset[str]
    """Files and folders that could not be read; nothing is known of what lies there."""
    misnamed: frozenset[str]
    """Those of `files` whose names are not UTF-8, and which no table can hold."""

    def hides(self, path: str) -> bool:
        """Return whether a path could not be looked at."""
        if not self.blocked:
            return False
        return path in self.blocked or any(str(parent) in self.blocked for parent in Path(path).parents)


def look_at(songs: Path, search: Search | None = None) -> Look | None:
    """Return what a folder holds; None where it is not there or cannot be read.

    Args:
        songs: The folder, by its whole path.
        search: Notes what is passed over.
    """
    try:
        with os.scandir(songs):
            pass
    except OSError:
        return None
    files, blocked, misnamed = dict[str, Stamp](), set[str](), set[str]()
    for path in (search or Search()).walk(songs):
        stamp, text = stamp_of(path), text_of(path)
        if stamp is None:
            blocked.add(text)
            continue
        files[text] = stamp
        if text != str(path):
            misnamed.add(text)
    return None if text_of(songs) in blocked else Look(files, frozenset(blocked), frozenset(misnamed))


class Settling:
    """Tells which files have been the same, or gone, for some time.

    Args:
        seconds: How long that must be.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[str, tuple[Stamp | None, float]] = {}
        self._first = True

    def settled(self, states: Mapping[str, Stamp | None]) -> set[str]:
        """Return which of some files lie still.

        Args:
            states: How each is now, None for one that is gone; others are forgotten.
        """
        now, old = time.monotonic(), time.time_ns() - round(OLD_SECONDS * 1e9)
        since = dict[str, tuple[Stamp | None, float]]()
        for path, stamp in states.items():
            before = self._since.get(path)
            if before is not None and before[0] == stamp:
                since[path] = before
            else:
                lies = self._first and stamp is not None and stamp.modified_ns < old
                since[path] = (stamp, now - self.seconds if lies else now)
        self._since, self._first = since, False
        return {path for path, (_, start) in since.items() if now - start >= self.seconds}

    def wait_seconds(self, paths: Iterable[str]) -> float | None:
        """Return when the next of some files may lie still, in seconds from now; None where there is none."""
        now = time.monotonic()
        return min(
            (max(0.0, self._since[path][1] + self.seconds - now) for path in paths if path in self._since),
            default=None,
        )
