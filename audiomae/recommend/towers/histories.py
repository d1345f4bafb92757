"""What each user played, and the part of it that may be looked at when a play is predicted.

`Histories.read` is the one place where a user's history is made: for training examples, for the check on the validation
slice, for the ranker's candidates and features, and for users who are served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomae.listening.tables import Interactions
from audiomae.recommend.towers.settings import TowerSettings

__all__ = ["Histories"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_DAY = 86_400.0


class History(NamedTuple):
    """The last plays of some users, and what each weighs."""

    tracks: Ints
    """Track codes, (users, longest), padded with 0."""
    weights: Floats
    """What each weighs in the mean, (users, longest): they sum to 1, or are all 0 for a user without a play to show."""

    @property
    def there(self) -> NDArray[np.bool_]:
        """Whether a user has any play to show, (users,)."""
        return np.asarray(self.weights.sum(axis=1) > 0)

    def mean(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the weighted mean of what a play adds, (users, values), from a row a play, (users, longest, values).

        Summed in float64, so that a mean does not depend on the users beside.
        """
        mean: NDArray[np.float64] = (rows.astype(np.float64) * self.weights[:, :, None]).sum(axis=1)
        return mean


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

    def read(
        self, users: Ints, settings: TowerSettings, *, before: Ints | None = None, without: Ints | None = None
    ) -> History:
        """Return the last plays of some users, and what each weighs in their mean: what the towers see of them.

        Args:
            users: User codes, (n,); −1 is a user without a play.
            settings: How many plays a history holds, and the age, counted from the newest of them, at which a play
                weighs half.
            before: Seconds since 1970, (n,): the moment of the history, which sees only plays strictly earlier. None,
                or plays without time, show them all.
            without: A track code for each user, (n,), whose plays are left out: the one to be predicted.

        Returns:
            Oldest play first. A play of weight w counts as log(1 + w).
        """
        users, longest = np.asarray(users, dtype=np.int64), settings.longest
        if not len(self.items):
            return History(
                np.zeros((len(users), longest), np.int64), np.zeros((len(users), longest), np.float32)
            )
        ends = self.offsets[users + 1]
        if before is not None and self._keys is not None:
            moments = np.clip(np.asarray(before, dtype=np.int64) - self._first, 0, self._span - 1)
            ends = np.searchsorted(self._keys, users * self._span + moments, side="left")
        window = longest if without is None else longest + 1
        places = ends[:, None] + np.arange(-window, 0)
        inside = (places >= self.offsets[users][:, None]) & (users >= 0)[:, None]
        places = np.where(inside, places, 0)
        items = self.items[places].astype(np.int64)
        if without is not None:
            inside &= items != np.asarray(without)[:, None]
            # The spare play is there for the one left out.
            inside[:, 0] &= inside[:, 1:].sum(axis=1) < longest
        weights = self._weigh(places, inside, settings.half_life_days)
        items = np.where(inside, items, 0)
        if window > longest:
            # The oldest column is needed only in rows where a newer one fell out: move it into the gap.
            gap = np.argmin(inside[:, 1:], axis=1) + 1
            rows = np.flatnonzero(inside[:, 0])
            items[rows, gap[rows]], weights[rows, gap[rows]] = items[rows, 0], weights[rows, 0]
            items, weights = items[:, 1:], weights[:, 1:]
        return History(items, weights.astype(np.float32))

    def _weigh(self, places: Ints, inside: NDArray[np.bool_], half_life_days: float) -> NDArray[np.float64]:
        """Return what each play weighs among those of its row; 0 outside."""
        weights = np.log1p(self.weights[places].astype(np.float64))
        if self.times is not None and half_life_days:
            times = np.where(inside, self.times[places], np.iinfo(np.int64).min // 4)
            newest = times.max(axis=1, keepdims=True)
            ages = np.where(inside, (newest - times) / _DAY, 0.0)
            weights = weights * np.exp2(-ages / half_life_days)
        weights = np.where(inside, weights, 0.0)
        total = weights.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        return shares

    def plays_of(self, user: int) -> tuple[Ints, Floats]:
        """Return the track and the weight of every play of a user, (plays,) each; none for user −1."""
        span = slice(self.offsets[user], self.offsets[user + 1]) if user >= 0 else slice(0)
        return self.items[span].astype(np.int64), self.weights[span]
