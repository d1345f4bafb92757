"""A collection's vectors as places on a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

__all__ = ["place_on_map"]

FEWEST_FOR_TSNE = 12
MOST_FOR_TSNE = 5_000
"""Beyond it, principal components: t-SNE would take minutes."""


def place_on_map(vectors: NDArray[np.floating], *, seed: int) -> NDArray[np.float64]:
    """Project vectors to two dimensions, so that near songs lie near.

    t-SNE of the directions (cosines decide), principal components where there are very few or very many.

    Args:
        vectors: (songs, values), standardised or whitened.
        seed: Key of t-SNE's draws.

    Returns:
        Places from 0 to 1, (songs, 2).

    Source: van der Maaten and Hinton 2008, as scikit-learn has it.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)
    flat = _principal(unit.astype(np.float64))
    if FEWEST_FOR_TSNE <= len(vectors) <= MOST_FOR_TSNE and np.ptp(flat) > 0:
        perplexity = min(30.0, (len(vectors) - 1) / 4)
        start = flat[:, :2] / max(float(flat[:, 0].std()), 1e-12) * 1e-4
        made = TSNE(2, perplexity=perplexity, init=start, random_state=seed, learning_rate="auto")
        flat = made.fit_transform(flat.astype(np.float32))
    low, high = flat[:, :2].min(axis=0), flat[:, :2].max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    placed: NDArray[np.float64] = np.where(high > low, (flat[:, :2] - low) / spread, 0.5)
    return placed


def _principal(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return up to 50 principal components, two at least."""
    centred = unit - unit.mean(axis=0)
    rows, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    found = (rows * sizes)[:, :50]
    return np.pad(found, ((0, 0), (0, max(0, 2 - found.shape[1]))))
