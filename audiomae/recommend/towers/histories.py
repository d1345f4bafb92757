"""What each user heard, and the part of it that may be looked at when a play is predicted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audiomae.listening.tables import Interactions

__all__ = ["Histories"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_DAY = 86_400.0


@dataclass(frozen=True)
class Histories:
    """Plays by user, as rows of a sparse matrix.

    Attributes:
        offsets: First play of each user, and the end of the last, int64 (users + 1,).
        items: Track codes; within a user oldest first, or, without time, lightest first. int32 (plays,).
        times: Seconds since 1970, int64 (plays,); None where the plays carry no time.
        weights: Weight of each play, float32 (plays,).
    """

    offsets: Ints
    items: NDArray[np.int32]
    times: Ints | None
    weights: Floats
    _keys: Ints | None = field(default=None, repr=False)
    """User and time in one sorted number, to find a moment in a user's plays."""
    _first: int = 0
    _span: int = 1

    @classmethod
    def build(cls, interactions: Interactions) -> Histories:
        """Sort plays by user; users without a play have an empty row."""
        users = interactions.users.astype(np.int64)
        if interactions.times is None:
            # Equal weights fall in an order that favours no id.
            scrambled = (interactions.tracks.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(
                17
            )
            order = np.lexsort((scrambled, interactions.weights, users))
        else:
            order = np.lexsort((interactions.tracks, interactions.times, users))
        counts = np.bincount(users, minlength=len(interactions.user_ids))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        items = interactions.tracks[order].astype(np.int32)
        weights = interactions.weights[order].astype(np.float32)
        if interactions.times is None:
            return cls(offsets, items, None, weights)
        times = interactions.times[order].astype(np.int64)
        first = int(times.min()) if len(times) else 0
        span = int(times.max()) - first + 2 if len(times) else 2
        return cls(offsets, items, times, weights, users[order] * span + (times - first), first, span)

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.offsets) - 1

    def heard(self, user: int) -> Ints:
        """Return the tracks of a user, sorted, each once."""
        return np.unique(self.items[self.offsets[user] : self.offsets[user + 1]]).astype(np.int64)

    def recent(
        self,
        users: Ints,
        before: Ints | None = None,
        without: Ints | None = None,
        longest: int = 50,
        half_life_days: float | None = 90.0,
    ) -> tuple[Ints, Floats]:
        """Return the last plays of some users, and what each weighs in their mean.

        Args:
            users: User codes, (n,).
            before: Seconds since 1970, (n,): only plays strictly earlier are seen. None, or plays without
                time, show them all.
            without: A track code for each user, (n,), whose plays are left out: the one to be predicted.
            longest: Plays to return at most, L.
            half_life_days: Age, counted from the newest play returned, at which a play weighs half; None
                weighs all ages alike.

        Returns:
            Track codes int64 (n, L), padded with 0, oldest first; and weights float32 (n, L) that sum to 1, 0
            where padded; all 0 for a user with nothing to show. A play of weight w counts as log(1 + w).

        Raises:
            ValueError: If `longest` is below 1.
        """
        if longest < 1:
            raise ValueError(f"longest is {longest}; a history holds at least 1 play.")
        users = np.asarray(users, dtype=np.int64)
        ends = self.offsets[users + 1]
        if before is not None and self._keys is not None:
            moments = np.clip(np.asarray(before, dtype=np.int64) - self._first, 0, self._span - 1)
            ends = np.searchsorted(self._keys, users * self._span + moments, side="left")
        window = longest if without is None else longest + 1
        places = ends[:, None] + np.arange(-window, 0)
        inside = places >= self.offsets[users][:, None]
        if not len(self.items):
            return np.zeros((len(users), longest), np.int64), np.zeros((len(users), longest), np.float32)
        places = np.where(inside, places, 0)
        items = self.items[places].astype(np.int64)
        if without is not None:
            inside &= items != np.asarray(without)[:, None]
            inside[:, 0] &= (
                inside[:, 1:].sum(axis=1) < longest
            )  # the spare play is there for the one left out
        weights = np.log1p(self.weights[places].astype(np.float64))
        if self.times is not None and half_life_days is not None:
            times = np.where(inside, self.times[places], np.iinfo(np.int64).min // 4)
            newest = times.max(axis=1, keepdims=True)
            ages = np.where(inside, (newest - times) / _DAY, 0.0)
            weights = weights * np.exp2(-ages / half_life_days)
        weights = np.where(inside, weights, 0.0)
        total = weights.sum(axis=1, keepdims=True)
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        items = np.where(inside, items, 0)
        if window > longest:
            # The oldest column is needed only in rows where a newer one fell out: move it into the gap.
            gap = np.argmin(inside[:, 1:], axis=1) + 1
            rows = np.flatnonzero(inside[:, 0])
            items[rows, gap[rows]], weights[rows, gap[rows]] = items[rows, 0], weights[rows, 0]
            items, weights = items[:, 1:], weights[:, 1:]
        return items, weights.astype(np.float32)
