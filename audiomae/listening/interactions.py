"""Plays as arrays: codes of users and tracks, times and weights, sorted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from audiomae.disk.files import fingerprint_of, write_atomically
from audiomae.errors import DataError

__all__ = ["Interactions"]

WRITTEN_ROWS = 1 << 20


@dataclass(frozen=True)
class Interactions:
    """Plays, sorted by time, user and track; of rows equal in all three, the one of most weight is kept.

    Where there is no time, a row is a play or some: rows of one user and track are one, with the sum of their weights.

    Attributes:
        user_ids: Users, sorted, each once; a user's code is his place.
        track_ids: Tracks, sorted, each once; a track's code is its place.
        users: Code of the user, int32 (plays,).
        tracks: Code of the track, int32 (plays,).
        times: Seconds since 1970-01-01 UTC, int64 (plays,); None where the table has no time.
        weights: Weight, above 0, float32 (plays,); 1 where the table has none.
    """

    user_ids: list[str]
    track_ids: list[str]
    users: NDArray[np.int32]
    tracks: NDArray[np.int32]
    times: NDArray[np.int64] | None
    weights: NDArray[np.float32]

    @classmethod
    def build(
        cls,
        user_ids: Sequence[str],
        track_ids: Sequence[str],
        users: NDArray[Any],
        tracks: NDArray[Any],
        times: NDArray[Any] | None = None,
        weights: NDArray[Any] | None = None,
    ) -> Interactions:
        """Sort plays and drop duplicates; without times, sum their weights.

        Args:
            user_ids: Name of each user code, unique, in any order; the result's codes follow sorted names.
            track_ids: Name of each track code.
            users: Codes, integers (plays,).
            tracks: Codes, integers (plays,).
            times: Seconds since 1970, integers (plays,).
            weights: Weights (plays,); 1 without.
        """
        user_ids, users = _sort_names(user_ids, users)
        track_ids, tracks = _sort_names(track_ids, tracks)
        when = None if times is None else np.asarray(times, dtype=np.int64)
        given = np.ones(len(users), np.float32) if weights is None else np.asarray(weights, dtype=np.float32)
        alike = bool(len(given)) and bool((given == given[0]).all())
        earliest = 0 if when is None or not len(when) else int(when.min())
        span = 1 if when is None or not len(when) else int(when.max()) - earliest + 1
        if span * len(user_ids) * len(track_ids) >= 2**63:
            return cls(user_ids, track_ids, *_sort_columns(users, tracks, when, given))
        # One number a row stands for time, user and track: a single sort, with little memory.
        sizes = len(user_ids), len(track_ids)
        key = _number_rows(users, tracks, None if when is None else when - earliest, sizes)
        del users, tracks, when
        if alike:
            key.sort()
        else:
            order = np.argsort(key, kind="stable")
            key, given = key[order], given[order]
        fresh = np.ones(len(key), dtype=bool)
        np.not_equal(key[1:], key[:-1], out=fresh[1:])
        if not fresh.all():
            starts = np.flatnonzero(fresh)
            if times is None:
                given = _sum_of(given, starts)
            else:
                given = given[: len(starts)] if alike else np.maximum.reduceat(given, starts)
            key = key[fresh]
        users, tracks, key = _split_numbers(key, sizes)
        key += earliest
        return cls(user_ids, track_ids, users, tracks, None if times is None else key, given)

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        timed = "no times" if self.times is None else "timed"
        return f"Interactions({len(self)} plays, {len(self.user_ids)} users × {len(self.track_ids)} tracks, {timed})"

    def select(self, mask_or_rows: NDArray[np.bool_] | NDArray[np.integer[Any]]) -> Interactions:
        """Return some of the plays, in the same order and with the same vocabularies.

        Args:
            mask_or_rows: Boolean (plays,), or row numbers.
        """
        chosen = np.asarray(mask_or_rows)
        if chosen.dtype != bool:
            chosen = np.sort(chosen)
        times = None if self.times is None else self.times[chosen]
        kept = self.users[chosen], self.tracks[chosen], times, self.weights[chosen]
        return Interactions(self.user_ids, self.track_ids, *kept)

    def align(self, track_ids: Sequence[str], user_ids: Sequence[str] | None = None) -> Interactions:
        """Return the plays with codes that are places in the given lists; others are dropped.

        Args:
            track_ids: All tracks, sorted, such as those of a content table.
            user_ids: All users, sorted; those of these plays by default.

        Raises:
            DataError: If a list is not sorted or names one twice.
        """
        users, tracks = self.users, self.tracks
        names = self.user_ids if user_ids is None else list(user_ids)
        if user_ids is not None:
            users = _places(self.user_ids, names)[users]
        tracks = _places(self.track_ids, list(track_ids))[tracks]
        kept = (users >= 0) & (tracks >= 0)
        times = None if self.times is None else self.times[kept]
        return Interactions(names, list(track_ids), users[kept], tracks[kept], times, self.weights[kept])

    def pairs(self) -> sparse.csr_matrix:
        """Return summed weights as a sparse float32 matrix, (users, tracks)."""
        shape = len(self.user_ids), len(self.track_ids)
        return sparse.csr_matrix((self.weights, (self.users, self.tracks)), shape=shape, dtype=np.float32)

    @cached_property
    def fingerprint(self) -> str:
        """What stands for the plays and both vocabularies."""
        arrays: list[NDArray[Any]] = [
            self.users,
            self.tracks,
            self.weights,
            *([] if self.times is None else [self.times]),
        ]
        return fingerprint_of(self.user_ids, self.track_ids, *(array.tobytes() for array in arrays))

    def write(self, path: Path | str) -> None:
        """Write Parquet with user_id, track_id, timestamp (null where there is none) and weight.

        Raises:
            StorageError: If the disk refuses.
        """
        fields = [("user_id", pa.string()), ("track_id", pa.string())]
        schema = pa.schema([*fields, ("timestamp", pa.int64()), ("weight", pa.float32())])
        users, tracks = pa.array(self.user_ids, pa.string()), pa.array(self.track_ids, pa.string())
        with write_atomically(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
            for first in range(0, len(self), WRITTEN_ROWS):
                part = slice(first, first + WRITTEN_ROWS)
                rows = len(self.users[part])
                times = pa.nulls(rows, pa.int64()) if self.times is None else pa.array(self.times[part])
                columns = [users.take(pa.array(self.users[part])), tracks.take(pa.array(self.tracks[part]))]
                writer.write_table(pa.table([*columns, times, pa.array(self.weights[part])], schema=schema))


def _number_rows(
    users: NDArray[np.int32],
    tracks: NDArray[np.int32],
    times: NDArray[np.int64] | None,
    sizes: tuple[int, int],
) -> NDArray[np.int64]:
    """One number a row, in the order of time, user and track; `sizes` is how many users and tracks there are."""
    key = users.astype(np.int64)
    key *= sizes[1]
    key += tracks
    if times is not None:
        key += times * (sizes[0] * sizes[1])
    return key


def _split_numbers(
    key: NDArray[np.int64], sizes: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Users, tracks and times of such numbers, which become the times in place."""
    tracks = (key % max(1, sizes[1])).astype(np.int32)
    key //= max(1, sizes[1])
    users = (key % max(1, sizes[0])).astype(np.int32)
    key //= max(1, sizes[0])
    return users, tracks, key


def _sort_columns(
    users: NDArray[np.int32],
    tracks: NDArray[np.int32],
    times: NDArray[np.int64] | None,
    weights: NDArray[np.float32],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64] | None, NDArray[np.float32]]:
    """Sort plays and drop duplicates where one number cannot stand for a row."""
    order = np.lexsort((-weights, tracks, users) if times is None else (-weights, tracks, users, times))
    users, tracks, weights = users[order], tracks[order], weights[order]
    kept = np.ones(len(users), dtype=bool)
    kept[1:] = (users[1:] != users[:-1]) | (tracks[1:] != tracks[:-1])
    if times is None:
        return users[kept], tracks[kept], None, _sum_of(weights, np.flatnonzero(kept))
    times = times[order]
    kept[1:] |= times[1:] != times[:-1]
    return users[kept], tracks[kept], times[kept], weights[kept]


def _sum_of(weights: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sums of the weights from each start to the next, at most what float32 holds."""
    if not len(starts):
        return weights
    sums = np.add.reduceat(weights.astype(np.float64), starts)
    return np.minimum(sums, np.finfo(np.float32).max).astype(np.float32)


def _sort_names(names: Sequence[str], codes: NDArray[Any]) -> tuple[list[str], NDArray[np.int32]]:
    order = sorted(range(len(names)), key=names.__getitem__)
    places = np.empty(len(names), dtype=np.int32)
    places[order] = np.arange(len(names), dtype=np.int32)
    return [names[place] for place in order], places[np.asarray(codes, dtype=np.int64)]


def _places(names: Sequence[str], among: list[str]) -> NDArray[np.int32]:
    """Place of each name in a sorted list, -1 where it is not there."""
    if any(first >= second for first, second in itertools.pairwise(among)):
        raise DataError(f"the list of {len(among)} ids is not sorted, or names one twice. Sort it first.")
    places = {name: place for place, name in enumerate(among)}
    return np.array([places.get(name, -1) for name in names], dtype=np.int32)
