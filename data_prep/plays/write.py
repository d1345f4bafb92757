"""The tables of a source, as an adapter hands them over, and the folder they are written to.

tables/
    interactions.parquet  user_id, track_id, timestamp (not for all sources), weight, …
    users.parquet         user_id and fields; not for all sources
    tracks.parquet        track_id, title, artist, album, genre, …
    content.parquet       track_id, tags, vector; not for all sources
    tables.json           format, source, counts, notes, seed; written last
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audiomae.disk.files import write_atomically, write_json
from audiomae.errors import DataError
from audiomae.listening.content import write_content

__all__ = ["TABLES_FORMAT", "ContentTable", "SourceTables", "write_tables"]

TABLES_FORMAT = "audiomae-tables/1"

TABLES = ("interactions.parquet", "users.parquet", "tracks.parquet", "content.parquet")


@dataclass(frozen=True)
class ContentTable:
    """Vectors of tracks.

    Attributes:
        tracks: track_id and tags.
        vectors: float32 (tracks, dim).
        model_fingerprint: Stands for what made the vectors; empty if nothing need be told apart.
    """

    tracks: pa.Table
    vectors: NDArray[np.float32]
    model_fingerprint: str = ""


@dataclass(frozen=True)
class SourceTables:
    """The tables of one source.

    Attributes:
        source: Name of the source.
        interactions: Tables of one schema, read once; None where the source has content alone.
        users: Called once the interactions are read; None where nothing is known of users.
        tracks: Called once the interactions are read; None where content alone is made.
        content: Called once the interactions are read; gives None where the source has no content.
        notes: What whoever reads a figure must know of these tables.
        settings: What they were made with, seeds too.
        simulated: Whether nobody listened.
    """

    source: str
    interactions: Iterable[pa.Table] | None
    tracks: Callable[[], pa.Table] | None = None
    users: Callable[[], pa.Table] | None = None
    content: Callable[[], ContentTable | None] | None = None
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    simulated: bool = False


def write_tables(folder: Path | str, tables: SourceTables) -> dict[str, Any]:
    """Write the tables into a folder, tables.json last, and return what that says.

    They are made beside and take the place of older ones when all are there: what fails on the way loses nothing.

    Raises:
        DataError: If the source has no interaction.
        StorageError: If the disk refuses.
    """
    folder = Path(folder)
    staging = folder / ".new"
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    try:
        said = _write_staged(staging, tables)
        (folder / "tables.json").unlink(missing_ok=True)
        for name in TABLES:
            if (staging / name).exists():
                (staging / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write_json(folder / "tables.json", said)
    return said


def _write_staged(folder: Path, tables: SourceTables) -> dict[str, Any]:
    counts: dict[str, int] = {}
    if tables.interactions is not None:
        counts["interactions"] = _write_parts(folder / "interactions.parquet", tables.interactions)
        if not counts["interactions"]:
            raise DataError(f"{tables.source}: 0 interactions in it. Name the whole data set.")
    for name, make in (("users", tables.users), ("tracks", tables.tracks)):
        if make is None:
            continue
        table = make()
        counts[name] = table.num_rows
        with write_atomically(folder / f"{name}.parquet") as temporary:
            pq.write_table(table, temporary)
    content = tables.content() if tables.content else None
    if content is not None:
        write_content(
            folder / "content.parquet", content.tracks, content.vectors, content.model_fingerprint or None
        )
        counts |= {"content": len(content.vectors), "content_dim": int(content.vectors.shape[1])}
    return {
        "format": TABLES_FORMAT,
        "source": tables.source,
        "simulated": tables.simulated,
        "counts": counts,
        "notes": list(tables.notes),
        "settings": tables.settings,
    }


def _write_parts(path: Path, parts: Iterable[pa.Table]) -> int:
    """Write tables one after another; return the rows."""
    rows, source = 0, iter(parts)
    first = next(source, None)
    if first is None:
        return 0
    with write_atomically(path) as temporary, ExitStack() as stack:
        writer = stack.enter_context(pq.ParquetWriter(temporary, first.schema))
        for part in _chain(first, source):
            writer.write_table(part)
            rows += part.num_rows
    return rows


def _chain(first: pa.Table, others: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from others
