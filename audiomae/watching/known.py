"""Which files a watched vectors folder knows: `watch.parquet`, a row a file, kept or not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from audiomae.disk.files import write_atomically
from audiomae.disk.parquet import read_parquet

__all__ = ["DUPLICATE", "Known", "Stamp", "key_of", "read_known", "stamp_of", "text_of", "write_known"]

DUPLICATE = "duplicate"
"""Kind of the reason of a file whose content another one has brought."""
KEY_DIGITS = 16
SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("modified_ns", pa.int64(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


class Stamp(NamedTuple):
    """What tells whether a file is still the one it was."""

    bytes: int
    modified_ns: int


class Known(NamedTuple):
    """A file, and what became of it."""

    path: str
    """Whole path, as text."""
    bytes: int
    """Size when it was prepared."""
    modified_ns: int
    """Modification time when it was prepared."""
    content: str
    """Hash of what it sounds like; its first digits for a file that an export prepared; empty where unknown."""
    track_id: str
    """Track that it is; empty for a file that is left out."""
    reason: str
    """Why it is left out ("kind: detail"); empty for a track."""

    @property
    def stamp(self) -> Stamp:
        """The file as it was."""
        return Stamp(self.bytes, self.modified_ns)

    @property
    def is_duplicate(self) -> bool:
        """Whether another file has brought the same content."""
        return self.reason.partition(": ")[0] == DUPLICATE


def key_of(content: str) -> str:
    """Return what two files of one content have in common; an export stores no more than these digits.

    Example:
        >>> key_of("0123456789abcdef0123")
        '0123456789abcdef'
    """
    return content[:KEY_DIGITS]


def text_of(path: Path | str) -> str:
    """Return a path as UTF-8 text; bytes that are none become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def stamp_of(path: Path | str) -> Stamp | None:
    """Return the stamp of a file; None where there is none, or something else than a file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of 22,000 files at each look
    except (OSError, ValueError):
        return None
    return Stamp(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def read_known(path: Path) -> dict[str, Known]:
    """Read the table.

    Raises:
        DataError: If it is not there, damaged or of other columns.
    """
    rows: list[dict[str, Any]] = read_parquet(path, SCHEMA, again="Name another --out.").to_pylist()
    return {row["path"]: Known(**row) for row in rows}


def write_known(path: Path, known: Iterable[Known]) -> None:
    """Write the table, atomically, in the order of the paths."""
    rows = sorted(known)
    columns = [pa.array([row[place] for row in rows], field.type) for place, field in enumerate(SCHEMA)]
    with write_atomically(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), temporary, compression="zstd")
