"""What is known of a user, as numbers: vocabularies and statistics, learned once and kept as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.errors import ConfigError, DataError

__all__ = ["KNOWN_COLUMNS", "Column", "Encoded", "FeatureSettings", "Kind", "UserFeatures"]

Kind = Literal["categorical", "numeric", "bucketised", "ignore"]

KNOWN_COLUMNS: dict[str, Kind] = {
    "age": "bucketised",
    "account_age_days": "numeric",
    "country": "categorical",
    "gender": "categorical",
    "favorite_category": "categorical",
}
"""Columns that need no type in the settings."""

UNKNOWN, RARE = 0, 1


@dataclass(frozen=True)
class FeatureSettings:
    """How the columns of the users' table become numbers.

    Attributes:
        columns: Type of further columns, or another type for a known one: categorical, numeric, bucketised or
            ignore. age, account_age_days, country, gender and favorite_category are known.
        user_id: Whether each user of the training gets a trained vector of his own.
        least_count: Users that a value must have; values with fewer share one place, rare.
        one_hot: Values up to which a column is one-hot; one with more gets an embedding.
        buckets: Buckets, of equally many users, of a bucketised column.
    """

    columns: dict[str, Kind] = field(default_factory=dict)
    user_id: bool = True
    least_count: int = 5
    one_hot: int = 32
    buckets: int = 8

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, least in (("least_count", 1), ("one_hot", 1), ("buckets", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"features.{name} is {getattr(self, name)}; it must be at least {least}.")
        if "user_id" in self.columns:
            raise ConfigError(
                "features.columns names user_id; switch it with --features.user_id true or false."
            )

    def kind_of(self, name: str) -> Kind:
        """Return how a column is read; one that nobody typed is ignored."""
        return self.columns.get(name, KNOWN_COLUMNS.get(name, "ignore"))


@dataclass(frozen=True)
class Column:
    """One column, learned.

    Attributes:
        name: Its name in the users' table.
        kind: How it is read; "user_id" for the user himself.
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

    @property
    def size(self) -> int:
        """Places of a column of codes: 0 unknown, 1 rare (categorical), and the values."""
        if self.kind == "bucketised":
            return len(self.edges) + 2
        return len(self.values) + (1 if self.kind == "user_id" else 2)


class Encoded(NamedTuple):
    """Users as numbers."""

    codes: NDArray[np.int64]
    """Places in the vocabularies and buckets, (users, columns of codes)."""
    numbers: NDArray[np.float32]
    """Each numeric column twice: standardised, 0 where missing; and 1 where missing. (users, 2 x columns)."""


class UserFeatures:
    """Turns rows of a users' table, or dicts, into numbers.

    Attributes:
        columns: What was learned of each column, in the order of their names; the user himself last.
        one_hot: Values up to which a column is one-hot.
    """

    def __init__(self, columns: Sequence[Column], one_hot: int) -> None:
        self.columns, self.one_hot = tuple(columns), one_hot
        self.coded = tuple(column for column in self.columns if column.kind != "numeric")
        self.numeric = tuple(column for column in self.columns if column.kind == "numeric")
        first = {"user_id": 1}
        self._places = {
            column.name: {
                value: place for place, value in enumerate(column.values, first.get(column.kind, 2))
            }
            for column in self.coded
        }

    def __repr__(self) -> str:
        """Show the columns and their sizes."""
        return f"UserFeatures({', '.join(f'{column.name}: {column.kind}' for column in self.columns)})"

    @classmethod
    def fit(cls, users: pa.Table | None, user_ids: Sequence[str], settings: FeatureSettings) -> UserFeatures:
        """Learn vocabularies and statistics from users that are trained on.

        Args:
            users: Table with user_id and further columns, or None; rows of other users are left out.
            user_ids: Users with a play to train on.
            settings: How columns are read.

        Raises:
            ConfigError: If the settings type a column that is not there.
            DataError: If a numeric column holds something else.
        """
        names = [] if users is None else [name for name in users.column_names if name != "user_id"]
        if absent := sorted(set(settings.columns) - set(names)):
            raise ConfigError(
                f"features.columns types {', '.join(absent)}, but the users' table has "
                f"{', '.join(names) or 'no column beside user_id'}. Name a column that is there."
            )
        columns = []
        if users is not None:
            known = set(user_ids)
            kept = [row for row in users.to_pylist() if row["user_id"] in known]
            for name in sorted(names):
                kind = settings.kind_of(name)
                if kind != "ignore":
                    columns.append(_learn(name, kind, [row[name] for row in kept], settings))
        if settings.user_id:
            columns.append(Column("user_id", "user_id", values=tuple(sorted(set(user_ids)))))
        return cls(columns, settings.one_hot)

    def encode(self, fields: pa.Table | Sequence[Mapping[str, Any]]) -> Encoded:
        """Turn users into numbers; columns and values that are missing or new are unknown.

        Raises:
            DataError: If a number is not one; the row and column are named.
        """
        rows = fields.num_rows if isinstance(fields, pa.Table) else len(fields)

        def values_of(name: str) -> list[Any]:
            if isinstance(fields, pa.Table):
                return fields[name].to_pylist() if name in fields.column_names else [None] * rows
            return [entry.get(name) for entry in fields]

        codes = np.zeros((rows, len(self.coded)), np.int64)
        for place, column in enumerate(self.coded):
            values = values_of(column.name)
            if column.kind == "bucketised":
                numbers = _numbers(column.name, values)
                known = ~np.isnan(numbers)
                codes[known, place] = 1 + np.searchsorted(column.edges, numbers[known], side="left")
            else:
                table, other = self._places[column.name], RARE if column.rare else UNKNOWN
                codes[:, place] = [
                    UNKNOWN if (text := _text(value)) is None else table.get(text, other) for value in values
                ]
        parts = np.zeros((rows, 2 * len(self.numeric)), np.float32)
        for place, column in enumerate(self.numeric):
            numbers = _numbers(column.name, values_of(column.name))
            missing = np.isnan(numbers)
            standard = np.clip((numbers - column.mean) / column.std, -5.0, 5.0)
            parts[:, 2 * place] = np.where(missing, 0.0, standard)
            parts[:, 2 * place + 1] = missing
        return Encoded(codes, parts)

    @property
    def user_place(self) -> int:
        """Column of codes that holds the user himself, or -1."""
        return len(self.coded) - 1 if self.coded and self.coded[-1].kind == "user_id" else -1

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"one_hot": self.one_hot, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> UserFeatures:
        """Read what `to_json` wrote.

        Raises:
            DataError: If an entry is missing or unknown.
        """
        try:
            columns = [
                Column(**{**entry, "values": tuple(entry["values"]), "edges": tuple(entry["edges"])})
                for entry in value["columns"]
            ]
            return cls(columns, int(value["one_hot"]))
        except (KeyError, TypeError) as error:
            raise DataError(f"features.json: {error} is missing or unknown. Take another copy.") from error


def _learn(name: str, kind: Kind, values: list[Any], settings: FeatureSettings) -> Column:
    if kind == "categorical":
        counts = Counter(text for value in values if (text := _text(value)) is not None)
        kept = sorted(value for value, count in counts.items() if count >= settings.least_count)
        return Column(name, kind, values=tuple(kept), rare=len(kept) < len(counts))
    numbers = _numbers(name, values)
    numbers = numbers[~np.isnan(numbers)]
    if kind == "numeric":
        if not len(numbers):
            return Column(name, kind)
        return Column(name, kind, mean=float(numbers.mean()), std=float(numbers.std()) or 1.0)
    shares = np.arange(1, settings.buckets) / settings.buckets
    edges = np.unique(np.quantile(numbers, shares, method="lower")) if len(numbers) else np.zeros(0)
    return Column(name, kind, edges=tuple(float(edge) for edge in edges))


def _text(value: Any) -> str | None:
    """Return a categorical value as text; None where it is unknown. 1.0 and 1 are the same value."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _numbers(name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    """Return a column as float64, NaN where it is missing."""
    out = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None or value == "":
            continue
        try:
            out[row] = float(value)
        except (TypeError, ValueError):
            raise DataError(
                f"users row {row}, column {name}: {value!r} is no number. Leave it empty, or type the column "
                "categorical."
            ) from None
        if np.isinf(out[row]):
            out[row] = np.nan
    return out
