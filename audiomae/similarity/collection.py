"""A collection of songs, open to be asked what is like what: vectors, factors and tags side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomae.corpus.clips import clip_starts
from audiomae.corpus.measured import FACTORS
from audiomae.corpus.names import find_track
from audiomae.errors import ConfigError, DataError, FingerprintError
from audiomae.model.embedder import Embedder, load
from audiomae.model.released import model_names
from audiomae.model.whitening import Whitening
from audiomae.vectors.similar import SimilarSong, list_similar
from audiomae.vectors.space import SearchSpace
from audiomae.vectors.vectors import Vectors

__all__ = [
    "LEARNED",
    "Collection",
]

LEARNED = "learned"
"""Name of the factor that is the model's own vector."""


class Factor(NamedTuple):
    """One way of being alike."""

    space: SearchSpace
    """Where songs are compared in it."""
    known: NDArray[np.bool_]
    """Which songs have it, (tracks,)."""


class Collection:
    """A vectors folder, and what is needed to find songs in it.

    Args:
        vectors: The open folder.
        model: Run folder of the model that made the vectors, or the name of one in the package; without it, a model of
            the package is taken where it is the one.

    Example:
        collection = Collection.open("vectors/")
        songs = find_similar(collection, ["one.wav"], rules=SongRules(k=5))
    """

    def __init__(self, vectors: Vectors, *, model: str | None = None) -> None:
        if not len(vectors.track_vectors):
            raise DataError(f"{vectors.folder}: holds no track.")
        self.vectors = vectors
        self.tracks: pa.Table = vectors.tracks
        self.track_ids = vectors.track_ids
        self._rows = {name: row for row, name in enumerate(self.track_ids)}
        self._model = model
        self._factors: dict[str, Factor] = {}

    @classmethod
    def open(cls, folder: Path | str, *, model: str | None = None) -> Collection:
        """Open a folder that `audiomae export` has finished; errors as for `Vectors.open`."""
        return cls(Vectors.open(folder), model=model)

    def __len__(self) -> int:
        """Return the number of songs."""
        return len(self.track_ids)

    def __repr__(self) -> str:
        """Show where it lies and its size."""
        return f"Collection({str(self.vectors.folder)!r}, {len(self)} songs)"

    def find(self, track: str) -> int:
        """Return the row of a song: by its id, its path or the end of that, or its title where no other has it.

        Raises:
            DataError: If there is none of this name, or several; the line says which.
        """
        row = self._rows.get(track)
        return (
            row
            if row is not None
            else find_track(track, self.track_ids, self.paths, self.titles, self.vectors.folder)
        )

    @cached_property
    def paths(self) -> list[str]:
        """Path of each song, empty where unknown."""
        return [text or "" for text in self.tracks["path"].to_pylist()]

    @cached_property
    def titles(self) -> list[str]:
        """Title of each song, empty where unknown."""
        return [text or "" for text in self.tracks["title"].to_pylist()]

    @cached_property
    def artists(self) -> list[str]:
        """Artist of each song, empty where unknown."""
        return [text or "" for text in self.tracks["artist"].to_pylist()]

    @cached_property
    def albums(self) -> list[str]:
        """Album of each song, empty where unknown."""
        return [text or "" for text in self.tracks["album"].to_pylist()]

    @cached_property
    def seconds(self) -> list[float]:
        """Length of each song, in seconds."""
        return list(self.tracks["seconds"].to_pylist())

    @property
    def factors(self) -> list[str]:
        """The factors that songs here can be compared by, the learned vector first."""
        there = self.tracks.column_names
        return [LEARNED, *(name for name in FACTORS if name in there)]

    def factor(self, name: str) -> Factor:
        """Return a factor.

        Raises:
            ConfigError: If there is none of this name.
            DataError: If it was not measured here.
        """
        if name not in (LEARNED, *FACTORS):
            raise ConfigError(f"by names {name!r}; songs are compared by {', '.join((LEARNED, *FACTORS))}.")
        if name not in self.factors:
            raise DataError(
                f"{self.vectors.folder}: has no {name}; its corpus was prepared before songs were measured for it. "
                "Prepare the songs again into another folder, and export that."
            )
        if name not in self._factors:
            self._factors[name] = self._learned() if name == LEARNED else self._measured(name)
        return self._factors[name]

    def _learned(self) -> Factor:
        return Factor(self.vectors.space, np.ones(len(self), dtype=bool))

    def _measured(self, name: str) -> Factor:
        cells = self.tracks[name].to_pylist()
        known = np.array([bool(cell) for cell in cells])
        size = max((len(cell) for cell in cells if cell), default=0)
        if any(cell and len(cell) != size for cell in cells):
            raise DataError(
                f"{self.vectors.folder / 'tracks.parquet'}: {name} is not of {size} entries. Export again."
            )
        values = np.array([cell or [0.0] * size for cell in cells], np.float32).reshape(len(self), size)
        if not np.isfinite(values).all():
            raise DataError(
                f"{self.vectors.folder / 'tracks.parquet'}: {name} has NaN entries. Export again."
            )
        return Factor(SearchSpace.fit(values, whiten=False), known)

    def songs(
        self,
        rows: Sequence[int] | NDArray[np.int64],
        cosines: NDArray[np.floating],
        scores: NDArray[np.floating],
    ) -> list[SimilarSong]:
        """Return rows as songs; `cosines` and `scores` hold one value a row."""
        return list_similar(self.tracks, np.asarray(rows, np.int64), np.asarray(cosines), np.asarray(scores))

    @cached_property
    def embedder(self) -> Embedder:
        """The model that made the vectors, with their layer, pooling and whitening.

        Raises:
            ConfigError: If none is named, and none in the package made them.
            FingerprintError: If the named model did not make them.
        """
        meta, folder = self.vectors.meta, self.vectors.folder
        for name in model_names() if self._model is None else [self._model]:
            embedder = load(name)
            if embedder.fingerprint == meta["model_fingerprint"]:
                break
            if self._model is not None:
                raise FingerprintError(
                    f"{folder}: was made with model {meta['model_fingerprint']}, but {name} is "
                    f"{embedder.fingerprint}. Name the model that made the vectors, or export them again."
                )
        else:
            raise ConfigError(
                f"{folder}: a file can be compared by the model that made the vectors; add --model run/."
            )
        whitening = Whitening.load(folder / "whitening.safetensors") if meta["whiten"] else None
        if whitening is not None and whitening.fingerprint != meta["whitening_fingerprint"]:
            raise FingerprintError(
                f"{folder / 'whitening.safetensors'}: is not the one these vectors were made with. Export them again."
            )
        return embedder.with_pooling(layer=meta["layer"], pool=meta["pool"], whiten=whitening)

    def embed_file(self, path: Path | str) -> NDArray[np.float32]:
        """Embed an audio file on the grid that the export walked, (dim,).

        Raises:
            DecodeError: If it cannot be read.
            DataError: If it is too short.
        """
        embedder = self.embedder
        mels, frames = embedder.mels_of_file(path), embedder.config.clip_frames
        hop = float(self.vectors.meta["hop_seconds"])
        starts = clip_starts(len(mels), frames, embedder.mel.frames_of(hop)).tolist()
        clips = [embedder.embed_mels(mels[None, start : start + frames])[0] for start in starts]
        mean = np.stack([clip.float().cpu().numpy() for clip in clips]).mean(axis=0, dtype=np.float64)
        return np.asarray(mean, np.float32)
