"""Artists as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.listening.artists import split_artists

__all__ = ["Credits", "code_artists", "credit_artists"]


class Credits(NamedTuple):
    """The artists that each of some tracks names, guests too."""

    numbers: NDArray[np.int64]
    """Numbers of artists, track after track."""
    starts: NDArray[np.int64]
    """Where the numbers of each track begin, and their end, (tracks + 1,)."""

    def of(self, row: int) -> list[int]:
        """Return the artists of a track; none where they are unknown."""
        artists: list[int] = self.numbers[self.starts[row] : self.starts[row + 1]].tolist()
        return artists


def credit_artists(names: Sequence[str] | pa.ChunkedArray) -> Credits:
    """Number the artists that tracks name: "A feat. B", "A & B" and "A; B" are of A and of B.

    Args:
        names: Artist of each track as its tag has it, "" where unknown.

    Example:
        >>> credits = credit_artists(["a", "b & a", ""])
        >>> credits.of(0), credits.of(1), credits.of(2)
        ([0], [1, 0], [])
    """
    texts: list[str] = names.to_pylist() if isinstance(names, pa.ChunkedArray) else list(names)
    split = {text: split_artists(text) for text in dict.fromkeys(texts)}
    artists = dict.fromkeys(name for several in split.values() for name in several)
    number = {name: place for place, name in enumerate(artists)}
    coded = {text: [number[name] for name in several] for text, several in split.items()}
    counts = np.array([len(coded[text]) for text in texts], np.int64)
    numbers = np.array([one for text in texts for one in coded[text]], np.int64)
    return Credits(numbers, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def code_artists(names: Sequence[str] | pa.ChunkedArray) -> NDArray[np.int64]:
    """Number the artists in the order in which they come first; tracks of one artist share a number.

    Args:
        names: Artist of each track, "" where unknown.

    Returns:
        A number a track, -1 where the artist is unknown, (tracks,).

    Example:
        >>> code_artists(["b", "", "a", "b"]).tolist()
        [0, -1, 1, 0]
    """
    given = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else pa.array(names, pa.string())
    coded = given.dictionary_encode()
    codes: NDArray[np.int64] = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    named = np.array([bool(name) for name in coded.dictionary.to_pylist()], np.bool_)
    number = np.where(named, np.cumsum(named) - 1, -1)
    return number[codes] if len(number) else codes
