"""Running sums of vectors, and the directions in which they differ most."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import DataError

__all__ = ["SMALLEST_SHARE", "Moments"]

SMALLEST_SHARE = 1e-7
"""A direction with less than this share of the largest variance is rounding noise in float32."""


class Moments:
    """Running sums of vectors, in float64, around the first block's mean."""

    def __init__(self) -> None:
        self.count = 0
        self.origin = self.total = np.zeros(0)
        self.products = self.between = np.zeros((0, 0))

    @classmethod
    def of_tracks(cls, tracks: Iterable[NDArray[np.floating]]) -> Moments:
        """Take in the vectors of one track after another, each (clips, d)."""
        moments = cls()
        for block in tracks:
            moments.add(block, together=True)
        return moments

    def add(self, block: NDArray[np.floating], *, together: bool = False) -> None:
        """Take in (vectors, d); `together` says that they belong to one track."""
        if not self.count:
            width = block.shape[1]
            self.origin = block.mean(axis=0, dtype=np.float64)
            self.total, self.products = np.zeros(width), np.zeros((width, width))
            self.between = np.zeros((width, width))
        # Around the first block's mean: no cancellation when the mean is far from zero.
        shifted = block.astype(np.float64) - self.origin
        total = shifted.sum(axis=0)
        self.count += len(shifted)
        self.total += total
        self.products += shifted.T @ shifted
        if together:
            self.between += np.outer(total, total) / len(shifted)

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean of the vectors."""
        return np.asarray(self.origin + self.total / self.count, dtype=np.float32)

    @property
    def within(self) -> NDArray[np.float64]:
        """Covariance of the vectors around their tracks' means."""
        return np.asarray((self.products - self.between) / self.count)

    def leading_directions(
        self, dims: int, *, at_most: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the principal directions of the standardised vectors, (d, dims), and their variances.

        The directions take vectors as they come: standardisation is folded in.
        """
        most = min(self.count - 1, len(self.total))
        dims = min(dims, most) if at_most else dims
        if not 1 <= dims <= most:
            raise DataError(
                f"whitening to {dims} dimensions needs {dims + 1} clips and vectors of {dims} entries; there are "
                f"{self.count} clips of {len(self.total)}. Use --whiten {max(1, most)} or fewer, or more songs."
            )
        centre = self.total / self.count
        covariance = self.products / self.count - np.outer(centre, centre)
        deviation = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
        alive = deviation > SMALLEST_SHARE * max(deviation.max(), 1e-30)
        scale = np.where(alive, 1.0 / np.where(alive, deviation, 1.0), 0.0)
        variances, directions = np.linalg.eigh(covariance * scale[:, None] * scale[None, :])
        variances, directions = variances[::-1][:dims], directions[:, ::-1][:, :dims]
        rank = int((variances > SMALLEST_SHARE * variances[0]).sum())
        if at_most and rank:
            variances, directions = variances[:rank], directions[:, :rank]
        elif rank < dims:
            raise DataError(
                f"the {self.count} vectors differ in {rank} directions only; whitening to {dims} would blow up "
                f"noise. Use --whiten {rank} or fewer."
            )
        # The sign of a direction is arbitrary: let its largest entry be positive.
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.sign(directions[largest, np.arange(len(variances))])
        return scale[:, None] * directions, variances
