"""What is known of a user, as numbers: vocabularies and statistics, learned once and kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.checks import close_to, require, require_all
from audiomae.disk.records import as_record
from audiomae.errors import ConfigError, DataError
from audiomae.recommend.towers.fields.categorical import USER_ID
from audiomae.recommend.towers.fields.column import Column, Encoder, FieldType, Limits
from audiomae.recommend.towers.fields.registry import FIELD_TYPES

__all__ = ["Encoded", "FeatureSettings", "UserFeatures"]

KNOWN_COLUMNS = {
    "age": "bucketised",
    "account_age_days": "numeric",
    "country": "categorical",
    "gender": "categorical",
    "favorite_category": "categorical",
}
"""Columns that need no type in the settings."""

IGNORED = "ignore"


@dataclass(frozen=True)
class FeatureSettings:
    """How the columns of the users' table become numbers.

    Attributes:
        columns: Type of further columns, or another type for a known one: categorical, numeric, bucketised or
            ignore. age, account_age_days, country, gender and favorite_category are known.
        user_id: Whether each user of the training gets a trained vector, their id embedding.
        least_count: Users that a value must have; values with fewer share one place, rare.
        one_hot: Values up to which a column is one-hot; one with more gets an embedding.
        buckets: Buckets, of equally many users, of a bucketised column.
    """

    columns: dict[str, str] = field(default_factory=dict)
    user_id: bool = True
    least_count: int = 5
    one_hot: int = 32
    buckets: int = 8

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_all(self, "least_count", "one_hot", prefix="features.", least=1)
        require("features.buckets", self.buckets, least=2)
        for name, kind in self.columns.items():
            if kind != IGNORED and kind not in FIELD_TYPES:
                known = [*FIELD_TYPES, IGNORED]
                hint = close_to(kind, known, otherwise=f"There are {', '.join(known)}.")
                raise ConfigError(f"features.columns types {name} as {kind!r}, which is no type. {hint}")
        if "user_id" in self.columns:
            raise ConfigError(
                "features.columns names user_id; switch it with --features.user_id true or false."
            )

    def kind_of(self, name: str) -> str:
        """Return how a column is read; one that nobody typed is ignored."""
        return self.columns.get(name, KNOWN_COLUMNS.get(name, IGNORED))


class Encoded(NamedTuple):
    """Users as numbers."""

    codes: NDArray[np.int64]
    """Places in the vocabularies and buckets, (users, columns of codes)."""
    numbers: NDArray[np.float32]
    """Each numeric column twice: standardised, 0 where missing; and 1 where missing. (users, 2 x columns)."""


@dataclass(frozen=True)
class FeaturesFile:
    """What `features.json` must say of the columns."""

    one_hot: int
    columns: tuple[Column, ...]


class UserFeatures:
    """Turns rows of a users' table, or dicts, into numbers.

    Attributes:
        columns: What was learned of each column, in the order of their names; the user's id last.
        one_hot: Values up to which a column is one-hot.
        sizes: Places of each column of codes.
    """

    def __init__(self, columns: Sequence[Column], one_hot: int) -> None:
        self.columns, self.one_hot = tuple(columns), one_hot
        self.coded = tuple(column for column in self.columns if _type_of(column).coded)
        self.numeric = tuple(column for column in self.columns if not _type_of(column).coded)
        self.sizes = tuple(_type_of(column).places(column) for column in self.coded)
        self._encoders: dict[str, Encoder] = {
            column.name: _type_of(column).encoder(column) for column in self.columns
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
        limits = Limits(settings.least_count, settings.buckets)
        columns = []
        if users is not None:
            known = set(user_ids)
            kept = [row for row in users.to_pylist() if row["user_id"] in known]
            for name in sorted(names):
                kind = settings.kind_of(name)
                if kind != IGNORED:
                    columns.append(FIELD_TYPES[kind].learn(name, [row[name] for row in kept], limits))
        if settings.user_id:
            columns.append(USER_ID.learn("user_id", user_ids, limits))
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
            codes[:, place] = self._encoders[column.name](values_of(column.name))
        parts = np.zeros((rows, 2 * len(self.numeric)), np.float32)
        for place, column in enumerate(self.numeric):
            parts[:, 2 * place : 2 * place + 2] = self._encoders[column.name](values_of(column.name))
        return Encoded(codes, parts)

    @property
    def user_place(self) -> int:
        """Column of codes that holds the user's id, or -1."""
        return len(self.coded) - 1 if self.coded and self.coded[-1].kind == "user_id" else -1

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"one_hot": self.one_hot, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> UserFeatures:
        """Read what `to_json` wrote.

        Raises:
            DataError: If an entry is unknown or of another type.
            MissingError: If one is missing.
        """
        as_record(value, FeaturesFile, where="features.json")
        try:
            columns = [
                Column(**{**entry, "values": tuple(entry["values"]), "edges": tuple(entry["edges"])})
                for entry in value["columns"]
            ]
            return cls(columns, int(value["one_hot"]))
        except (KeyError, TypeError) as error:
            raise DataError(f"features.json: {error} is missing or unknown. Take another copy.") from error


def _type_of(column: Column) -> FieldType:
    return USER_ID if column.kind == "user_id" else FIELD_TYPES[column.kind]
