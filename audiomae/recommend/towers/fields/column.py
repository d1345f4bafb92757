"""One column of the users' table, learned; and what a type of column must know."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DataError

__all__ = ["RARE", "UNKNOWN", "Column", "Encoder", "FieldType", "Limits", "numbers_of", "text_of"]

UNKNOWN, RARE = 0, 1
LARGEST = float(np.finfo(np.float32).max)
"""Numbers beyond are missing: their squares, and what float32 makes of them, are infinite."""
LOG = logging.getLogger(__name__)

Encoder = Callable[[Sequence[Any]], NDArray[Any]]
"""Values of a column, None where missing → places in its table, int64 (rows,); or, for a type without a table, its
standardised number and whether it is missing, float32 (rows, 2)."""


class Limits(NamedTuple):
    """What is learned of a column depends on these."""

    least_count: int
    """Users that a value must have to get a place of its own."""
    buckets: int
    """Buckets of a bucketised column."""


@dataclass(frozen=True)
class Column:
    """One column, learned.

    Attributes:
        name: Its name in the users' table.
        kind: Its type; "user_id" for the user's id itself.
        values: Vocabulary of a categorical column, from place 2 on (from 1 on for user_id).
        rare: Whether some users of the training had a rare value; a new one is taken for rare then, else for
            unknown.
        mean: Mean of a numeric column.
        std: Its standard deviation.
        edges: Upper edges of the buckets but the last; a number falls in place 1 + edges below it.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    rare: bool = False
    mean: float = 0.0
    std: float = 1.0
    edges: tuple[float, ...] = ()


class FieldType(Protocol):
    """How one kind of column is learned and read."""

    coded: bool
    """Whether its values become places in a table; a number beside whether it is missing otherwise."""

    def learn(self, name: str, values: Sequence[Any], limits: Limits) -> Column:
        """Learn a column from the users that are trained on; a missing value is None or empty."""

    def places(self, column: Column) -> int:
        """Return the places of its table, 0 for unknown included; 0 for a type without a table."""

    def encoder(self, column: Column) -> Encoder:
        """Return what turns values into numbers."""


def text_of(value: Any) -> str | None:
    """Return a categorical value as text; None where it is unknown. 1.0 and 1 are the same value."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def numbers_of(name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    """Return a column as float64, NaN where it is missing.

    Raises:
        DataError: If a value is not a number; its row and column are named.
    """
    out = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None or value == "":
            continue
        try:
            out[row] = float(value)
        except (TypeError, ValueError):
            raise DataError(
                f"users row {row}, column {name}: {value!r} is not a number. Leave it empty, or type the column "
                "categorical."
            ) from None
    far = np.abs(out) > LARGEST  # infinite ones too
    if far.any():
        row = int(np.flatnonzero(far)[0])
        LOG.warning(
            "users row %d, column %s: %r is beyond 3.4e38 and counts as missing (%d in all). Correct it, or leave "
            "the cell empty.",
            row + 1,
            name,
            values[row],
            int(far.sum()),
        )
        out[far] = np.nan
    return out
