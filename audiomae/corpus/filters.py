"""Which items a list may hold: those with the tags that were asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.checks import close_to
from audiomae.corpus.song import TAGS
from audiomae.errors import ConfigError, DataError

__all__ = ["Where", "having"]

Where = Mapping[str, str | Sequence[str]]
"""Tag → the value, or the values, that a song may have."""


def having(items: pa.Table, where: Where) -> NDArray[np.bool_]:
    """Return which items have the given tags, (items,); a genre "A|B" is both A and B.

    Args:
        items: A row an item, with its tags.
        where: Tags that an item must have; of several values of one tag any will do.

    Raises:
        ConfigError: If there is no such tag.
        DataError: If no item has one of the values.
    """
    allowed = np.ones(items.num_rows, dtype=bool)
    for name, given in where.items():
        if name not in TAGS:
            raise ConfigError(f"where names {name!r}; songs are chosen by {', '.join(TAGS)}.")
        column = items[name].combine_chunks().dictionary_encode()
        values = column.dictionary.to_pylist()
        pieces = [{value, *(part.strip() for part in re.split(r"[|;]", value))} for value in values]
        wanted = [given] if isinstance(given, str) else list(given)
        for value in wanted:
            if not any(value in one for one in pieces):
                hint = close_to(
                    value, set().union(*pieces), otherwise="Look at the tags in the table of tracks."
                )
                raise DataError(f"no song has {name} {value!r}. {hint}")
        fits = np.array([not one.isdisjoint(wanted) for one in pieces], dtype=bool)
        allowed &= fits[column.indices.to_numpy(zero_copy_only=False)]
    return allowed
