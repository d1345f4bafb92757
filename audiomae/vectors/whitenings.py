"""The whitenings of an export: those fitted before, in the vectors folder or with the model, and new ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomae.errors import ConfigError, FingerprintError, MissingError, StorageError
from audiomae.model.released import is_released
from audiomae.model.whitening import Whitening, WhitenKind
from audiomae.vectors.parts import part_path, read_part, stack_vectors
from audiomae.vectors.writer import VectorsWriter, split_tracks

__all__ = ["Whitenings"]

log = logging.getLogger(__name__)


class Whitenings:
    """Where the whitenings of one export are found, fitted and kept.

    Args:
        about: What vectors depend on before they are whitened: model and corpus fingerprint, layer, pool, ...
        out: The vectors folder.
        model_folder: Folder of the model, which keeps whitenings, unless it came with the package.
    """

    def __init__(self, about: Mapping[str, str], out: Path, model_folder: Path) -> None:
        self.about, self.out = dict(about), out
        self.model_folder, self.shelf = model_folder, model_folder / "whitening"

    def _stored(self, kind: WhitenKind, dims: int) -> Path:
        name = (
            f"layer{self.about['layer']}-{self.about['pool']}-{kind}{dims}-{self.about['corpus_fingerprint']}"
        )
        return self.shelf / f"{name}.safetensors"

    def find(self, kind: WhitenKind, dims: int) -> Whitening | None:
        """Return the whitening that this very export would fit, where an earlier run has fitted it."""
        for path in (self.out / "whitening.safetensors", self._stored(kind, dims)):
            try:
                found = Whitening.load(path)
            except MissingError:
                continue
            if found.about == {**self.about, "kind": kind} and found.dims == dims:
                return found
        return None

    def read(self, name: str) -> Whitening:
        """Return a whitening to use again.

        Args:
            name: Its file, or `model` for the one that lies with the model.

        Raises:
            MissingError: If there is none.
            ConfigError: If several lie with the model.
            FingerprintError: If it was fitted on vectors of another kind.
        """
        path = self._only_one() if name == "model" else Path(name)
        whitening = Whitening.load(path)
        for key in ("model_fingerprint", "layer", "pool"):
            if whitening.about.get(key) != self.about[key]:
                raise FingerprintError(
                    f"{path}: was fitted with {key} {whitening.about.get(key)}, not {self.about[key]}. "
                    "Fit another with --whiten."
                )
        return whitening

    def _only_one(self) -> Path:
        pattern = f"layer{self.about['layer']}-{self.about['pool']}-*.safetensors"
        known = sorted(self.shelf.glob(pattern))
        if not known and is_released(self.model_folder):
            raise MissingError(
                f"{self.model_folder.name}: a model in the package keeps no whitening. Fit one with --whiten 128, and "
                "name its file: --whitening vectors/whitening.safetensors."
            )
        if not known:
            raise MissingError(f"{self.shelf}: no {pattern}. Fit one: audiomae export ... --whiten 128.")
        if len(known) > 1:
            raise ConfigError(
                f"{self.shelf}: {len(known)} whitenings fit; name one, such as --whitening {known[0]}."
            )
        return known[0]

    def fit(self, kind: WhitenKind, dims: int, raw: VectorsWriter) -> Whitening:
        """Fit a whitening on the vectors that a writer holds.

        Raises:
            DataError: If they differ in fewer than `dims` directions.
        """
        parts = (read_part(part_path(raw.folder, number), raw.fingerprint) for number in range(raw.parts))
        about = {**self.about, "kind": kind}
        if kind == "pca":
            return Whitening.fit((stack_vectors(part["vector"]) for part in parts), dims, about)
        tracks: Iterator[NDArray[np.float32]] = (
            track.vectors for part in parts for track in split_tracks(part)
        )
        return (Whitening.fit_within if kind == "within" else Whitening.fit_soft)(tracks, dims, about)

    def keep(self, whitening: Whitening, kind: WhitenKind, dims: int) -> None:
        """Store a fitted whitening with the model; a model that cannot be written to is no reason to stop."""
        path = self._stored(kind, dims)
        if path.exists() or is_released(self.model_folder):
            return
        try:
            whitening.save(path)
        except StorageError as error:
            log.warning("%s The vectors folder keeps a copy.", error)
