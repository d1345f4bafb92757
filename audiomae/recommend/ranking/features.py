"""What the ranker sees of a user and a candidate. Only plays that the caller hands in are looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURES", "Items", "UserProfile", "describe_candidates", "hide_plays"]

FEATURES = (
    "retrieval",
    "cosine",
    "popularity",
    "age_days",
    "recent_max",
    "recent_mean",
    "artist_share",
    "activity",
)
"""Columns of the ranker's table, in this order."""

_OF_PLAYS = np.array([FEATURES.index(name) for name in ("retrieval", "popularity", "age_days")])
"""Columns that say how often and since when a track was played."""

_DAY = 86_400.0


class Items(NamedTuple):
    """What is known of the items, row by row of the catalogue."""

    unit: NDArray[np.float32]
    """Item vectors of length 1, (items, dim)."""
    plays: NDArray[np.int64]
    """Plays among those trained on, (items,)."""
    first_seen: NDArray[np.int64]
    """Second of the first play, -1 unknown, (items,)."""
    artists: NDArray[np.int64]
    """Number of the artist, -1 unknown, (items,)."""
    now: int | None
    """Second at which the list is made; ages are unknown without."""


class UserProfile(NamedTuple):
    """What is known of one user when the list is made."""

    vector: NDArray[np.float32]
    """User vector of length 1, (dim,)."""
    recent: NDArray[np.int64]
    """Rows of the last plays, (recent,)."""
    heard: NDArray[np.int64]
    """Row of every play, (plays,)."""
    weights: NDArray[np.float32]
    """Weight of every play, above 0, (plays,)."""


def describe_candidates(
    items: Items, user: UserProfile, rows: NDArray[np.int64], scores: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the ranker's table for one user.

    Args:
        items: The catalogue.
        user: The user.
        rows: Candidates, (candidates,).
        scores: Their retrieval scores, (candidates,).

    Returns:
        (candidates, len(FEATURES)): retrieval score; cosine with the user; log(1 + plays); days since the first
        play (these, but the cosine, are NaN for a track without a play: they say nothing of it); largest and mean
        cosine with the recent plays, NaN without; share of the user's plays that are of the candidate's artist (a
        play of weight w counts as log(1 + w)), NaN without; log(1 + plays of the user).
    """
    table = np.full((len(rows), len(FEATURES)), np.nan)
    unit = items.unit[rows].astype(np.float64)
    table[:, 0] = scores
    table[:, 1] = np.einsum("ij,j->i", unit, user.vector.astype(np.float64))
    table[:, 2] = np.log1p(items.plays[rows])
    if items.now is not None:
        seen = items.first_seen[rows]
        table[:, 3] = np.where(seen >= 0, np.maximum(items.now - seen, 0) / _DAY, np.nan)
    if len(user.recent):
        cosines = unit @ items.unit[user.recent].astype(np.float64).T
        table[:, 4], table[:, 5] = cosines.max(axis=1), cosines.mean(axis=1)
    if len(user.heard):
        table[:, 6] = _artist_shares(items.artists, user, rows)
    table[:, 7] = np.log1p(len(user.heard))
    table[np.ix_(items.plays[rows] == 0, _OF_PLAYS)] = np.nan
    return table.astype(np.float32)


def hide_plays(
    table: NDArray[np.float32], share: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return the table with a random share of its candidates as if nobody had played them.

    Trees that are trained on it learn what to do with tracks nobody has played, as towers do whose id embeddings are
    dropped (Volkovs et al. 2017, DropoutNet).

    Args:
        table: (candidates, len(FEATURES)).
        share: Share of candidates, in [0, 1].
        generator: Source of randomness.
    """
    hidden = table.copy()
    hidden[np.ix_(generator.random(len(table)) < share, _OF_PLAYS)] = np.nan
    return hidden


def _artist_shares(
    artists: NDArray[np.int64], user: UserProfile, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    known, places = np.unique(artists[user.heard], return_inverse=True)
    weights = np.log1p(user.weights.astype(np.float64))
    shares = np.bincount(places, weights) / weights.sum()
    asked = artists[rows]
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where((known[place] == asked) & (asked >= 0), shares[place], 0.0)
