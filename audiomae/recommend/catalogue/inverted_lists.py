"""Approximate search for catalogues too large for the exact product: faiss inverted lists, tuned to a recall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.disk.files import write_atomically
from audiomae.errors import MissingError

__all__ = ["InvertedLists"]


class InvertedLists:
    """Vectors in cells around centroids; a search looks into the `probes` cells nearest to the query.

    What it searches is the largest inner product. Every search takes one query at a time, so that a list does not
    depend on the queries beside it.
    """

    def __init__(self, index: Any, probes: int = 1) -> None:
        """Hold a trained faiss `IndexIVFFlat` of inner products."""
        self.index = index
        self.probes = probes

    @classmethod
    def build(cls, vectors: NDArray[np.float32], *, cells: int | None = None, seed: int = 0) -> InvertedLists:
        """Cluster vectors (n, d) and file them.

        Args:
            vectors: What to search, row by row.
            cells: Cells; twice the square root of n by default.
            seed: Decides the sample and the start of the clustering.
        """
        import faiss

        count, dim = vectors.shape
        cells = max(1, min(cells or round(2 * count**0.5), count))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.seed = 10, seed
        index.cp.min_points_per_centroid = 1
        sample = np.random.default_rng(seed).permutation(count)[: 64 * cells]
        index.train(np.ascontiguousarray(vectors[np.sort(sample)]))
        index.add(np.ascontiguousarray(vectors))
        return cls(index)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def cells(self) -> int:
        """Cells there are to probe."""
        return int(self.index.nlist)

    def tune(
        self, queries: NDArray[np.float32], truth: NDArray[np.int64], target: float
    ) -> tuple[int, float]:
        """Set `probes` to the fewest with which the target is met.

        Args:
            queries: Held-out queries, (n, d).
            truth: Their true best rows, (n, k), -1 padded.
            target: Least share of the true rows that must be found, in (0, 1].

        Returns:
            Probes, and the recall they reach on these queries.
        """

        def recall(probes: int) -> float:
            self.probes = probes
            found = [self.search(query, truth.shape[1]) for query in queries]
            hits = sum(
                len(np.intersect1d(rows, true[true >= 0])) for rows, true in zip(found, truth, strict=True)
            )
            return hits / max(1, int((truth >= 0).sum()))

        tried = {1: recall(1)}
        high = 1
        while tried[high] < target and high < self.cells:
            high = min(2 * high, self.cells)
            tried[high] = recall(high)
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            tried[middle] = recall(middle)
            low, high = (low, middle) if tried[middle] >= target else (middle, high)
        self.probes = high
        return high, tried[high]

    def search(
        self, query: NDArray[np.float32], k: int, allowed_bits: NDArray[np.uint8] | None = None
    ) -> NDArray[np.int64]:
        """Return up to k rows of large inner product with one query (d,), in no order to rely on.

        Args:
            query: One query.
            k: Rows to find.
            allowed_bits: One bit a row, little-endian in each byte, 0 for rows that must not be found.
        """
        import faiss

        settings = faiss.SearchParametersIVF()
        settings.nprobe = self.probes
        selector = None
        if allowed_bits is not None:
            selector = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(allowed_bits))
            settings.sel = selector
        _, rows = self.index.search(np.ascontiguousarray(query[None]), k, params=settings)
        return np.asarray(rows[0][rows[0] >= 0], dtype=np.int64)

    def carry(
        self, moved: NDArray[np.int64], rows: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> InvertedLists:
        """Renumber what is kept and file what is new, without clustering again.

        Args:
            moved: New row of each old row, -1 where it is taken out, (old rows,).
            rows: New rows of the vectors to file.
            vectors: These vectors, (rows, d).

        Returns:
            Itself.
        """
        import faiss

        gone = np.flatnonzero(moved < 0)
        if len(gone):
            self.index.remove_ids(gone)
        lists = self.index.invlists
        for cell in range(self.cells):
            size = lists.list_size(cell)
            if size:
                ids = faiss.rev_swig_ptr(lists.get_ids(cell), size)
                ids[:] = moved[ids]
        if len(rows):
            self.index.add_with_ids(np.ascontiguousarray(vectors), rows)
        return self

    def write(self, path: Path | str) -> None:
        """Write the lists to a file, atomically."""
        import faiss

        with write_atomically(path) as temporary:
            faiss.write_index(self.index, str(temporary))

    @classmethod
    def read(cls, path: Path | str, probes: int) -> InvertedLists:
        """Read lists.

        Raises:
            MissingError: If the file is not there or is damaged.
        """
        import faiss

        try:
            return cls(faiss.read_index(str(path)), probes)
        except RuntimeError as error:
            raise MissingError(
                f"{path}: cannot be read ({str(error).splitlines()[0][:80]}). "
                "Make the catalogue again with audiomae train-towers."
            ) from None
