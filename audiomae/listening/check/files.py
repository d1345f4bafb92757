"""A table in a CSV or Parquet file or a folder of parts, read batch by batch, with the place of every row."""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from audiomae.disk.parquet import read_parquet
from audiomae.errors import DataError, MissingError
from audiomae.listening.check.columns import NULL_WORDS

__all__ = ["TableFile"]

Result = TypeVar("Result")

BATCH_ROWS = 1 << 20
TEXT = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")


class TableFile:
    """A CSV, TSV (both perhaps ending in .gz too) or Parquet file with named columns, or a folder of part-*.parquet.

    Such a folder is what Spark writes; its parts are one table, in the order of their names.

    Attributes:
        path: Where it lies.
        columns: Names of its columns, in order.
        is_text: Whether cells are text without a type.
        broken: (line, cells) of text rows with more or fewer cells than the header has, met so far.
    """

    def __init__(self, path: Path | str) -> None:
        """Open the file and read the names of its columns.

        Raises:
            MissingError: If it is not there.
            DataError: If it is no such table, has no header, or a column name comes twice.
        """
        self.path = Path(path)
        self.broken: list[tuple[int, int]] = []
        endings = [suffix.lower() for suffix in self.path.suffixes]
        ending = endings[-2] if len(endings) > 1 and endings[-1] == ".gz" else (endings or [""])[-1]
        self._parts = [self.path]
        if self.path.is_dir():
            self._parts, ending = self._find_parts(), ".parquet"
        self.is_text = ending in TEXT
        self._delimiter = TEXT.get(ending, ",")
        if not self.is_text and ending not in PARQUET:
            known = ", ".join((*TEXT, *PARQUET))
            raise DataError(f"{self.path}: a table ends in {known}. Rename the file, or name another.")
        if not self.path.is_dir() and not self.path.is_file():
            raise MissingError(f"{self.path}: no such file. Check the spelling.")
        self.columns = self._guarded(self._header)
        twice = [name for place, name in enumerate(self.columns) if name in self.columns[:place]]
        if twice:
            raise DataError(
                f"{self.path}: column {twice[0]!r} comes twice in the header. Rename one of them."
            )

    def __repr__(self) -> str:
        return f"TableFile({str(self.path)!r}, columns={self.columns})"

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the columns batch by batch, each with the number of rows before it.

        Text cells come as strings, empty where the row has nothing; a blank line is a row of empty cells.

        Raises:
            DataError: If the file is cut short or damaged.
        """
        reader = self._text_batches if self.is_text else self._parquet_batches
        source = self._guarded(lambda: reader(list(columns)))
        first = 0
        while (batch := self._guarded(lambda: next(source, None))) is not None:
            yield first, batch
            first += batch.num_rows

    def read(self, text_columns: Sequence[str] = ()) -> pa.Table:
        """Read all of it; in a text file, types are guessed but for `text_columns`, and empty means null.

        Raises:
            DataError: If the file is cut short or damaged.
        """
        if not self.is_text:
            return pa.concat_tables(
                [read_parquet(part) for part in self._parts], promote_options="permissive"
            )
        texts = [name for name in self.columns if name in text_columns]
        others = [name for name in self.columns if name not in text_columns]
        parts = [
            self._read_text(
                pacsv.ConvertOptions(
                    include_columns=names,
                    column_types={name: pa.string() for name in names if name in texts},
                    null_values=["", *nothing],
                    strings_can_be_null=True,
                )
            )
            for names, nothing in ((texts, ()), (others, NULL_WORDS))
            if names
        ]
        return pa.table({name: part[name] for part in parts for name in part.column_names}).select(
            self.columns
        )

    def _read_text(self, convert: pacsv.ConvertOptions) -> pa.Table:
        parse = pacsv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True)
        read = pacsv.ReadOptions(use_threads=False)  # so that a broken row is named
        return self._guarded(lambda: pacsv.read_csv(self.path, read, parse, convert))

    def place(self, row: int) -> str:
        """Say where a row stands: its number from 1, and in a text file its line.

        Args:
            row: Rows before it, as `batches` counts them.
        """
        if not self.is_text:
            return f"row {row + 1}"
        line = row + 2
        for broken, _ in self.broken:
            line += line >= broken
        return f"row {line - 1} (line {line})"

    def _header(self) -> list[str]:
        if not self.is_text:
            held = [list(pq.read_schema(part).names) for part in self._parts]
            for part, found in zip(self._parts, held, strict=True):
                if sorted(found) != sorted(held[0]):
                    have = f"has columns {', '.join(found)}, the first part has {', '.join(held[0])}"
                    raise DataError(f"{part}: {have}. Write them again.")
            return held[0]
        with pa.input_stream(str(self.path), compression="detect") as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            names = next(csv.reader(text, delimiter=self._delimiter), [])
            text.detach()
        if not any(names):
            raise DataError(f"{self.path}: empty, with no header. Give it a first line with column names.")
        return names

    def _text_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        self.broken = []

        def skip(row: pacsv.InvalidRow) -> str:
            place = bisect_right(self.broken, (row.number, 0))
            self.broken.insert(place, (row.number, row.actual_columns))
            return "skip"

        return iter(
            pacsv.open_csv(
                self.path,
                read_options=pacsv.ReadOptions(use_threads=False, block_size=1 << 25),
                parse_options=pacsv.ParseOptions(
                    delimiter=self._delimiter,
                    ignore_empty_lines=False,
                    newlines_in_values=True,
                    invalid_row_handler=skip,
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=columns,
                    column_types=dict.fromkeys(columns, pa.string()),
                    strings_can_be_null=False,
                ),
            )
        )

    def _parquet_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for part in self._parts:
            schema = pq.read_schema(part)
            texts = [name for name in columns if pa.types.is_string(schema.field(name).type)]
            with pq.ParquetFile(part, read_dictionary=texts) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=columns)

    def _find_parts(self) -> list[Path]:
        """Return the parts of a folder, in order."""
        if (self.path / "_temporary").exists():
            raise DataError(f"{self.path}: holds _temporary; its writing has not finished. Write it again.")
        parts = sorted(self.path.glob("part-*.parquet"))
        if not parts:
            raise DataError(
                f"{self.path}: a folder without part-*.parquet. Name a table, or a folder of parts."
            )
        return parts

    def _guarded(self, step: Callable[[], Result]) -> Result:
        try:
            return step()
        except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
            reason = (str(error).splitlines() or ["unreadable"])[0]
            raise DataError(
                f"{self.path}: cannot be read as a table, perhaps cut short ({reason}). Make it again."
            ) from error
