"""Title, artist, album and genre as an audio file's own tags give them."""

from __future__ import annotations

from pathlib import Path

import mutagen

from audiomae.corpus.song import TAGS

__all__ = ["read_tags"]

NAMES = {
    "title": ("title", "TIT2", "\xa9nam"),
    "artist": ("artist", "TPE1", "\xa9ART"),
    "album": ("album", "TALB", "\xa9alb"),
    "genre": ("genre", "TCON", "\xa9gen"),
}


def read_tags(path: Path) -> dict[str, str]:
    """Read a file's tags.

    Args:
        path: Audio file.

    Returns:
        title, artist, album and genre; empty where the file says nothing, the first value where it says
        several. A file without a title is called by its name without the suffix.
    """
    tags: object = None
    try:
        file = mutagen.File(path, easy=True)
        tags = file.tags if file is not None else None
    except Exception:  # noqa: BLE001  a damaged tag raises whatever its parser stumbles over; the audio may be fine
        tags = None
    found = {field: first_of(tags, NAMES[field]) for field in TAGS}
    found["title"] = found["title"] or clean(path.stem)
    return found


def first_of(tags: object, names: tuple[str, ...]) -> str:
    """Return the first non-empty value under the first of `names` that there is."""
    get = getattr(tags, "get", None)
    if get is None:
        return ""
    for name in names:
        try:
            value = get(name)
        except (KeyError, ValueError):
            continue
        values = value if isinstance(value, list) else list(getattr(value, "text", None) or [value])
        for text in values:
            if text is not None and (cleaned := clean(str(text))):
                return cleaned
    return ""


def clean(text: str) -> str:
    """Return text on one line that any UTF-8 table can hold."""
    return " ".join(text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8").split())
