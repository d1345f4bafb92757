"""Parquet that somebody else wrote: whole, or one line."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audiomae.disk.parquet import read_parquet
from audiomae.errors import DataError, MissingError


def test_a_table_is_read_as_it_was_written_with_its_metadata(tmp_path):
    table = pa.table({"a": ["x", None, "x"], "n": [1, 2, 3], "v": [[1.0], [], None]})
    table = table.replace_schema_metadata({b"k": b"v"})
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_parquet(tmp_path / "t.parquet")
    assert read.to_pylist() == table.to_pylist()
    assert read.schema.metadata == {b"k": b"v"}
    assert read.schema.field("a").type == pa.string()
    assert read_parquet(tmp_path / "t.parquet", columns=["n", "a"]).column_names == ["n", "a"]


def test_a_cell_far_too_long_is_refused_before_a_million_rows_repeat_it(tmp_path):
    long = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(1_000_000, np.int32)), pa.array(["x" * (2 << 20)])
    )
    pq.write_table(pa.table({"title": long}), tmp_path / "t.parquet", store_schema=False)
    assert (tmp_path / "t.parquet").stat().st_size < 1 << 20
    with pytest.raises(
        DataError, match=r"column title holds a cell of 2,097,152 bytes; at most 1,048,576 are read"
    ):
        read_parquet(tmp_path / "t.parquet")


def test_a_list_far_too_long_is_refused(tmp_path):
    pq.write_table(pa.table({"vector": [np.zeros(1 << 21, np.float32)]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="column vector holds a cell of 2,097,152 entries"):
        read_parquet(tmp_path / "t.parquet")


def test_a_missing_column_another_type_and_an_empty_cell_are_one_line(tmp_path):
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    pq.write_table(pa.table({"b": [1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column a is missing; it has b\. Make it again\."):
        read_parquet(tmp_path / "t.parquet", schema)
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(MissingError, match=r"cannot be read, perhaps cut short \(Failed to parse"):
        read_parquet(tmp_path / "t.parquet", schema)
    pq.write_table(pa.table({"a": pa.array([1, None])}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="column a has empty cells, which it must not"):
        read_parquet(tmp_path / "t.parquet", schema)


def test_what_is_no_file_or_no_parquet_is_one_line(tmp_path):
    with pytest.raises(MissingError, match=r"none\.parquet: no such file\. Export again\."):
        read_parquet(tmp_path / "none.parquet", again="Export again.")
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(MissingError, match="is not a file"):
        read_parquet(tmp_path / "pipe.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(MissingError, match="cannot be read, perhaps cut short") as caught:
        read_parquet(tmp_path / "t.parquet")
    assert "\n" not in str(caught.value)
