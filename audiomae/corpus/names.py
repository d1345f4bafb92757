"""Tracks by the names people know: an id, a path or the end of one, or a title."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

from audiomae.checks import close_to
from audiomae.errors import DataError

__all__ = ["find_track"]

SHOWN = 3
"""Tracks that a message names at most."""


def find_track(
    asked: str, track_ids: Sequence[str], paths: Sequence[str], titles: Sequence[str], where: object
) -> int:
    """Return the row of the track that a person names.

    An id comes first, then a path (as it is stored, or absolute), then the end of a path in whole names, then a title,
    whatever its case.

    Args:
        asked: What they wrote.
        track_ids: Id of each track.
        paths: Path of each, empty where unknown.
        titles: Title of each, empty where unknown.
        where: What the tracks are in, for messages.

    Raises:
        DataError: If there is none, or several may be meant; the line says which.

    Example:
        >>> find_track("b/one.wav", ["4f1c", "90ab"], ["a/one.wav", "b/one.wav"], ["Sun", "Moon"], "vectors")
        1
        >>> find_track("one.wav", ["4f1c", "90ab"], ["a/one.wav", "b/one.wav"], ["Sun", "Moon"], "vectors")
        Traceback (most recent call last):
        audiomae.errors.DataError: track 'one.wav' may be 2 of the 2 of vectors: 4f1c (a/one.wav), 90ab (b/one.wav). \
Name one by its id, or by more of its path.
    """
    if asked in track_ids:
        return track_ids.index(asked)
    meant = _by_path(asked, paths) or _by_title(asked, titles)
    if len(meant) == 1:
        return meant[0]
    if meant:
        shown = ", ".join(f"{track_ids[row]} ({paths[row] or titles[row]})" for row in meant[:SHOWN])
        more = ", …" if len(meant) > SHOWN else ""
        raise DataError(
            f"track {asked!r} may be {len(meant)} of the {len(track_ids)} of {where}: {shown}{more}. "
            "Name one by its id, or by more of its path."
        )
    hint = _like(asked, track_ids, paths, titles)
    raise DataError(f"track {asked!r} is not among the {len(track_ids)} of {where}. {hint}")


def _by_path(asked: str, paths: Sequence[str]) -> list[int]:
    """Return the rows whose path is the one asked for; without one, those whose path ends so."""
    wanted = _parts(asked)
    if not wanted:
        return []
    ends = [row for row, path in enumerate(paths) if _plain(path).endswith(wanted[-1])]
    ends = [row for row in ends if _parts(paths[row])[-1:] == wanted[-1:]]
    whole = [row for row in ends if paths[row] == asked or _absolute(paths[row]) == _absolute(asked)]
    if whole or asked.startswith("/"):
        return whole
    return [row for row in ends if _parts(paths[row])[-len(wanted) :] == wanted]


def _by_title(asked: str, titles: Sequence[str]) -> list[int]:
    wanted = _plain(asked).casefold()
    return [row for row, title in enumerate(titles) if wanted and _plain(title).casefold() == wanted]


def _like(asked: str, track_ids: Sequence[str], paths: Sequence[str], titles: Sequence[str]) -> str:
    """Return a sentence with the tracks that may be meant by what is no track's name."""
    starts = [name for name in track_ids if asked and name.startswith(asked)][:SHOWN]
    part = _plain(asked).casefold()
    files = [path.rpartition("/")[2] for path in paths]
    holds = [
        f"{name} ({title or file})"
        for name, title, file in zip(track_ids, titles, files, strict=True)
        if len(part) > 2 and any(part in _plain(text).casefold() for text in (title, file))
    ][:SHOWN]
    if starts or holds:
        return f"Close: {', '.join(starts + holds)}."
    first = f"The first is {track_ids[0]}." if track_ids else "It is empty."
    return close_to(asked.rstrip("/").rpartition("/")[2], [*track_ids, *files, *titles], otherwise=first)


def _plain(text: str) -> str:
    """Return text in the one spelling of its accents; macOS writes file names in the other."""
    return unicodedata.normalize("NFC", text)


def _parts(path: str) -> list[str]:
    return [name for name in _plain(path).split("/") if name not in ("", ".")]


def _absolute(path: str) -> str:
    return _plain(path if "://" in path else os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
