"""Whitening: the directions in which a collection's vectors differ, brought to one scale."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from audiomae.disk.files import fingerprint_of, write_atomically
from audiomae.errors import DataError, MissingError, reason_of
from audiomae.model.moments import SMALLEST_SHARE, Moments

__all__ = ["WhitenKind", "Whitening"]

WhitenKind = Literal["within", "pca", "soft"]

FORMAT = "audiomae-whitening/1"


@dataclass(frozen=True)
class Whitening:
    """An affine map that brings the directions in which a collection's vectors differ to one scale.

    Each entry is standardised, then the leading principal directions are kept and scaled, to variance 1 (`fit`), by
    how the clips of a track differ (`fit_within`) or by the root of that (`fit_soft`); all steps are one product.
    What it gives is not of unit length: normalise it where a cosine is wanted.

    Attributes:
        mean: Mean of the vectors it was fitted on, (d,).
        matrix: Standardisation, rotation and scaling in one, (d, dims).
        about: What it was fitted on: strings, stored with it.

    Source: Jégou & Chum 2012, "Negative evidences and co-occurences in image retrieval".

    Example:
        >>> white = Whitening.fit(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 6.0], [2.0, 6.0]]), dims=2)
        >>> white.transform(np.array([[1.0, 3.0]])).tolist()
        [[0.0, 0.0]]
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32] = field(repr=False)
    about: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        vectors: NDArray[np.floating] | Iterable[NDArray[np.floating]],
        dims: int,
        about: Mapping[str, str] | None = None,
        *,
        at_most: bool = False,
    ) -> Whitening:
        """Learn PCA whitening from vectors.

        Args:
            vectors: (vectors, d), or such arrays one after another; read once, sums kept in float64.
            dims: Directions to keep, strongest first.
            about: Strings to store with it.
            at_most: Whether to keep fewer directions where the vectors do not differ in as many.

        Raises:
            DataError: If the vectors differ in fewer than `dims` directions, or in none.
        """
        moments = Moments()
        for block in [vectors] if isinstance(vectors, np.ndarray) else vectors:
            moments.add(block)
        directions, variances = moments.leading_directions(dims, at_most=at_most)
        return cls(moments.mean, (directions / np.sqrt(variances)).astype(np.float32), dict(about or {}))

    @classmethod
    def fit_within(
        cls,
        tracks: Iterable[NDArray[np.floating]],
        dims: int,
        about: Mapping[str, str] | None = None,
    ) -> Whitening:
        """Learn the whitening that evens out how clips of one track differ.

        The leading principal directions are kept, then scaled so that clips vary within their tracks equally in
        every direction: a direction in which a track's clips agree, and tracks differ, comes out long. It takes no
        label, only which clips belong together.

        Args:
            tracks: The vectors of one track after another, each (clips, d).
            dims: Directions to keep, strongest first.
            about: Strings to store with it.

        Raises:
            DataError: If the vectors, or the clips within their tracks, differ in too few directions.

        Source: within-class covariance normalisation, Hatch et al. 2006 (Interspeech), with tracks as classes.
        """
        moments = Moments.of_tracks(tracks)
        directions, variances = moments.leading_directions(dims)
        within = directions.T @ moments.within @ directions
        # A share of the whole keeps a direction that hardly varies within tracks from being blown up.
        within += 1e-3 * np.diag(variances)
        values, turned = np.linalg.eigh(within)
        matrix = directions @ (turned[:, ::-1] / np.sqrt(values[::-1]))
        return cls(moments.mean, matrix.astype(np.float32), dict(about or {}))

    @classmethod
    def fit_soft(
        cls,
        tracks: Iterable[NDArray[np.floating]],
        dims: int,
        about: Mapping[str, str] | None = None,
        *,
        at_most: bool = False,
    ) -> Whitening:
        """Learn half of the whitening of `fit_within`: a direction is scaled by the root of what that scales it by.

        Directions in which vectors differ much stay longer than others, which classifiers live on. The result is
        turned at random (alike for equal dims), so that the spread is shared out over all entries: a classifier that
        standardises its input finds the lengths as they were left.

        Args:
            tracks: The vectors of one track after another, each (clips, d).
            dims: Directions to keep, strongest first. Weak ones help too: keep most of them.
            about: Strings to store with it.
            at_most: Whether to keep fewer directions where the vectors do not differ in as many.

        Raises:
            DataError: If the vectors differ in fewer than `dims` directions, or clips never within their tracks.

        Source: within-class covariance normalisation as in `fit_within`; the turn that balances variances, Jégou et
        al. 2010, "Aggregating local descriptors into a compact image representation".
        """
        moments = Moments.of_tracks(tracks)
        directions, variances = moments.leading_directions(dims, at_most=at_most)
        values, turned = np.linalg.eigh(directions.T @ moments.within @ directions)
        if values[-1] <= SMALLEST_SHARE * variances[0]:
            raise DataError(
                f"the clips of a track do not differ from each other ({moments.count} clips): nothing to even out. "
                "Use --whiten_kind pca."
            )
        # A share of the largest keeps a direction that hardly varies within tracks from being blown up.
        scales = (np.maximum(values, 0.0) + 1e-3 * values[-1]) ** -0.25
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(len(variances), len(variances))))[0]
        matrix = directions @ (turned * scales) @ turn
        return cls(moments.mean, matrix.astype(np.float32), dict(about or {}))

    @property
    def dims(self) -> int:
        """Directions kept: the length of what `transform` gives."""
        return int(self.matrix.shape[1])

    @property
    def fingerprint(self) -> str:
        """What stands for the values of this map."""
        return fingerprint_of(self.mean.tobytes(), self.matrix.tobytes())

    def transform(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Whiten vectors.

        Args:
            vectors: (vectors, d).

        Returns:
            (vectors, dims), float32.

        Raises:
            DataError: If the vectors have another length than those it was fitted on.
        """
        if vectors.shape[-1] != len(self.mean):
            raise DataError(
                f"the whitening takes vectors of {len(self.mean)} entries, not {vectors.shape[-1]}; it was "
                "fitted on another layer, pooling or model. Fit one with --whiten."
            )
        shifted = vectors.astype(np.float32) - self.mean
        return np.asarray(shifted @ self.matrix, dtype=np.float32)

    def save(self, path: Path | str) -> None:
        """Write it as safetensors, atomically; the same map gives the same bytes.

        Raises:
            StorageError: If the disk refuses; what was there before is intact.
        """
        # One entry only: safetensors writes several in a random order.
        about = {"about": json.dumps({**self.about, "format": FORMAT}, sort_keys=True)}
        tensors = {"mean": self.mean, "matrix": np.ascontiguousarray(self.matrix)}
        with write_atomically(path) as temporary:
            temporary.write_bytes(save(tensors, metadata=about))

    @classmethod
    def load(cls, path: Path | str) -> Whitening:
        """Read what `save` wrote.

        Raises:
            MissingError: If the file is missing or cut short.
            DataError: If it is something else.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingError(f"{path}: no such whitening file. Fit one: audiomae export ... --whiten 128.")
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {}).get("about", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, TypeError, RecursionError, MemoryError) as error:
            raise MissingError(
                f"{path}: cut short or damaged ({reason_of(error)}). Fit it again with --whiten."
            ) from error
        if (
            not isinstance(about, dict)
            or about.pop("format", None) != FORMAT
            or set(tensors) != {"mean", "matrix"}
        ):
            raise DataError(f"{path}: holds {', '.join(sorted(tensors)) or 'nothing'}, not a whitening.")
        mean, matrix = tensors["mean"], tensors["matrix"]
        shapes = f"mean {mean.dtype} {mean.shape} and matrix {matrix.dtype} {matrix.shape}"
        if mean.ndim != 1 or matrix.ndim != 2 or len(matrix) != len(mean) or not matrix.size:
            raise DataError(f"{path}: {shapes} do not fit together. Fit it again with --whiten.")
        if any(one.dtype != np.float32 or not np.isfinite(one).all() for one in (mean, matrix)):
            raise DataError(f"{path}: {shapes}: not float32, or not finite. Fit it again with --whiten.")
        return cls(mean, matrix, {str(key): str(value) for key, value in sorted(about.items())})
