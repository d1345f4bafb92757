"""Songs in folders: every audio file below the named places, in the order of their names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiomae.corpus.song import Song
from audiomae.errors import MissingError

__all__ = ["AUDIO_EXTENSIONS", "find_audio", "songs"]

# fmt: off
AUDIO_EXTENSIONS = frozenset((
    ".aac", ".aif", ".aifc", ".aiff", ".alac", ".ape", ".au", ".caf", ".flac", ".m4a", ".m4b", ".mka",
    ".mp2", ".mp3", ".mp4", ".mpc", ".mpga", ".oga", ".ogg", ".opus", ".snd", ".tta", ".w64", ".wav", ".wave",
    ".weba", ".webm", ".wma", ".wv",
))
# fmt: on
"""Endings, in lower case, of the files that a folder is searched for."""


def songs(paths: Sequence[Path | str]) -> Iterator[Song]:
    """Yield the songs at `paths`: a file as it is, a folder with all audio below it.

    A file named by itself is yielded whatever its ending. What is found twice is yielded once.

    Raises:
        MissingError: If a path is not there, or none holds audio.
    """
    seen: set[str] = set()
    for path in map(Path, paths):
        if not os.path.lexists(path):
            raise MissingError(f"{path}: no such file or folder. Check the spelling.")
        for file in find_audio(path) if path.is_dir() else [path]:
            whole = os.path.abspath(file)  # noqa: PTH100 - resolve() would follow links
            if whole not in seen:
                seen.add(whole)
                yield Song(file)
    if not seen:
        named = ", ".join(map(str, paths)) or "nothing"
        raise MissingError(
            f"{named}: no audio found; files ending in .wav, .flac, .mp3, .ogg, .opus, .m4a and the like are"
            " taken. Name a folder that holds some."
        )


def find_audio(folder: Path) -> Iterator[Path]:
    """Yield the audio files below a folder, names in order, links followed, no folder entered twice.

    A folder that cannot be listed, and an empty one with an audio file's name, are yielded
    themselves, so that whoever reads them can say why they are no songs.
    """
    yield from _walk(folder, set())


def _walk(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    if not entries and folder.suffix.lower() in AUDIO_EXTENSIONS:
        yield folder
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir():
            yield from _walk(path, entered)
        # "._song.mp3" is what macOS leaves beside a song on foreign disks, not a song.
        elif path.suffix.lower() in AUDIO_EXTENSIONS and not entry.name.startswith("._"):
            yield path
