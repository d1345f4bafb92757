"""Vectors as places in the plane, so that songs which sound alike lie near each other."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiomae.vectors.search import Standardiser, nearest, unit_rows

__all__ = [
    "Method",
    "best_method",
    "place_all",
    "place_among",
    "reduce_vectors",
]

Method = Literal["umap", "pca"]

AXES = 50
"""Principal axes kept before UMAP and clustering: the rest is mostly noise, and costs time."""
FIT_ROWS = 20_000
"""Rows that principal axes are fitted on, at most."""
FEWEST_FOR_UMAP = 12
NEIGHBOURS = 5
"""Known songs whose places decide where a new one is put."""


def best_method(tracks: int) -> Method:
    """Return how a map of that many tracks is made: UMAP where umap-learn is installed (extra `web`), else PCA."""
    installed = importlib.util.find_spec("umap") is not None
    return "umap" if installed and tracks >= FEWEST_FOR_UMAP else "pca"


def reduce_vectors(vectors: NDArray[np.floating], *, whitened: bool, seed: int = 0) -> NDArray[np.float32]:
    """Return the songs' directions on their principal axes, (tracks, at most 50), largest axis first.

    Args:
        vectors: Vectors of the tracks, (tracks, dim).
        whitened: Whether they can be compared as they are; standardised first otherwise.
        seed: Key of the rows that the axes are fitted on, where there are more than 20,000.
    """
    if len(vectors) == 0:
        return np.zeros((0, 2), np.float32)
    rows = np.random.default_rng(seed).permutation(len(vectors))[:FIT_ROWS]
    known = vectors[np.sort(rows)]
    standard = None if whitened else Standardiser.fit(known)
    ready = unit_rows(known if standard is None else standard(known))
    centre, axes = principal_axes(ready)
    made = np.zeros((len(vectors), max(2, axes.shape[0])), np.float32)
    for first in range(0, len(vectors), FIT_ROWS):
        part = vectors[first : first + FIT_ROWS]
        unit = unit_rows(part if standard is None else standard(part))
        made[first : first + FIT_ROWS, : axes.shape[0]] = (unit - centre) @ axes.T
    return made


def principal_axes(unit: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean, (dim,), and up to 50 principal axes, (axes, dim), of rows.

    The sign of an axis is fixed by its largest entry, so that a map does not turn over from one day to the next.
    """
    centre = unit.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = unit - centre
    if len(unit) < unit.shape[1]:
        _, _, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    else:
        _, columns = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        axes = columns.T[::-1]
    axes = axes[: min(AXES, len(axes))]
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return centre, np.asarray(axes * np.sign(np.where(largest == 0, 1.0, largest))[:, None], dtype=np.float32)


def place_all(reduced: NDArray[np.float32], *, method: Method, seed: int = 0) -> NDArray[np.float32]:
    """Return places, (tracks, 2), the middle at 0 and the bulk within -1 and 1.

    Args:
        reduced: Directions on principal axes, from `reduce_vectors`.
        method: umap, or pca: the two largest axes.
        seed: Key of UMAP's draws; the same songs and seed give the same map.

    Source: McInnes, Healy and Melville 2018 (arXiv:1802.03426), as umap-learn has it; it starts from the principal
    axes, so that its map lies the same way round as theirs.
    """
    flat = _spread(reduced[:, :2])
    if method == "pca" or len(reduced) < FEWEST_FOR_UMAP or not np.ptp(flat):
        return flat
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP  # seconds to import, and only in the extra `web`

        start = flat * 10 + np.random.default_rng(seed).normal(0, 1e-3, flat.shape)
        mapper = UMAP(
            n_neighbors=min(15, len(reduced) - 1),
            min_dist=0.1,
            metric="euclidean",
            init=start.astype(np.float32),
            random_state=seed,
            n_jobs=1,
        )
        return _spread(np.asarray(mapper.fit_transform(unit_rows(reduced)), dtype=np.float32))


def place_among(
    new: NDArray[np.floating], known: NDArray[np.floating], places: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Place new songs on a map without moving those on it: at the mean of their nearest songs' places.

    Args:
        new: Vectors to place, (new, dim), ready for cosines.
        known: Vectors of the songs on the map, (known, dim), at least one.
        places: Their places, (known, 2).

    Returns:
        Places, (new, 2), and the row of the nearest known song of each, (new,).
    """
    found = nearest(known, new, NEIGHBOURS)
    weights = np.exp(20.0 * (found.cosines - found.cosines[:, :1]))
    weights = weights / weights.sum(axis=1, keepdims=True)
    placed = (places[found.rows] * weights[..., None]).sum(axis=1)
    return placed.astype(np.float32), found.rows[:, 0]


def _spread(places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move the middle of places to 0 and scale them so that 98 % lie within -1 and 1, both ways alike."""
    if not len(places):
        return places.astype(np.float32)
    middle = np.median(places, axis=0)
    moved = places - middle
    reach = float(np.quantile(np.abs(moved).max(axis=1), 0.98))
    return np.asarray(moved / (reach if reach > 0 else 1.0), dtype=np.float32)
