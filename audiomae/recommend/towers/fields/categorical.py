"""A column of words: each frequent value has a place, the rare ones share one. The user's id is such a column too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.recommend.towers.fields.column import RARE, UNKNOWN, Column, Encoder, Limits, text_of

__all__ = ["CATEGORICAL", "USER_ID"]


class _Words:
    """Args: first: Place of the first value."""

    coded = True

    def __init__(self, first: int) -> None:
        self.first = first

    def learn(self, name: str, values: Sequence[Any], limits: Limits) -> Column:
        """See `FieldType.learn`."""
        counts = Counter(text for value in values if (text := text_of(value)) is not None)
        kept = sorted(value for value, count in counts.items() if count >= limits.least_count)
        return Column(name, "categorical", values=tuple(kept), rare=len(kept) < len(counts))

    def places(self, column: Column) -> int:
        """See `FieldType.places`."""
        return len(column.values) + self.first

    def encoder(self, column: Column) -> Encoder:
        """See `FieldType.encoder`."""
        table = {value: place for place, value in enumerate(column.values, self.first)}
        other = RARE if column.rare else UNKNOWN

        def encode(values: Sequence[Any]) -> NDArray[np.int64]:
            texts = (text_of(value) for value in values)
            places = [UNKNOWN if text is None else table.get(text, other) for text in texts]
            return np.array(places, np.int64)

        return encode


class _Ids(_Words):
    def learn(self, name: str, values: Sequence[Any], limits: Limits) -> Column:  # noqa: ARG002
        """Give every user of the training a place."""
        return Column(name, "user_id", values=tuple(sorted(set(values))))


CATEGORICAL = _Words(2)
"""Place 0 is unknown, 1 rare."""
USER_ID = _Ids(1)
"""Place 0 is a user that the training did not meet."""
