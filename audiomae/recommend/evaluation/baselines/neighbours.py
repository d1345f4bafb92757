"""Baselines that look for what is near to what a user played: by shared users (item-kNN) or content (content-kNN)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from audiomae.listening.tables import Interactions
from audiomae.recommend.evaluation.baselines.baseline import Context, Fitted, as_weights, weight_kinds
from audiomae.recommend.evaluation.baselines.popularity import Popularity
from audiomae.recommend.evaluation.lists import BlockLister, BlockScorer, DotScorer, FallbackLister, Lister

__all__ = ["ContentNeighbours", "ItemNeighbours"]

BLOCK_CELLS = 1_000_000
"""Similarities held at once while neighbours are sought."""


class ItemNeighbours:
    """Item-kNN: the cosine between tracks' users; a user's score is the sum over what they played.

    Each heard track speaks for its `neighbours` most similar ones. Users of no known play get the popularity list.

    Source: Sarwar et al. 2001; Deshpande & Karypis 2004.
    """

    name = "item-kNN"

    def __init__(self, train: csr_matrix, sizes: Sequence[int] = (100, 10, 20, 50, 200, 500, 1000)) -> None:
        self._train = train
        self._sizes = tuple(size for size in sizes if size < train.shape[1]) or (max(train.shape[1] - 1, 1),)
        self._nearest: dict[str, csr_matrix] = {}

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {"neighbours": self._sizes, "weights": weight_kinds(self._train)}

    def fit(self, parameters: dict[str, Any]) -> Fitted:
        """See `Baseline.fit`."""
        kind = parameters["weights"]
        if kind not in self._nearest:
            self._nearest = {kind: nearest_items(as_weights(self._train, kind), max(self._sizes))}
        neighbours = keep_largest(self._nearest[kind], parameters["neighbours"])

        def lister(now: Context) -> Lister:
            scorer = SparseScorer(as_weights(now.heard, kind), neighbours)
            return FallbackLister(
                BlockLister(self.name, scorer, now.heard), Popularity().fit({})(now), now.knows
            )

        return lister


class ContentNeighbours:
    """Content-kNN: cosine between a track and the mean of what a user heard, in standardised content vectors.

    Users of no known play get the popularity list.
    """

    name = "content-kNN"

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """See `Baseline.grid`."""
        return {}

    def __init__(self, vectors: NDArray[np.float32], train: Interactions) -> None:
        """Take content vectors (tracks, D); mean and deviation are those of the tracks played in training."""
        played = np.unique(train.tracks)
        base = vectors[played] if len(played) else vectors
        spread = base.std(axis=0)
        standard = (vectors - base.mean(axis=0)) / np.where(spread > 0, spread, 1)
        norms = np.linalg.norm(standard, axis=1, keepdims=True)
        self._vectors = (standard / np.where(norms > 0, norms, 1)).astype(np.float32)

    def fit(self, parameters: dict[str, Any]) -> Fitted:  # noqa: ARG002
        """See `Baseline.fit`."""

        def lister(now: Context) -> Lister:
            users = now.users
            means = as_weights(now.heard, "binary")[users] @ self._vectors
            norms = np.linalg.norm(means, axis=1, keepdims=True)
            scorer = DotScorer(
                users, (means / np.where(norms > 0, norms, 1)).astype(np.float32), self._vectors
            )
            return FallbackLister(
                BlockLister(self.name, scorer, now.heard), Popularity().fit({})(now), now.knows
            )

        return lister


def nearest_items(pairs: csr_matrix, count: int) -> csr_matrix:
    """Return, for each item (row), the cosine to its `count` most similar others, itself left out.

    Equal cosines go to the smaller item. Held at once: `BLOCK_CELLS` cosines, or those of one item.
    """
    columns = pairs.tocsc().astype(np.float64)
    norms = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)).ravel())
    columns.data /= np.repeat(np.where(norms > 0, norms, 1), np.diff(columns.indptr))
    items = columns.shape[1]
    other = columns.tocsr()
    # What a block can meet at most: for each user of an item, all they played.
    met = np.cumsum(np.asarray((pairs != 0).T.astype(np.int64) @ np.diff(other.indptr)).ravel())
    parts, start = [], 0
    while start < items:
        before = met[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(met, before + BLOCK_CELLS, "right")))
        cosines = (columns[:, start:stop].T.tocsr() @ other).tocoo()
        kept = cosines.col != cosines.row + start
        values = cosines.data[kept].round(12)
        block = csr_matrix((values, (cosines.row[kept], cosines.col[kept])), shape=(stop - start, items))
        parts.append(keep_largest(block, count))
        start = stop
    return vstack(parts, format="csr")


def keep_largest(matrix: csr_matrix, count: int) -> csr_matrix:
    """Return the matrix with the `count` largest values of each row; equal values go to the smaller column."""
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), sizes)
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    kept = order[np.arange(len(order)) - np.repeat(matrix.indptr[:-1], sizes) < count]
    return csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)


class SparseScorer(BlockScorer):
    """Sums of similarities between what a user heard and its neighbours; items near nothing heard are not listed."""

    def __init__(self, heard: csr_matrix, neighbours: csr_matrix) -> None:
        self.items = neighbours.shape[1]
        self._heard = heard.astype(np.float64)
        self._to_item = neighbours.T.tocsr().astype(np.float64)

    def score(self, users: NDArray[np.int64], items: slice) -> NDArray[np.float32]:
        """See `BlockScorer.score`."""
        sums = (self._to_item[items] @ self._heard[users].T).toarray().T
        return np.where(sums > 0, sums, -np.inf).astype(np.float32)

    def exact(self, users: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `BlockScorer.exact`."""
        found = [
            self.score(users[at : at + 1], slice(0, self.items))[0, rows[at]] for at in range(len(users))
        ]
        return np.stack(found).astype(np.float64) if found else np.zeros(rows.shape)
