"""The Free Music Archive data set: `fma_small/000/000002.mp3` beside `fma_metadata/tracks.csv`.

Source: Defferrard et al. 2017 (arXiv:1612.01840), https://github.com/mdeff/fma
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from audiomae.corpus.song import Song
from audiomae.errors import DataError, MissingError

__all__ = ["songs"]

COLUMNS = {
    "title": ("track", "title"),
    "artist": ("artist", "name"),
    "album": ("album", "title"),
    "genre": ("track", "genre_top"),
}
"""The field of a song → the first two header rows of its column."""


def songs(root: Path | str) -> Iterator[Song]:
    """Yield the songs of an FMA tree by their number; the track_id is the file's name, such as 000002.

    A song that tracks.csv does not know is yielded without title and names; a song that lies in
    several sizes of the set (fma_small, fma_medium, …) is yielded once.

    Args:
        root: Folder that holds fma_metadata and one or more of fma_small, fma_medium, fma_large, fma_full.

    Raises:
        MissingError: If the audio or tracks.csv is not there.
        DataError: If tracks.csv is of another layout.
    """
    root = Path(root)
    files: dict[str, Path] = {}
    for path in sorted(root.glob("fma_*/[0-9][0-9][0-9]/*.mp3")):
        if path.stem.isdecimal() and path.parent.name == path.stem[:3]:
            files.setdefault(path.stem, path)
    if not files:
        raise MissingError(
            f"{root}: no songs such as fma_small/000/000002.mp3. Name the folder above fma_small."
        )
    known = _read_tracks(root / "fma_metadata" / "tracks.csv")
    for name in sorted(files):
        yield Song(files[name], track_id=name, **known.get(str(int(name)), {}))


def _read_tracks(path: Path) -> dict[str, dict[str, str]]:
    """Number → title, artist, album and genre, from a table whose header has three rows."""
    if not path.is_file():
        raise MissingError(f"{path}: no such file. Unpack fma_metadata.zip beside the audio.")
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            above, below, third = (next(csv.reader(handle)) for _ in range(3))
        place = {pair: str(column) for column, pair in enumerate(zip(above, below, strict=False))}
        wanted = {field: place[pair] for field, pair in COLUMNS.items()}
        if third[:1] != ["track_id"]:
            raise KeyError("track_id")
        kept = ["0", *wanted.values()]
        table = pacsv.read_csv(
            path,
            read_options=pacsv.ReadOptions(
                skip_rows=3, column_names=[str(column) for column in range(len(above))], block_size=1 << 26
            ),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=kept, column_types=dict.fromkeys(kept, pa.string())
            ),
        )
    except (StopIteration, RuntimeError, KeyError, csv.Error, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not FMA's tracks.csv with its three header rows ({error}). Unpack fma_metadata.zip"
            " anew."
        ) from error
    columns = [table[column].to_pylist() for column in kept]
    return {
        row[0]: dict(zip(wanted, (cell or "" for cell in row[1:]), strict=True))
        for row in zip(*columns, strict=True)
    }
