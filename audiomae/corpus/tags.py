"""Title, artist, album and genre as an audio file's own tags give them."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from pathlib import Path
from typing import Any

import mutagen
from mutagen.apev2 import APEv2

from audiomae.audio.container import Part, open_container

__all__ = ["read_tags"]

NAMES = {
    "title": ("title", "TIT2", "\xa9nam", "Title"),
    "artist": ("artist", "TPE1", "\xa9ART", "Author", "WM/AlbumArtist", "Artist"),
    "album": ("album", "TALB", "\xa9alb", "WM/AlbumTitle", "Album", "product"),
    "genre": ("genre", "TCON", "\xa9gen", "WM/Genre", "Genre"),
}
"""Field → its names: in Vorbis comments and easy ID3, ID3 frames, MP4 atoms, ASF, APEv2, RIFF."""


def read_tags(path: Path) -> dict[str, str]:
    """Read a file's tags.

    The tags proper come first (ID3, Vorbis comments, MP4, ASF, APEv2), then what the container says of itself
    (Matroska and WebM, the INFO of WAV files).

    Args:
        path: Audio file.

    Returns:
        title, artist, album and genre; empty where the file says nothing, the first value where it says
        several. A file without a title is called by its name without the suffix.
    """
    found = dict.fromkeys(NAMES, "")
    for read in (read_easy, APEv2, read_container):
        if all(found.values()) or (read is read_container and found["title"] and found["artist"]):
            break
        tags = attempt(read, path)
        found = {field: text or first_of(tags, NAMES[field]) for field, text in found.items()}
    found["title"] = found["title"] or clean(path.stem)
    return found


def attempt(read: Callable[[Path], Any], path: Path) -> Any:
    """Return what a reader of tags finds; None if it stumbles."""
    try:
        return read(path)
    except Exception:  # noqa: BLE001  a damaged tag raises whatever its parser stumbles over; the audio may be fine
        return None


def read_easy(path: Path) -> Any:
    """Return the tags that the file's own format has."""
    file = mutagen.File(path, easy=True)
    return file.tags if file is not None else None


def read_container(path: Path) -> dict[str, str]:
    """Return what the container and its sound track say of themselves, the names in lower case."""
    with path.open("rb") as file, open_container(str(path), Part(file, 0, path.stat().st_size)) as container:
        sources = (container.streams.audio[0].metadata, container.metadata)
        return {name.lower(): text for source in sources for name, text in source.items()}


def first_of(tags: Any, names: tuple[str, ...]) -> str:
    """Return the first non-empty value under the first of `names` that there is."""
    get = getattr(tags, "get", None)
    if get is None:
        return ""
    for name in names:
        try:
            value = get(name)
        except (KeyError, ValueError):
            continue
        several = isinstance(value, MutableSequence)
        values = list(value) if several else list(getattr(value, "text", None) or [value])
        for text in values:
            if text is not None and (cleaned := clean(str(text))):
                return cleaned
    return ""


def clean(text: str) -> str:
    """Return text on one line that any UTF-8 table can hold."""
    return " ".join(text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8").split())
