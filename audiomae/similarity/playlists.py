"""Playlists: the songs that an M3U or CSV file names, and such files written."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from audiomae.errors import DataError, MissingError, reason_of
from audiomae.vectors.similar import SimilarSong

__all__ = ["PLAYLISTS", "playlist_text", "read_playlist"]

PLAYLISTS = (".m3u", ".m3u8", ".csv")
"""Endings of files that are read as playlists."""
LONGEST = 4 << 20
"""Bytes of a playlist, at most."""
NAMES = ("track_id", "path", "file", "location", "title")
"""Columns of a CSV that name a song, the first that there is; without a header the first column does."""


def read_playlist(path: Path | str) -> list[str]:
    """Return what a playlist names, in order: track ids, paths or titles, as they are written.

    A path of an M3U that does not begin with / is one beside the playlist, so `./` and `../` are taken off its front.

    Raises:
        MissingError: If it cannot be read.
        DataError: If it is far too long, or not text, or names nothing.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LONGEST:
            raise DataError(f"{path}: is larger than {LONGEST >> 20} MiB, which no playlist is.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise MissingError(f"{path}: cannot be read ({reason_of(error)}).") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text. Save the playlist as UTF-8 (M3U8).") from None
    names = _of_csv(text, path) if path.suffix.lower() == ".csv" else _of_m3u(text)
    if not names:
        raise DataError(f"{path}: names no song.")
    return names


def _of_m3u(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    names = [line.removeprefix("file://").replace("\\", "/") for line in lines if line and line[0] != "#"]
    return [_bare(name) for name in names]


def _bare(name: str) -> str:
    while name.startswith(("./", "../")):
        name = name.split("/", 1)[1]
    return name


def _of_csv(text: str, path: Path) -> list[str]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error as error:
        raise DataError(f"{path}: is not a CSV table ({error}).") from None
    if not rows:
        return []
    header = [name.strip().lower() for name in rows[0]]
    column = next((header.index(name) for name in NAMES if name in header), None)
    if column is None:
        return [row[0].strip() for row in rows if row[0].strip()]
    return [row[column].strip() for row in rows[1:] if len(row) > column and row[column].strip()]


def playlist_text(songs: Sequence[SimilarSong], kind: Literal["m3u8", "csv"]) -> str:
    """Return songs as the text of a playlist.

    Args:
        songs: The songs, in order.
        kind: `m3u8`, one path a song with length and name, for players; or `csv`, a row a song with all its columns.

    Raises:
        DataError: If a song without a path is to go into an M3U8.
    """
    if kind == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        fields = list(SimilarSong.__dataclass_fields__)
        writer.writerow(fields)
        writer.writerows([getattr(song, name) for name in fields] for song in songs)
        return out.getvalue()
    lines = ["#EXTM3U"]
    for song in songs:
        if not song.path:
            raise DataError(f"{song.track_id}: has no path, which an M3U8 is made of. Write a CSV.")
        name = " - ".join(_line(part) for part in (song.artist, song.title) if part)
        lines += [f"#EXTINF:{round(song.seconds)},{name}", _line(song.path)]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """Return text without what would begin another line."""
    return " ".join(text.splitlines()) if len(text.splitlines()) > 1 else text
