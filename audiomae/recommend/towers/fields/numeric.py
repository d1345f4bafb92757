"""A column of numbers, standardised; beside each stands whether it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.recommend.towers.fields.column import Column, Encoder, Limits, numbers_of

__all__ = ["NUMERIC"]

MOST = 5.0
"""Deviations from the mean that a number is brought down to."""


class _Numbers:
    coded = False

    def learn(self, name: str, values: Sequence[Any], limits: Limits) -> Column:  # noqa: ARG002
        """See `FieldType.learn`."""
        numbers = numbers_of(name, values)
        numbers = numbers[~np.isnan(numbers)]
        if not len(numbers):
            return Column(name, "numeric")
        return Column(name, "numeric", mean=float(numbers.mean()), std=float(numbers.std()) or 1.0)

    def places(self, column: Column) -> int:  # noqa: ARG002
        """See `FieldType.places`."""
        return 0

    def encoder(self, column: Column) -> Encoder:
        """See `FieldType.encoder`."""

        def encode(values: Sequence[Any]) -> NDArray[np.float32]:
            numbers = numbers_of(column.name, values)
            missing = np.isnan(numbers)
            standard = np.clip((numbers - column.mean) / column.std, -MOST, MOST)
            return np.stack([np.where(missing, 0.0, standard), missing], axis=1).astype(np.float32)

        return encode


NUMERIC = _Numbers()
