"""Who gets the places of a list: at most so many songs of an artist, and songs that some places are kept for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["first_of_each", "keep_places"]

Songs = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Rows of the catalogue, -1 past the end, and their scores; best first."""


def keep_places(
    listed: Songs, reserved: Songs, artists: NDArray[np.int64], per_artist: int | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return a list with all of some reserved songs in it; those that are not take the places of the last ones.

    Args:
        listed: The list, of k places.
        reserved: Songs that must be in it, at most k.
        artists: Artist of each row of the catalogue, -1 unknown.
        per_artist: Songs of one artist at most; both lists keep to it.

    Returns:
        Rows and scores of k songs at most, best first; of equal scores, those of the list come first, in its order.
    """
    rows, scores = (np.concatenate([mine, theirs]) for mine, theirs in zip(reserved, listed, strict=True))
    _, firsts = np.unique(rows, return_index=True)
    chosen = np.sort(firsts[rows[firsts] >= 0])
    if per_artist is not None:
        chosen = chosen[first_of_each(artists[rows[chosen]], per_artist)]
    chosen = chosen[: len(listed[0])]
    place_of = {row: place for place, row in enumerate(listed[0].tolist())}
    places = np.array([place_of.get(row, len(place_of)) for row in rows[chosen].tolist()], np.int64)
    chosen = chosen[np.lexsort((rows[chosen], places, -scores[chosen]))]
    return rows[chosen], scores[chosen]


def first_of_each(artists: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Return which entries are among the first `most` of their number; -1 always is."""
    order = np.argsort(artists, kind="stable")
    ordered = artists[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-2))
    sizes = np.diff(np.append(starts, len(ordered)))
    nth = np.empty(len(artists), np.int64)
    nth[order] = np.arange(len(artists)) - np.repeat(starts, sizes)
    return (nth < most) | (artists < 0)
