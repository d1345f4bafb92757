"""What is wrong with a table: each kind of problem once, with its rows, values and the way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DataError
from audiomae.listening.check.files import TableFile

__all__ = ["SHOWN", "Findings", "check_numbers", "check_times"]

SHOWN = 3
"""Rows named for each kind of problem."""
LATEST_SECONDS = 100_000_000_000
"""Times above are no seconds since 1970: in milliseconds it is the year 1973, in seconds 5138."""
DAY = 86_400


@dataclass
class Finding:
    """One kind of problem in one column of one file.

    Attributes:
        file: The table.
        column: Its column, or several joined by +.
        error: Whether the table cannot be used so; False for what merely deserves a look.
        what: What is wrong with the value, such as "is in milliseconds"; the whole line without a way_out.
        way_out: What to do.
        count: Rows, or ids, that have it.
        examples: (place, value) of the first few.
    """

    file: str
    column: str
    error: bool
    what: str
    way_out: str
    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)

    def line(self) -> str:
        """Return it as one line: file, row, column, value, limit, way out."""
        if not self.way_out:
            return self.what
        place, value = self.examples[0] if self.examples else ("", "")
        where = ", ".join(part for part in (place, f"column {self.column}" if self.column else "") if part)
        start = ": ".join(part for part in (self.file, where) if part)
        more = [f"{place} {value}" if place else value for place, value in self.examples[1:]]
        others = f" ({self.count} in all; also {', '.join(more)})" if more else ""
        others = others or (f" ({self.count} in all)" if self.count > 1 else "")
        return f"{start}: {f'{value} {self.what}'.strip()}{others}. {self.way_out}"


class Findings:
    """Problems found so far.

    Attributes:
        all: One entry for each kind, in the order of their discovery.
    """

    def __init__(self, *, strict: bool) -> None:
        """Start with none.

        Args:
            strict: Whether the first error is raised.
        """
        self.all: list[Finding] = []
        self._strict = strict

    @property
    def errors(self) -> int:
        """How many of them are errors."""
        return sum(finding.error for finding in self.all)

    def add(
        self,
        file: object,
        column: str,
        what: str,
        way_out: str,
        examples: Sequence[tuple[str, str]] = (),
        *,
        count: int = 1,
        error: bool = True,
    ) -> None:
        """Add a problem to its kind.

        Raises:
            DataError: If it is an error and the findings are strict.
        """
        alike = (str(file), column, error, what, way_out)
        for finding in self.all:
            if (finding.file, finding.column, finding.error, finding.what, finding.way_out) == alike:
                break
        else:
            finding = Finding(*alike)
            self.all.append(finding)
        finding.count += count
        finding.examples += list(examples)[: SHOWN - len(finding.examples)]
        if error and self._strict:
            raise DataError(finding.line())

    def add_line(self, line: str) -> None:
        """Add an error that is told in full, such as the message of another error.

        Raises:
            DataError: If the findings are strict.
        """
        self.all.append(Finding("", "", True, line, "", 1))
        if self._strict:
            raise DataError(line)

    def rows(
        self,
        table: TableFile,
        first: int,
        column: str,
        bad: NDArray[np.bool_],
        value: Callable[[int], Any],
        what: str,
        way_out: str,
        *,
        error: bool = True,
    ) -> None:
        """Add the rows of a batch where `bad` is true, if any.

        Args:
            table: The file.
            first: Rows before the batch.
            column: The column's name.
            bad: (rows,) of the batch.
            value: Row in the batch → the cell as it is to be shown.
            what: What is wrong with it.
            way_out: What to do.
            error: Whether it is an error.
        """
        if not bad.any():
            return
        places = np.flatnonzero(bad)
        examples = [(table.place(first + int(row)), repr(value(int(row)))) for row in places[:SHOWN]]
        self.add(table.path, column, what, way_out, examples, count=len(places), error=error)


def check_times(
    findings: Findings,
    table: TableFile,
    first: int,
    column: str,
    times: NDArray[np.int64],
    value: Callable[[int], Any],
    now: float,
) -> None:
    """Add times that are negative, in milliseconds or finer, or more than a day after `now` (seconds)."""
    fine = times > LATEST_SECONDS
    findings.rows(
        table,
        first,
        column,
        fine,
        value,
        "is in milliseconds or finer, not in seconds since 1970",
        "Divide the column by 1000 (milliseconds), 1e6 (micro-) or 1e9 (nanoseconds).",
    )
    findings.rows(
        table, first, column, times < 0, value, "is before 1970", "Give seconds since 1970-01-01 UTC."
    )
    findings.rows(
        table,
        first,
        column,
        ~fine & (times > now + DAY),
        value,
        "is in the future",
        "Correct the clock or the unit; times are seconds since 1970-01-01 UTC.",
    )


def check_numbers(
    findings: Findings,
    table: TableFile,
    first: int,
    column: str,
    numbers: NDArray[np.float64],
    cells: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
    value: Callable[[int], Any],
    *,
    highest: float,
    may_be_empty: bool,
) -> None:
    """Add cells that are no number, NaN, empty where that is not allowed, below 0 or above `highest`.

    `cells` says which rows are there at all, which cells are empty, and which hold no number.
    """
    present, empty, bad = cells
    empty, bad = empty & present, bad & present
    way_out = "Correct the row, or drop it."
    given = present & ~empty & ~bad
    findings.rows(table, first, column, bad, value, "is no number", way_out)
    if not may_be_empty:
        findings.rows(table, first, column, empty, value, "is empty", "Fill it in, or drop the row.")
    findings.rows(table, first, column, given & ~np.isfinite(numbers), value, "is not finite", way_out)
    given &= np.isfinite(numbers)
    if highest < np.inf:
        outside = given & ((numbers < 0) | (numbers > highest))
        findings.rows(table, first, column, outside, value, f"is outside 0 to {highest:g}", way_out)
        return
    findings.rows(table, first, column, given & (numbers < 0), value, "is negative", way_out)
    with np.errstate(over="ignore", under="ignore"):
        kept = numbers.astype(np.float32)
    scale = "Divide the column by a number, so that weights lie around 1."
    huge, lost = given & np.isinf(kept), given & (numbers > 0) & (kept == 0)
    findings.rows(table, first, column, huge, value, "is above 3.4e38, the largest weight", scale)
    findings.rows(table, first, column, lost, value, "is below 1.4e-45, the smallest weight above 0", scale)
