"""How songs are named in tables: by title, and by their path where that says too little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

__all__ = ["name_songs"]


class Named(Protocol):
    """A song with the tags that name it, empty where unknown."""

    @property
    def title(self) -> str:
        """Its title."""

    @property
    def artist(self) -> str:
        """Its artist."""

    @property
    def path(self) -> str:
        """Where it lay when it was prepared."""


def name_songs(songs: Sequence[Named]) -> list[str]:
    """Return what each song is called: its title, with the path where the title is missing or not the only one.

    Of a path its end is shown, as much as tells it from the others'.

    Example:
        >>> from types import SimpleNamespace as Song
        >>> name_songs([Song(title="", artist="", path="x/a.ogg"), Song(title="Sun", artist="B", path="x/b.ogg")])
        ['a.ogg', 'Sun']
    """
    counts = Counter((song.title, song.artist) for song in songs)
    ends = Counter(end for path in {song.path for song in songs} for end in ends_of(path))
    return [
        song.title
        if song.title and (counts[song.title, song.artist] == 1 or not song.path)
        else " · ".join(part for part in (song.title, end_of(song.path, ends)) if part)
        for song in songs
    ]


def ends_of(path: str) -> list[str]:
    """Return the ends of a path, the name of the file first, the whole path last."""
    names = path.split("/")
    return ["/".join(names[-count:]) for count in range(1, len(names) + 1)]


def end_of(path: str, ends: Counter[str]) -> str:
    """Return the shortest end of a path that is the end of no other; `ends` counts those of all."""
    return next((end for end in ends_of(path) if end and ends[end] == 1), path)
