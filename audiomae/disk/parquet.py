"""Parquet files that somebody else may have written: read whole, with one line for what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audiomae.errors import DataError, MissingError, reason_of

__all__ = ["read_parquet"]

LARGEST_CELL = 1 << 20
"""Bytes of a text cell and entries of a list, at most: no name, path or vector comes near."""


def read_parquet(
    path: Path | str,
    schema: pa.Schema | None = None,
    *,
    columns: Sequence[str] | None = None,
    again: str = "",
) -> pa.Table:
    """Read a Parquet file.

    Text is read as it is stored, each value once, and its length looked at before the rows are written out: a small
    file may hold a long text a million times.

    Args:
        path: The file.
        schema: Columns that it must have, in this order and of types that these can be cast to; as it is without.
        columns: Columns to read; all of them without.
        again: What to do about a damaged file; "Make it again." without.

    Raises:
        MissingError: If it is not there, or is cut short or damaged.
        DataError: If a column is missing or of another type, a cell is empty that must not be, or one is far too long.
    """
    path, again = Path(path), again or "Make it again."
    if path.exists() and not path.is_file():
        raise MissingError(f"{path}: is not a file. {again}")
    try:
        with pq.ParquetFile(path) as file:  # read_table would take a folder named a=b for a column
            found = file.schema_arrow
            wanted = [field.name for field in schema] if schema is not None else columns
            if absent := [name for name in wanted or () if name not in found.names]:
                held = ", ".join(found.names[:20])
                raise DataError(f"{path}: column {absent[0]} is missing; it has {held}. {again}")
            metadata = found.metadata
        texts = [field.name for field in found if _is_text(field.type)]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            table = file.read(columns=None if wanted is None else list(wanted))
        for name in table.column_names:
            _refuse_long(path, name, table[name], again)
        plain = [
            table[name].cast(found.field(name).type) if name in texts else table[name]
            for name in table.column_names
        ]
        table = pa.Table.from_arrays(
            plain, schema=pa.schema([found.field(name) for name in table.column_names], metadata=metadata)
        )
        if schema is None:
            return table
        table = table.select(wanted)
        if empty := [field.name for field in schema if not field.nullable and table[field.name].null_count]:
            raise DataError(f"{path}: column {empty[0]} has empty cells, which it must not. {again}")
        table = table.cast(schema)
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file. {again}") from None
    except (OSError, pa.ArrowException, ValueError, MemoryError, OverflowError) as error:
        raise MissingError(
            f"{path}: cannot be read, perhaps cut short ({reason_of(error)}). {again}"
        ) from error
    return table


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _refuse_long(path: Path, name: str, column: pa.ChunkedArray, again: str) -> None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        pieces = [chunk.dictionary for chunk in column.chunks]
        longest = max((pc.max(pc.binary_length(piece)).as_py() or 0 for piece in pieces), default=0)
        unit = "bytes"
    elif pa.types.is_fixed_size_list(kind):
        longest, unit = kind.list_size, "entries"
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        longest, unit = pc.max(pc.list_value_length(column)).as_py() or 0, "entries"
    elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        longest, unit = pc.max(pc.binary_length(column)).as_py() or 0, "bytes"
    else:
        return
    if longest > LARGEST_CELL:
        raise DataError(
            f"{path}: column {name} holds a cell of {longest:,} {unit}; at most {LARGEST_CELL:,} are read. {again}"
        )
