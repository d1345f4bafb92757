"""Columns of a table as arrays: ids as codes, numbers, and times in seconds; vectorised."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audiomae.errors import DataError

__all__ = ["NULL_WORDS", "Vocabulary", "id_texts", "parse_numbers", "parse_times"]

NULL_WORDS = ("NULL", "null", "NaN", "nan", "NAN", "\\N")
"""What databases and pandas write into text where there is nothing; in a column of numbers it is a missing one."""

NUMBER = r"^\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|NaN|NAN|inf|Inf|INF|infinity|Infinity)\s*$"
ZONE = r"([+-]\d{2}:?\d{2}|Z)$"
LARGEST = 2.0**62
Mask = NDArray[np.bool_]


class Vocabulary:
    """Ids in the order in which they are first seen; a code is the place.

    Attributes:
        ids: The ids.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._codes: dict[str, int] = {}

    def encode(self, column: pa.Array) -> NDArray[np.int32]:
        """Return the code of each cell, int32 (rows,), -1 where it is empty; new ids are added.

        Raises:
            DataError: If the column holds neither text nor whole numbers.
        """
        if not pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(_plain(column))
        names = id_texts(column.dictionary)
        places = np.empty(len(names) + 1, dtype=np.int32)
        places[-1] = -1  # an empty cell's code
        for number, name in enumerate(names):
            if name:
                places[number] = code = self._codes.setdefault(name, len(self.ids))
                if code == len(self.ids):
                    self.ids.append(name)
            else:
                places[number] = -1
        cells = pc.fill_null(column.indices, len(names)).to_numpy(zero_copy_only=False)
        codes: NDArray[np.int32] = places[cells]
        return codes


def id_texts(column: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Return ids as text, None where a cell is empty; a decimal number such as 7.00 is the id 7.

    Raises:
        DataError: If the column holds neither text nor whole numbers.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        return [
            None if one is None else f"{one:f}".rstrip("0").rstrip(".") if "." in f"{one:f}" else f"{one:f}"
            for one in column.to_pylist()
        ]
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(f"ids are of type {kind}; they must be text or whole numbers.")
    texts: list[str | None] = column.cast(pa.string()).to_pylist()
    return texts


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def parse_numbers(column: pa.Array) -> tuple[NDArray[np.float64], Mask, Mask]:
    """Return numbers, float64 (rows,), NaN where there is none, and where a cell is empty or no number.

    In text, what stands in `NULL_WORDS` is empty.
    """
    column = _plain(column)
    if not pa.types.is_string(column.type):
        empty = column.is_null().to_numpy(zero_copy_only=False)
        numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        if not (numeric or pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type)):
            return np.full(len(column), np.nan), empty, ~empty
        return _as_floats(column.cast(pa.float64(), safe=False)), empty, np.zeros(len(column), dtype=bool)
    column = pc.utf8_trim_whitespace(column)
    nothing = pc.is_in(column, value_set=pa.array(["", *NULL_WORDS], pa.string()))
    empty = _truth(pc.or_kleene(pc.is_null(column), nothing))
    try:
        filled = pc.if_else(pa.array(empty), pa.scalar(None, pa.string()), column)
        return _as_floats(filled.cast(pa.float64())), empty, np.zeros(len(column), dtype=bool)
    except pa.ArrowInvalid:
        bad = ~_truth(pc.match_substring_regex(column, NUMBER)) & ~empty
        filled = pc.if_else(pa.array(empty | bad), pa.scalar(None, pa.string()), column)
        return _as_floats(filled.cast(pa.float64())), empty, bad


def parse_times(column: pa.Array) -> tuple[NDArray[np.int64], Mask, Mask]:
    """Return whole seconds since 1970-01-01 UTC, int64 (rows,), and where a cell is empty or no time.

    Numbers are seconds, fractions cut off; Parquet timestamps and dates, and ISO text such as
    2024-05-01T12:00:00+02:00, are taken as UTC where they name no zone. Empty and bad cells are 0.
    """
    column = _plain(column)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        empty = column.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_date(kind):
            column = column.cast(pa.timestamp("ms"))
        units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        ticks = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        return ticks // units, empty, np.zeros(len(column), dtype=bool)
    if pa.types.is_integer(kind):
        empty = column.is_null().to_numpy(zero_copy_only=False)
        seconds = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return seconds, empty, np.zeros(len(column), dtype=bool)
    numbers, empty, bad = parse_numbers(column)
    if pa.types.is_string(kind) and bad.any():
        rows = np.flatnonzero(bad)
        found, known = _parse_iso(pc.utf8_trim_whitespace(column.take(pa.array(rows))))
        numbers[rows[known]] = found[known]
        bad[rows[known]] = False
    bad |= ~empty & ~(np.abs(numbers) < LARGEST)  # NaN too
    numbers[empty | bad] = 0
    return np.floor(numbers).astype(np.int64), empty, bad


def _parse_iso(texts: pa.Array) -> tuple[NDArray[np.float64], Mask]:
    texts = pc.replace_substring_regex(texts, r"\s+(UTC|GMT)$", "Z")  # as BigQuery writes them
    seconds, known = np.zeros(len(texts)), np.zeros(len(texts), dtype=bool)
    zoned = _truth(pc.match_substring_regex(texts, r"\d:\d+.*" + ZONE))
    for mask, kind in ((zoned, pa.timestamp("us", tz="UTC")), (~zoned, pa.timestamp("us"))):
        rows = np.flatnonzero(mask)
        part = texts.take(pa.array(rows))
        try:
            ticks = part.cast(kind).cast(pa.int64()).to_numpy(zero_copy_only=False)
            seconds[rows], known[rows] = ticks // 10**6, True
        except pa.ArrowInvalid:  # some text is no time: one by one
            for row, text in zip(rows, part.to_pylist(), strict=True):
                try:
                    moment = datetime.fromisoformat(text)
                except ValueError:
                    continue
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                seconds[row], known[row] = moment.timestamp(), True
    return seconds, known


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if _is_text(column.type) else column


def _truth(column: pa.Array) -> Mask:
    truth: Mask = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    return truth


def _as_floats(column: pa.Array) -> NDArray[np.float64]:
    return np.array(column.to_numpy(zero_copy_only=False), dtype=np.float64)
