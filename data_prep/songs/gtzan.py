"""GTZAN: `genres/blues/blues.00000.wav` (or .au), a thousand half-minutes in ten genres."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from audiomae.corpus.song import Song
from audiomae.errors import MissingError

__all__ = ["songs"]

FOLDERS = ("genres", "genres_original", "Data/genres_original", ".")


def songs(root: Path | str) -> Iterator[Song]:
    """Yield the songs of a GTZAN tree, genre by genre; the track_id is the name, such as blues.00000.

    Args:
        root: The unpacked archive, or its folder `genres` (`genres_original` in some copies).

    Raises:
        MissingError: If no song lies there.
    """
    root = Path(root)
    for folder in (root / name for name in FOLDERS):
        found: dict[str, Song] = {}
        for path in sorted(folder.glob("*/*.*"), key=lambda path: (path.parent.name, path.stem, path.suffix)):
            genre = path.parent.name
            if re.fullmatch(re.escape(genre) + r"\.\d{5}\.(wav|au)", path.name):
                found.setdefault(path.stem, Song(path, track_id=path.stem, genre=genre))
        if found:
            yield from found.values()
            return
    raise MissingError(
        f"{root}: no GTZAN songs such as genres/blues/blues.00000.wav. Name the unpacked archive's folder."
    )
