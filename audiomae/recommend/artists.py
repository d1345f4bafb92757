"""Artists as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["code_artists"]


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
