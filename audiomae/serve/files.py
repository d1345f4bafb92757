"""The files of the songs: which one a path of the vectors names, and sending it whole or in ranges.

A path that stands in a table is not trusted: what is sent is a regular file with the ending of a sound, at the very
place that the path names (no link leads elsewhere), and inside `--songs` where that is given.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from starlette.responses import Response, StreamingResponse

from audiomae.serve.answers import RefusedError
from audiomae.verbs.serve import ServeSettings

__all__ = [
    "KINDS",
    "find_song",
    "is_playable",
    "send_file",
]

KINDS = {
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
}
"""Content types of what browsers play."""
DECODED = (
    ".aif",
    ".aifc",
    ".aiff",
    ".ape",
    ".au",
    ".caf",
    ".dff",
    ".dsf",
    ".mka",
    ".mpc",
    ".tta",
    ".wma",
    ".wv",
)
"""Endings of what must be decoded first."""
BLOCK = 1 << 18
NOT_HERE = "the file of this song is not here to play."


class SongFile(NamedTuple):
    """A file that may be sent."""

    path: Path
    kind: str
    """Content type; empty where browsers do not play it as it is."""


def find_song(settings: ServeSettings, stored: str | None) -> SongFile:
    """Return the file that a path of the vectors names.

    Args:
        settings: Where songs lie, and whether links may lead out of there.
        stored: The path as the vectors hold it.

    Raises:
        RefusedError: If there is no such file, or it is none that may be sent; the line does not say which.
    """
    ending = os.path.splitext(stored or "")[1].lower()  # noqa: PTH122 - the path may hold anything
    if not stored or "\0" in stored or "://" in stored or (ending not in KINDS and ending not in DECODED):
        raise RefusedError(404, NOT_HERE)
    root = Path(settings.songs).resolve() if settings.songs is not None else Path.cwd()
    named = Path(os.path.normpath(root / stored))
    try:
        real = named.resolve(strict=True)
        regular = stat.S_ISREG(real.stat().st_mode)
    except (OSError, RuntimeError, ValueError):
        raise RefusedError(404, NOT_HERE) from None
    inside = settings.songs is None or named.is_relative_to(root)
    if not regular or not inside or (real != named and not settings.follow):
        raise RefusedError(404, NOT_HERE)
    return SongFile(real, KINDS.get(ending, ""))


def is_playable(settings: ServeSettings, stored: str | None) -> bool:
    """Return whether the sound of a song can be had."""
    try:
        find_song(settings, stored)
    except RefusedError:
        return False
    return True


def send_file(song: SongFile, headers: Mapping[str, str]) -> Response:
    """Return the answer to a request for a file: 200, 206 for one range, 304 or 416.

    Args:
        song: The file.
        headers: Headers of the request.
    """
    try:
        handle = os.open(song.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise RefusedError(404, NOT_HERE) from None
    status = os.fstat(handle)
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    common = {"accept-ranges": "bytes", "etag": tag, "cache-control": "private, no-cache"}
    wanted = headers.get("range", "") if headers.get("if-range", tag) == tag else ""
    found = _range(wanted, status.st_size)
    if headers.get("if-none-match") == tag or found is None or not stat.S_ISREG(status.st_mode):
        os.close(handle)
        if found is None:
            return Response(status_code=416, headers={**common, "content-range": f"bytes */{status.st_size}"})
        return Response(status_code=304, headers=common)
    first, last = found
    common["content-length"] = str(last - first + 1)
    if wanted and _RANGE.fullmatch(wanted):
        common["content-range"] = f"bytes {first}-{last}/{status.st_size}"
    return StreamingResponse(
        _read(handle, first, last),
        206 if "content-range" in common else 200,
        headers=common,
        media_type=song.kind or "application/octet-stream",
    )


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Return first and last byte of what is asked for; all where no single range is; None where it is not there."""
    match = _RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return 0, size - 1
    if not match[1]:
        return (max(0, size - int(match[2])), size - 1) if int(match[2]) and size else None
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    return (first, last) if first <= last and first < size else None


def _read(handle: int, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes of a file, and close it."""
    with os.fdopen(handle, "rb") as file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block
