"""A column of numbers cut into buckets of equally many users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.recommend.towers.fields.column import Column, Encoder, Limits, numbers_of

__all__ = ["BUCKETISED"]


class _Buckets:
    coded = True

    def learn(self, name: str, values: Sequence[Any], limits: Limits) -> Column:
        """See `FieldType.learn`."""
        numbers = numbers_of(name, values)
        numbers = numbers[~np.isnan(numbers)]
        shares = np.arange(1, limits.buckets) / limits.buckets
        edges = np.unique(np.quantile(numbers, shares, method="lower")) if len(numbers) else np.zeros(0)
        return Column(name, "bucketised", edges=tuple(float(edge) for edge in edges))

    def places(self, column: Column) -> int:
        """See `FieldType.places`."""
        return len(column.edges) + 2

    def encoder(self, column: Column) -> Encoder:
        """See `FieldType.encoder`."""

        def encode(values: Sequence[Any]) -> NDArray[np.int64]:
            numbers = numbers_of(column.name, values)
            known = ~np.isnan(numbers)
            places = np.zeros(len(numbers), np.int64)
            places[known] = 1 + np.searchsorted(column.edges, numbers[known], side="left")
            return places

        return encode


BUCKETISED = _Buckets()
