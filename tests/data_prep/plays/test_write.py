"""Tables are written whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from audiomae.errors import DataError
from data_prep.plays.write import ContentTable, SourceTables, write_tables


def tables(user: str, *, breaks: bool = False, content: bool = True) -> SourceTables:
    """One play of one user; one that breaks fails after its first part."""

    def plays() -> Iterator[pa.Table]:
        yield pa.table({"user_id": [user], "track_id": ["t"]})
        if breaks:
            raise DataError("the source ends in the middle")

    return SourceTables(
        "test",
        plays(),
        tracks=lambda: pa.table({"track_id": ["t"]}),
        users=lambda: pa.table({"user_id": [user]}),
        content=(lambda: ContentTable(pa.table({"track_id": ["t"]}), np.ones((1, 2), np.float32)))
        if content
        else None,
    )


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_source_that_breaks_leaves_the_old_tables_as_they_were(tmp_path):
    write_tables(tmp_path, tables("a"))
    before = bytes_of(tmp_path)
    with pytest.raises(DataError, match="ends in the middle"):
        write_tables(tmp_path, tables("b", breaks=True))
    assert bytes_of(tmp_path) == before
    last = dataclasses.replace(tables("b"), content=_refuse)
    with pytest.raises(DataError, match="no content after all"):
        write_tables(tmp_path, last)
    assert bytes_of(tmp_path) == before


def _refuse() -> ContentTable:
    raise DataError("no content after all")


def test_new_tables_take_the_place_of_all_the_old_ones(tmp_path):
    write_tables(tmp_path, tables("a"))
    (tmp_path / ".new").mkdir()
    (tmp_path / ".new" / "users.parquet").write_bytes(b"left by a run that was killed")
    said = write_tables(tmp_path, tables("b", content=False))
    assert sorted(bytes_of(tmp_path)) == [
        "interactions.parquet",
        "tables.json",
        "tracks.parquet",
        "users.parquet",
    ]
    assert said["counts"] == {"interactions": 1, "users": 1, "tracks": 1}
