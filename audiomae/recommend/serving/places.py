"""Who gets the places of a list: at most so many songs of an artist, and songs that some places are kept for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiomae.recommend.artists import Credits

__all__ = ["first_of_each", "keep_places"]

Songs = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Rows of the catalogue, -1 past the end, and their scores; best first."""


def keep_places(
    listed: Songs, reserved: Songs, credits: Credits, per_artist: int | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return a list with all of some reserved songs in it; those that are not take the places of the last ones.

    Args:
        listed: The list, of k places.
        reserved: Songs that must be in it, at most k.
        credits: Artists of each row of the catalogue.
        per_artist: Songs of one artist at most; both lists keep to it.

    Returns:
        Rows and scores of k songs at most, best first; of equal scores, those of the list come first, in its order.
    """
    rows, scores = (np.concatenate([mine, theirs]) for mine, theirs in zip(reserved, listed, strict=True))
    _, firsts = np.unique(rows, return_index=True)
    chosen = np.sort(firsts[rows[firsts] >= 0])
    if per_artist is not None:
        chosen = chosen[first_of_each(credits, rows[chosen], per_artist)]
    chosen = chosen[: len(listed[0])]
    place_of = {row: place for place, row in enumerate(listed[0].tolist())}
    places = np.array([place_of.get(row, len(place_of)) for row in rows[chosen].tolist()], np.int64)
    chosen = chosen[np.lexsort((rows[chosen], places, -scores[chosen]))]
    return rows[chosen], scores[chosen]


def first_of_each(credits: Credits, rows: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Return which songs stay where an artist may have `most` of them, those in front first, (rows,).

    A song of several artists stays if each has room for it, and counts for each; one of no known artist always stays.

    Args:
        credits: Artists of each row of the catalogue.
        rows: Rows of the catalogue, best first.
        most: Songs of one artist.
    """
    firsts, counts = credits.starts[rows], credits.starts[rows + 1] - credits.starts[rows]
    if (counts <= 1).all():
        only = np.full(len(rows), -1, np.int64)
        only[counts == 1] = credits.numbers[firsts[counts == 1]]
        return first_of_number(only, most)
    ends = np.cumsum(counts)
    named = credits.numbers[np.arange(ends[-1]) + np.repeat(firsts - ends + counts, counts)].tolist()
    left = dict.fromkeys(named, most)
    stays, start = [], 0
    for end in ends.tolist():
        artists, start = named[start:end], end
        stays.append(all(left[artist] for artist in artists))
        if stays[-1]:
            for artist in artists:
                left[artist] -= 1
    return np.array(stays, np.bool_)


def first_of_number(artists: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Return which entries are among the first `most` of their number; -1 always is."""
    order = np.argsort(artists, kind="stable")
    ordered = artists[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-2))
    sizes = np.diff(np.append(starts, len(ordered)))
    nth = np.empty(len(artists), np.int64)
    nth[order] = np.arange(len(artists)) - np.repeat(starts, sizes)
    return (nth < most) | (artists < 0)
