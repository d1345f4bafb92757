"""Users as a recommender meets them: those it knows, those described by fields, and songs that somebody likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.checks import close_to
from audiomae.errors import DataError
from audiomae.listening.tables import Interactions
from audiomae.recommend.catalogue.catalogue import Catalogue
from audiomae.recommend.catalogue.mapped_rows import take_rows
from audiomae.recommend.ranking.features import UserProfile
from audiomae.recommend.towers.histories import Histories
from audiomae.recommend.towers.model import TowerModel

__all__ = ["UserReader", "Users"]

_BLOCK = 512


class Users(NamedTuple):
    """Some users, ready to be given lists."""

    names: list[str]
    """User ids; "new" for one who has none."""
    vectors: NDArray[np.float32]
    """Of length 1, (users, dim)."""
    known: list[UserProfile]
    """What is known of each."""
    heard: list[NDArray[np.int64]]
    """Rows of the tracks each has heard, sorted."""

    def choose(self, places: NDArray[np.int64]) -> Users:
        """Return some of them, in this order."""
        chosen = places.tolist()
        return Users(
            [self.names[place] for place in chosen],
            self.vectors[places],
            [self.known[place] for place in chosen],
            [self.heard[place] for place in chosen],
        )


class UserReader:
    """Turns ids, fields and liked songs into users.

    Args:
        model: The towers.
        catalogue: The items.
        plays: All that is known to have been played; track codes are rows of the catalogue.
        users: Table of the users' fields, user_id first.
    """

    def __init__(self, model: TowerModel, catalogue: Catalogue, plays: Interactions, users: pa.Table) -> None:
        """Sort the plays by user."""
        self.model = model
        self.catalogue = catalogue
        self.plays = plays
        self.histories = Histories.build(plays)
        self.users = users
        self._row_of = {name: row for row, name in enumerate(users["user_id"].to_pylist())}
        self._code_of = {name: code for code, name in enumerate(plays.user_ids)}

    @property
    def names(self) -> list[str]:
        """Every user there is, sorted."""
        return sorted(self._row_of.keys() | self._code_of.keys())

    def known(self, names: Sequence[str]) -> Users:
        """Return users by id.

        Raises:
            DataError: If an id is unknown.
        """
        for name in names:
            if name not in self._row_of and name not in self._code_of:
                close = close_to(name, self.names)
                hint = f"{close} Describe" if close else "Describe"
                raise DataError(
                    f"user {name!r} is not among the {len(self.names)} known. {hint} a new one: --new "
                    "'{\"age\": 30}' (or '{}'), or --liked TRACK,TRACK."
                )
        rows = pa.array([self._row_of.get(name) for name in names], pa.int64())
        fields = self.users.take(rows).set_column(0, "user_id", pa.array(list(names), pa.string()))
        codes = np.array([self._code_of.get(name, -1) for name in names], dtype=np.int64)
        return self._build(list(names), fields, self.histories, codes)

    def new(self, fields: Mapping[str, Any], liked: Sequence[str] = ()) -> Users:
        """Return one user who has no id.

        Args:
            fields: What is known of them, such as age; the rest is unknown.
            liked: Songs that they like, by id, end of the path or title; they count as heard.

        Raises:
            DataError: If a field or track is unknown, or a number is not one.
        """
        columns = [column.name for column in self.model.features.columns if column.kind != "user_id"]
        known = {*columns, *self.users.column_names} - {"user_id"}
        for name in fields:
            if name not in known:
                there = ", ".join(sorted(known)) or "no field at all; give --new '{}'"
                raise DataError(
                    f"field {name!r} is not one that the towers know of users. They know {there}."
                )
        rows = np.array(list(dict.fromkeys(map(self.catalogue.find, liked))), dtype=np.int32)
        ones = np.ones(len(rows), np.float32)
        plays = Interactions(["new"], self.plays.track_ids, np.zeros_like(rows), rows, None, ones)
        code = np.array([0 if len(rows) else -1])
        return self._build(["new"], [dict(fields)], Histories.build(plays), code)

    def _build(
        self,
        names: list[str],
        fields: pa.Table | list[dict[str, Any]],
        histories: Histories,
        codes: NDArray[np.int64],
    ) -> Users:
        vectors = np.empty((len(names), self.model.dim), np.float32)
        known: list[UserProfile] = []
        heard: list[NDArray[np.int64]] = []
        for first in range(0, len(names), _BLOCK):
            part = slice(first, first + _BLOCK)
            history = histories.read(codes[part], self.model.config)
            past = history.mean(take_rows(self.catalogue.history, history.tracks)).astype(np.float32)
            block = fields.slice(first, _BLOCK) if isinstance(fields, pa.Table) else fields[part]
            vectors[part] = self.model.embed_users(block, past, history.there)
            for place, code in enumerate(codes[part].tolist()):
                rows, weights = histories.plays_of(code)
                recent = np.unique(history.tracks[place][history.weights[place] > 0])
                known.append(UserProfile(vectors[first + place], recent, rows, weights))
                heard.append(np.unique(rows))
        return Users(names, vectors, known, heard)
