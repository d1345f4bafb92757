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

    Example:
        >>> from types import SimpleNamespace as Song
        >>> name_songs([Song(title="", artist="", path="a.ogg"), Song(title="Sun", artist="B", path="b.ogg")])
        ['a.ogg', 'Sun']
    """
    counts = Counter((song.title, song.artist) for song in songs)
    return [
        song.title
        if song.title and (counts[song.title, song.artist] == 1 or not song.path)
        else " · ".join(part for part in (song.title, song.path) if part)
        for song in songs
    ]
