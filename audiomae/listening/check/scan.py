"""A table of interactions, read batch by batch into arrays; what is wrong is noted row by row."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audiomae.errors import DataError
from audiomae.listening.check.columns import Vocabulary, parse_numbers, parse_times
from audiomae.listening.check.files import TableFile
from audiomae.listening.check.findings import Findings, check_numbers, check_times

__all__ = ["LARGEST_WEIGHT", "InteractionScan", "scan_interactions"]

NEEDED = ("user_id", "track_id")
LARGEST_WEIGHT = float(np.finfo(np.float32).max)
KNOWN = (*NEEDED, "timestamp", "event", "weight", "played_ratio")


@dataclass
class InteractionScan:
    """Rows of an interactions table that count, in the order of the file.

    Attributes:
        users: Vocabulary of the users, in order of appearance.
        tracks: Vocabulary of the tracks.
        user_codes: int32 (rows,).
        track_codes: int32 (rows,).
        times: Seconds since 1970, int64 (rows,); None where the table has no time.
        weights: float32 (rows,).
        places: Rows of the file before each row, int64 (rows,); empty unless asked for.
        rows: Rows of the file, those left out too.
        events: Event → rows, of the whole file.
        weightless: Rows left out because their weight is 0.
    """

    users: Vocabulary = field(default_factory=Vocabulary)
    tracks: Vocabulary = field(default_factory=Vocabulary)
    user_codes: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    track_codes: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    times: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    rows: int = 0
    events: dict[str, int] = field(default_factory=dict)
    weightless: int = 0


def scan_interactions(
    table: TableFile,
    findings: Findings,
    *,
    events: tuple[str, ...] = (),
    least_weight: float = 0.0,
    least_played_ratio: float = 0.0,
    now: float | None = None,
    with_places: bool = False,
) -> InteractionScan:
    """Read an interactions table; about 20 bytes of memory a row.

    Args:
        table: The file.
        findings: Where problems are noted; a row with one is left out, where errors are not raised.
        events: Values of the column `event` that count; all of them without.
        least_weight: Rows of less weight are left out; those of weight 0 always are.
        least_played_ratio: Rows with less played, or without a played_ratio, are left out; 0 keeps all.
        now: Seconds since 1970 after which a time is in the future; the clock's by default.
        with_places: Whether to keep the number of each row in the file.

    Raises:
        DataError: If the table cannot be read, or with strict findings at the first error.
    """
    scan = InteractionScan()
    present = [name for name in KNOWN if name in table.columns]
    settings = {"event": bool(events), "played_ratio": least_played_ratio > 0}
    _note_missing(table, findings, [name for name, is_asked in settings.items() if is_asked])
    if not set(NEEDED) <= set(present):
        return scan
    parts: list[list[NDArray[Any]]] = []
    timeless = _Timeless()
    now = time.time() if now is None else now
    for first, batch in table.batches(present):
        keep, columns = _clean(table, first, batch, findings, scan, timeless, now)
        if events:
            keep &= _is_in(batch["event"], events)
        if "weight" in present:
            scan.weightless += int((keep & (columns.weights == 0)).sum())
            keep &= (columns.weights > 0) & (columns.weights >= least_weight)
        if least_played_ratio > 0 and "played_ratio" in present:
            keep &= columns.ratios >= least_played_ratio
        kept = columns.users, columns.tracks, columns.weights.astype(np.float32), columns.times
        places = first + np.flatnonzero(keep) if with_places else np.zeros(0, np.int64)
        parts.append([*(array[keep] for array in kept), places])
    for line, cells in table.broken:
        what = f"has {cells} cells where the header has {len(table.columns)}"
        findings.add(table.path, "", what, "Correct the row, or drop it.", [(f"line {line}", "it")])
    if parts:
        scan.user_codes, scan.track_codes, scan.weights, times, scan.places = _join(parts)
        if timeless.count < timeless.seen and "timestamp" in present:
            scan.times = times
            if timeless.count:
                way_out = (
                    "Fill it in or drop the row; a table without any time is fine, one with some is not."
                )
                example = [(timeless.place, "''")]
                findings.add(table.path, "timestamp", "is empty", way_out, example, count=timeless.count)
    return scan


def _note_missing(table: TableFile, findings: Findings, asked: list[str]) -> None:
    """Note columns that are not there: those that every table needs, and those that settings ask for."""
    for name in NEEDED:
        if name not in table.columns:
            close = ", ".join(table.columns)
            findings.add(table.path, name, "is missing", f"The table has {close}; rename the right one.")
    for name in asked:
        if name not in table.columns:
            way_out = f"Drop the setting that asks for it, or add the column {name}."
            findings.add(table.path, name, "is missing", way_out)


def _join(parts: list[list[NDArray[Any]]]) -> list[NDArray[Any]]:
    """Join the columns of all batches; each batch's columns are freed on the way."""
    joined: list[NDArray[Any]] = []
    while parts[0]:
        joined.append(np.concatenate([part.pop(0) for part in parts]))
    return joined


@dataclass
class _Timeless:
    """Rows without a time: fine if it is all of them."""

    count: int = 0
    seen: int = 0
    place: str = ""


@dataclass
class _Columns:
    users: NDArray[np.int32]
    tracks: NDArray[np.int32]
    times: NDArray[np.int64]
    weights: NDArray[np.float64]
    ratios: NDArray[np.float64]


def _clean(
    table: TableFile,
    first: int,
    batch: pa.RecordBatch,
    findings: Findings,
    scan: InteractionScan,
    timeless: _Timeless,
    now: float,
) -> tuple[NDArray[np.bool_], _Columns]:
    """Parse a batch, note its problems, and say which rows can be used."""
    rows, names = batch.num_rows, batch.schema.names
    keep = ~_blank(batch) if table.is_text else np.ones(rows, dtype=bool)
    scan.rows += int(keep.sum())
    codes = {}
    for name, vocabulary in (("user_id", scan.users), ("track_id", scan.tracks)):
        try:
            codes[name] = vocabulary.encode(batch[name])
        except DataError as error:
            raise DataError(f"{table.path}: column {name}: {error} Convert the column.") from None
        bad = keep & (codes[name] < 0)
        way_out = "Fill it in, or drop the row."
        findings.rows(table, first, name, bad, partial(_cell, batch, name), "is empty", way_out)
    present, keep = keep, keep & (codes["user_id"] >= 0) & (codes["track_id"] >= 0)
    times = np.zeros(rows, dtype=np.int64)
    if "timestamp" in names:
        times, bad = _clean_times(table, first, batch, findings, present, timeless, now)
        keep &= ~bad
    numbers = {"weight": np.ones(rows), "played_ratio": np.ones(rows)}
    for name, highest in (("weight", np.inf), ("played_ratio", 1.0)):
        if name in names:
            values, empty, bad = parse_numbers(batch[name])
            check_numbers(
                findings,
                table,
                first,
                name,
                values,
                (present, empty, bad),
                partial(_cell, batch, name),
                highest=highest,
                may_be_empty=name == "played_ratio",
            )
            numbers[name] = values
            keep &= ~bad & ~(present & (np.abs(values) > LARGEST_WEIGHT))
    if "event" in names:
        for entry in pc.value_counts(batch["event"]):
            event = str(entry["values"].as_py() or "")
            scan.events[event] = scan.events.get(event, 0) + entry["counts"].as_py()
    columns = _Columns(codes["user_id"], codes["track_id"], times, numbers["weight"], numbers["played_ratio"])
    return keep, columns


def _clean_times(
    table: TableFile,
    first: int,
    batch: pa.RecordBatch,
    findings: Findings,
    present: NDArray[np.bool_],
    timeless: _Timeless,
    now: float,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Parse the times of a batch, note their problems, and say which are none."""
    column = batch["timestamp"]
    if pa.types.is_float32(column.type) or pa.types.is_float16(column.type):
        what = f"{column.type} keeps a time of today to 128 seconds only"
        way_out = "Write the column as whole numbers."
        findings.add(table.path, "timestamp", what, way_out, count=batch.num_rows, error=False)
    times, empty, bad = parse_times(column)
    empty, bad = empty & present, bad & present
    shown = partial(_cell, batch, "timestamp")
    way_out = "Give seconds since 1970-01-01 UTC, or ISO text such as 2024-05-01T12:00:00."
    findings.rows(table, first, "timestamp", bad, shown, "is no time", way_out)
    check_times(findings, table, first, "timestamp", times, shown, now)
    timeless.seen += int(present.sum())
    if empty.any() and not timeless.count:
        timeless.place = table.place(first + int(np.flatnonzero(empty)[0]))
    timeless.count += int(empty.sum())
    return times, bad


def _blank(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Rows of a text table whose cells are all empty: blank lines."""
    blank = np.ones(batch.num_rows, dtype=bool)
    for column in batch.columns:
        blank &= pc.equal(column, "").to_numpy(zero_copy_only=False)
    return blank


def _is_in(column: pa.Array, values: tuple[str, ...]) -> NDArray[np.bool_]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    found = pc.is_in(column.cast(pa.string()), value_set=pa.array(list(values), pa.string()))
    truth: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return truth


def _cell(batch: pa.RecordBatch, name: str, row: int) -> object:
    return batch[name][row].as_py()
