"""One song as the adapters hand it over: a file, and what its source knows about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TAGS", "Song"]

TAGS = ("title", "artist", "album", "genre")
"""What is known of a song in words: fields of `Song`, and columns of every table of tracks."""


@dataclass(frozen=True)
class Song:
    """A file to prepare, with what its source says of it.

    Attributes:
        path: Audio file; nothing where `url` names it.
        track_id: Name of the track in every table; empty stands for the first 16 hex digits of the content
            hash.
        title: Title; a non-empty one overrides the file's own tag, as in the fields below.
        artist: Artist.
        album: Album.
        genre: Genre.
        url: Where the file lies, if in a store rather than in a folder.
    """

    path: Path = Path()
    track_id: str = ""
    title: str = ""
    artist: str = ""
    album: str = ""
    genre: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """The URL, or the path: what the song is known by."""
        return self.url or str(self.path)
