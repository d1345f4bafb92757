"""Songs in a list: a CSV, TSV or Parquet table with a path in every row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.corpus.song import TAGS, Song
from audiomae.disk.stores import is_url
from audiomae.errors import DataError, MissingError

__all__ = ["LIST_EXTENSIONS", "songs"]

LIST_EXTENSIONS = (".csv", ".tsv", ".parquet")
FIELDS = ("path", "track_id", *TAGS)

Row = tuple[str, dict[str, str]]
"""Where a row stands, for messages, and its cells."""


def songs(path: Path | str) -> Iterator[Song]:
    """Yield the songs of a list, in its order.

    The column `path` must be there; `track_id`, `title`, `artist`, `album` and `genre` may be, and
    other columns are passed over. A relative path starts at the list's own folder; a cell may be a URL.

    Raises:
        MissingError: If the list is not there.
        DataError: If it is no such table, a row has no path, or a track_id comes twice.
    """
    path = Path(path)
    if path.suffix.lower() not in LIST_EXTENSIONS:
        raise DataError(f"{path}: a list ends in {', '.join(LIST_EXTENSIONS)}. Rename it, or name a folder.")
    if not path.is_file():
        raise MissingError(f"{path}: no such list. Check the spelling.")
    places: dict[str, str] = {}
    place = ""
    for place, cells in _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path):
        if not cells["path"]:
            raise DataError(f"{path}: {place} has no path. Fill it in, or drop the row.")
        track_id = cells["track_id"]
        if track_id and places.setdefault(track_id, place) != place:
            raise DataError(
                f"{path}: track_id {track_id!r} stands in {places[track_id]} and in {place}; an id is for one"
                " track. Change one of them."
            )
        name = cells.pop("path")
        cells["url"] = name if is_url(name) else ""
        yield Song(Path() if cells["url"] else path.parent / name, **cells)
    if not place:
        raise DataError(f"{path}: the list has no rows. Give it one for every song.")


def _read_text(path: Path) -> Iterator[Row]:
    """Rows of a CSV or TSV file."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            table = csv.DictReader(handle, delimiter=delimiter)
            _check_columns(path, table.fieldnames or [])
            for cells in table:
                place = f"line {table.line_num}"
                if None in cells:
                    raise DataError(
                        f"{path}: {place} has more cells than the first row. Put quotes around a cell that"
                        " holds the separator."
                    )
                yield place, {field: (cells.get(field) or "").strip() for field in FIELDS}
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a table in UTF-8 ({error}). Save it as UTF-8 text.") from error


def _read_parquet(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file; its values may be of any type that has a text form."""
    try:
        with pq.ParquetFile(path) as table:
            _check_columns(path, table.schema_arrow.names)
            columns = [field for field in FIELDS if field in table.schema_arrow.names]
            row = 0
            for batch in table.iter_batches(columns=columns):
                for cells in batch.to_pylist():
                    row += 1
                    yield f"row {row}", {field: _text(cells.get(field)) for field in FIELDS}
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a whole Parquet file ({error}). Write it again.") from error


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    found = list(columns)
    if "path" not in found:
        raise DataError(
            f"{path}: no column 'path' among {', '.join(map(repr, found)) or 'none'}. Name the columns in the"
            " first row, with commas between them in a .csv, tabs in a .tsv."
        )
