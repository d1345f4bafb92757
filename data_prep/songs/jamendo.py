"""MTG-Jamendo: `autotagging.tsv` beside a tree of `14/214.mp3` (or `14/214.low.mp3`).

Source: Bogdanov et al. 2019, https://github.com/MTG/mtg-jamendo-dataset
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audiomae.corpus.song import Song
from audiomae.errors import DataError, MissingError

__all__ = ["songs"]

HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
GENRE = "genre---"


def songs(root: Path | str, tsv: Path | str | None = None) -> Iterator[Song]:
    """Yield the songs of an MTG-Jamendo tree, in the order of its table.

    Rows whose audio is not there are passed over: the archive comes in a hundred parts. A
    `raw.meta.tsv` beside the table gives titles and names; without it, artist and album are the
    set's own ids. Genres are joined by "; ".

    Args:
        root: Folder of the audio tree, or the one above `audio/`.
        tsv: The table; by default autotagging.tsv in `root`, in its data/, or above it.

    Raises:
        MissingError: If the table, or all audio, is not there.
        DataError: If the table is of another layout.
    """
    root = Path(root)
    table = _find_table(root) if tsv is None else Path(tsv)
    if not table.is_file():
        raise MissingError(f"{table}: no such table. Download autotagging.tsv and name it.")
    names = _read_names(table.with_name("raw.meta.tsv"))
    found = False
    for cells in _read_rows(table, HEADER):
        track_id, artist_id, album_id, path = cells[:4]
        file = _find_audio(root, path)
        if file is None:
            continue
        found = True
        title, artist, album = names.get(track_id, ("", artist_id, album_id))
        genres = "; ".join(tag.removeprefix(GENRE) for tag in cells[5:] if tag.startswith(GENRE))
        yield Song(file, track_id=track_id, title=title, artist=artist, album=album, genre=genres)
    if not found:
        raise MissingError(
            f"{root}: none of the songs in {table} is there, such as 14/214.mp3. Name their folder."
        )


def _find_table(root: Path) -> Path:
    places = [root / "autotagging.tsv", root / "data" / "autotagging.tsv", root.parent / "autotagging.tsv"]
    return next((place for place in places if place.is_file()), places[0])


def _find_audio(root: Path, path: str) -> Path | None:
    """The song's file: as the table names it, or the low-quality copy of it."""
    parts = Path(path).parts
    if not parts or Path(path).is_absolute() or ".." in parts:
        raise DataError(
            f"{path!r}: a path in the table leads out of the audio tree. Download the table anew."
        )
    for folder in (root, root / "audio"):
        for file in (folder / path, (folder / path).with_suffix(".low.mp3")):
            if file.is_file():
                return file
    return None


def _read_names(path: Path) -> dict[str, tuple[str, str, str]]:
    """TRACK_ID → title, artist, album; empty without the file."""
    if not path.is_file():
        return {}
    header = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "TRACK_NAME", "ARTIST_NAME", "ALBUM_NAME"]
    return {cells[0]: (cells[3], cells[4], cells[5]) for cells in _read_rows(path, header)}


def _read_rows(path: Path, header: list[str]) -> Iterator[list[str]]:
    """Rows of a table without quoting whose last column may run on."""
    try:
        with path.open(encoding="utf-8") as handle:
            first = next(handle, "").rstrip("\r\n").split("\t")
            if first[: len(header)] != header:
                raise DataError(
                    f"{path}: starts with {first[:6]}, not with {header}. Download the table anew."
                )
            for number, line in enumerate(handle, start=2):
                cells = line.rstrip("\r\n").split("\t")
                if len(cells) < len(header):
                    raise DataError(
                        f"{path}: line {number} has {len(cells)} cells, at least {len(header)} belong there."
                        " Download the table anew."
                    )
                yield cells
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error}). Download the table anew.") from error
