"""Tables of plays, users and tracks: who played what and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audiomae.corpus.song import TAGS
from audiomae.errors import ConfigError, DataError
from audiomae.listening.check.columns import id_texts
from audiomae.listening.check.files import TableFile
from audiomae.listening.check.findings import Findings
from audiomae.listening.check.scan import scan_interactions
from audiomae.listening.interactions import Interactions

__all__ = [
    "TRACK_FIELDS",
    "Interactions",
    "TableSettings",
    "read_interactions",
    "read_keyed",
    "read_tracks",
    "read_users",
]

TRACK_FIELDS = ("track_id", *TAGS)


@dataclass(frozen=True)
class TableSettings:
    """Where the tables lie and which rows count.

    Attributes:
        interactions: CSV or Parquet with user_id, track_id, timestamp; optional event, weight, played_ratio.
        users: CSV or Parquet with user_id and fields such as age, country; none without.
        tracks: CSV or Parquet with track_id, title, artist, album, genre; none without.
        events: Values of the column event that count; all of them without.
        least_weight: Rows of less weight are left out, and always those of weight 0.
        least_played_ratio: Rows with a smaller share of the track played are left out, from 0 to 1.
    """

    interactions: str
    users: str | None = None
    tracks: str | None = None
    events: tuple[str, ...] = ()
    least_weight: float = 0.0
    least_played_ratio: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not self.least_weight >= 0:
            raise ConfigError(f"least_weight is {self.least_weight}; it must be 0 or more.")
        if not 0 <= self.least_played_ratio <= 1:
            raise ConfigError(f"least_played_ratio is {self.least_played_ratio}; it must be from 0 to 1.")


def read_interactions(settings: TableSettings, *, now: float | None = None) -> Interactions:
    """Read a table of interactions; about 80 bytes of memory a row while they are sorted.

    Args:
        settings: The file and which of its rows count.
        now: Seconds since 1970 after which a time is in the future; the clock's by default.

    Raises:
        MissingError: If the file is not there.
        DataError: At the first thing wrong with it, with row and column; or if no row is left.
    """
    table = TableFile(settings.interactions)
    scan = scan_interactions(
        table,
        Findings(strict=True),
        events=settings.events,
        least_weight=settings.least_weight,
        least_played_ratio=settings.least_played_ratio,
        now=now,
    )
    if not scan.rows:
        raise DataError(f"{table.path}: 0 rows; at least one is needed. Name a table with plays in it.")
    if not len(scan.user_codes):
        events = f" Its events are {', '.join(map(repr, sorted(scan.events)))}." if scan.events else ""
        raise DataError(
            f"{table.path}: none of its {scan.rows} rows is left; check events, least_weight and "
            f"least_played_ratio.{events}"
        )
    users, scan.user_codes = _seen(scan.users.ids, scan.user_codes)
    tracks, scan.track_codes = _seen(scan.tracks.ids, scan.track_codes)
    return Interactions.build(users, tracks, scan.user_codes, scan.track_codes, scan.times, scan.weights)


def read_users(path: Path | str) -> pa.Table:
    """Read a table of users: user_id (string, sorted, each once) first, then its other columns as they are.

    Raises:
        MissingError: If the file is not there.
        DataError: If user_id is missing, empty or twice the same.
    """
    return read_keyed(path, "user_id")


def read_tracks(path: Path | str) -> pa.Table:
    """Read a table of tracks: track_id (sorted, each once), title, artist, album, genre, then the others.

    The five are strings, empty where unknown or where the table has no such column.

    Raises:
        MissingError: If the file is not there.
        DataError: If track_id is missing, empty or twice the same.
    """
    table = read_keyed(path, "track_id", TRACK_FIELDS)
    columns = {name: table[name] for name in table.column_names}
    unknown = pa.array([""] * table.num_rows, pa.string())
    known = {
        name: pc.fill_null(columns.pop(name).cast(pa.string()), "") if name in columns else unknown
        for name in TRACK_FIELDS
    }
    return pa.table(known | columns)


def read_keyed(path: Path | str, key: str, text_columns: Sequence[str] = ()) -> pa.Table:
    """Read a table whose column `key` names each row, sorted by it.

    Args:
        path: CSV or Parquet file.
        key: Column of ids; it comes first and as strings.
        text_columns: Columns of a CSV file that are text, whatever they look like.

    Raises:
        MissingError: If the file is not there.
        DataError: If the column is missing, an id is empty, or one comes twice.
    """
    file = TableFile(path)
    if key not in file.columns:
        others = ", ".join(file.columns)
        raise DataError(
            f"{file.path}: column {key} is missing. The table has {others}; rename the right one."
        )
    table = file.read((key, *text_columns))
    try:
        ids = [name or "" for name in id_texts(table[key])]
    except DataError:
        raise DataError(f"{file.path}: column {key} is of type {table[key].type}. Make it text.") from None
    rows: dict[str, int] = {}
    for row, name in enumerate(ids):
        if not name:
            raise DataError(
                f"{file.path}: {file.place(row)}, column {key}: empty. Fill it in, or drop the row."
            )
        if rows.setdefault(name, row) != row:
            first = file.place(rows[name])
            raise DataError(
                f"{file.path}: {file.place(row)}, column {key}: {name!r} stands in {first} too; one row an id. "
                "Drop one of them."
            )
    order = pa.array(sorted(range(len(ids)), key=ids.__getitem__), pa.int64())
    beside = [column for column in table.column_names if column != key]
    return pa.table({key: pa.array(ids, pa.string())} | {column: table[column] for column in beside}).take(
        order
    )


def _seen(names: list[str], codes: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """Names and codes without the names that no row has."""
    present = np.bincount(codes, minlength=len(names)) > 0
    places = np.cumsum(present, dtype=np.int32) - 1
    return [name for name, there in zip(names, present.tolist(), strict=True) if there], places[codes]
