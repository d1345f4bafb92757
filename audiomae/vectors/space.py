"""The space in which songs are compared: entries standardised, softly whitened, hubs corrected.

Raw cosines of clip vectors lie close together, and a few songs are near to everything. On 412 tracks of game music
(precision of the ten nearest, three examples a query; docs/decisions.md) half of a PCA whitening finds .06 more of the
same composer than standardised entries do, and the correction .01 to .02 more, while the skewness of how often a song
is among the ten nearest falls from 1.97 to -0.10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomae.vectors.search import Standardiser, unit_rows

__all__ = ["SearchSpace"]

DIMS = 128
"""Entries that are kept, those with the largest spread."""
FITTED_ROWS = 5_000
"""Rows, at most, that the space is learned from: a seeded draw of larger collections."""
FEWEST = 50
"""Rows below which neighbours tell nothing of hubs, and cosines stay as they are."""
EXACT = 1_500
"""Rows or entries up to which the axes are computed exactly; beyond, by a seeded randomised decomposition."""


@dataclass(frozen=True)
class SearchSpace:
    """Axes learned from a collection, and the collection on them.

    Attributes:
        scale: Standardises entries; None where vectors are taken as they are.
        axes: What standardised entries are multiplied by, (dim, kept); None where they are taken as they are.
        units: The collection's rows, of length 1, (rows, kept).
        means: Mean cosine of each row with the others, (rows,).
        deviations: Their standard deviation, (rows,).
    """

    scale: Standardiser | None
    axes: NDArray[np.float32] | None
    units: NDArray[np.float32]
    means: NDArray[np.float32]
    deviations: NDArray[np.float32]

    @classmethod
    def fit(
        cls, vectors: NDArray[np.float32], *, whiten: bool = True, standardise: bool = True
    ) -> SearchSpace:
        """Learn the space of a collection, (rows, dim).

        Args:
            vectors: The collection.
            whiten: Whether to whiten softly; vectors that were whitened at export are not whitened again.
            standardise: Whether to bring entries to mean 0 and deviation 1 first.
        """
        scale = axes = None
        if standardise:
            sample = _sample(vectors)
            scale = Standardiser.fit(sample)
            if whiten:
                axes = _soft_axes(scale(sample))
        units = _project(vectors, scale, axes)
        return cls(scale, axes, units, *_cosine_moments(units))

    def project(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return vectors made as the collection's were, in the space and of length 1, (rows, kept)."""
        return _project(np.asarray(vectors, np.float32), self.scale, self.axes)

    def cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return cosines of queries of the space with every row, (queries, rows)."""
        return np.asarray(np.clip(unit_rows(queries) @ self.units.T, -1.0, 1.0), np.float32)

    def scores(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far each cosine lies above what is usual for its row, in deviations, (queries, rows).

        A hub is near to everything, so being near to it says little. This is the rows' half of mutual proximity
        with normal distances (Schnitzer et al. 2012); the query's half would not change the order.
        """
        if not self.corrects:
            return cosines
        return (cosines - self.means) / self.deviations

    @property
    def corrects(self) -> bool:
        """Whether there are rows enough to correct hubs."""
        return len(self.units) >= FEWEST


def _project(
    vectors: NDArray[np.float32], scale: Standardiser | None, axes: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    out = np.empty((len(vectors), vectors.shape[1] if axes is None else axes.shape[1]), np.float32)
    for first in range(0, len(vectors), 4096):
        block = vectors[first : first + 4096]
        block = block if scale is None else scale(block)
        out[first : first + 4096] = unit_rows(block if axes is None else block @ axes)
    return out


def _sample(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(vectors) <= FITTED_ROWS:
        return vectors
    rows = np.random.default_rng(0).choice(len(vectors), FITTED_ROWS, replace=False)
    return vectors[np.sort(rows)]


def _soft_axes(values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the principal axes of centred values, each divided by the root of its deviation, shrunk, (dim, kept)."""
    kept = min(DIMS, len(values) - 1, values.shape[1])
    if kept < 1:
        return None
    if min(values.shape) <= EXACT:
        axes, spreads = _exact_axes(values.astype(np.float64), kept)
    else:
        from sklearn.utils.extmath import randomized_svd  # a second that small collections do without

        _, spreads, rows = randomized_svd(values, kept, n_iter=4, random_state=0)
        axes = rows.T
    there = spreads > 1e-6 * max(float(spreads.max(initial=0.0)), 1e-12)
    if not there.any():
        return None
    variances = np.square(spreads[there]) / len(values)
    shrunk = (
        variances + variances.mean()
    )  # the small ones are the least sure, most of all in small collections
    return np.asarray(axes[:, there] / shrunk**0.25, dtype=np.float32)


def _exact_axes(values: NDArray[np.float64], kept: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return principal axes (dim, kept) and singular values, from the smaller product of values with themselves."""
    if len(values) >= values.shape[1]:
        squares, axes = np.linalg.eigh(values.T @ values)
        spreads = np.sqrt(np.maximum(squares[::-1][:kept], 0))
        return axes[:, ::-1][:, :kept], spreads
    squares, rows = np.linalg.eigh(values @ values.T)
    spreads = np.sqrt(np.maximum(squares[::-1][:kept], 0))
    axes = values.T @ rows[:, ::-1][:, :kept]
    return axes / np.where(spreads > 0, spreads, 1), spreads


def _cosine_moments(units: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and deviation of each row's cosines with the other rows, without computing those."""
    rows = len(units)
    if rows < FEWEST:
        return np.zeros(rows, np.float32), np.ones(rows, np.float32)
    total = units.sum(axis=0, dtype=np.float64).astype(np.float32)
    products = units.T @ units
    own = np.einsum("ij,ij->i", units, units)
    means = (units @ total - own) / (rows - 1)
    squares = (np.einsum("ij,ij->i", units @ products, units) - own**2) / (rows - 1)
    deviations = np.sqrt(np.maximum(squares - means**2, 1e-6))
    return means.astype(np.float32), deviations.astype(np.float32)
