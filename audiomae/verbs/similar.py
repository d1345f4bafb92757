"""vectors → the songs most similar to a track of the collection, or to an audio file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomae.checks import require
from audiomae.corpus.clips import clip_starts
from audiomae.errors import ConfigError, FingerprintError
from audiomae.model.embedder import Embedder, load
from audiomae.model.whitening import Whitening
from audiomae.progress import SILENT, Progress
from audiomae.vectors.similar import SimilarSong
from audiomae.vectors.vectors import Vectors

__all__ = ["SimilarResult", "SimilarSettings", "SimilarSong", "similar"]


@dataclass(frozen=True)
class SimilarSettings:
    """Settings of `audiomae similar`.

    Attributes:
        vectors: Folder made by `audiomae export`.
        track: Song to start from: its id, its path or the end of that (one.wav, album/one.wav), or its title where
            no other has it. Give this or file.
        file: Audio file to start from; needs model.
        model: Run folder of the model that the vectors were made with, or the name of one in the package (tiny).
        k: Songs to show.
        raw: Whether to take cosines of the vectors as they are. Otherwise each entry is first brought to
            mean 0 and deviation 1 over the collection, unless the vectors are whitened.
    """

    vectors: str
    track: str | None = None
    file: str | None = None
    model: str | None = None
    k: int = 10
    raw: bool = False

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        if (self.track is None) == (self.file is None):
            raise ConfigError(
                "similar starts from one song: give --track ID, or --file song.flac --model run/."
            )
        if self.file is not None and self.model is None:
            raise ConfigError("--file needs the model that made the vectors: add --model run/.")
        require("k", self.k, least=1)


@dataclass(frozen=True)
class SimilarResult:
    """What `similar` found.

    Attributes:
        query: Track or file that was started from, as it was named.
        name: Title and artist of it, where they are known.
        similar: Songs, nearest first.
    """

    query: str
    name: str
    similar: list[SimilarSong]


def similar(settings: SimilarSettings, *, progress: Progress = SILENT) -> SimilarResult:  # noqa: ARG001
    """Find the nearest songs, best first.

    Raises:
        DataError: If there is no such track.
        FingerprintError: If the vectors were made with another model than `model`.
    """
    vectors = Vectors.open(settings.vectors)
    embedder = None if settings.model is None else _matching_model(settings.model, vectors)
    if settings.track is not None:
        songs = vectors.similar(settings.track, k=settings.k, raw=settings.raw)
        return SimilarResult(settings.track, _name_of(vectors, settings.track), songs)
    assert embedder is not None
    file = str(settings.file)
    query = _embed_like(embedder, file, float(vectors.meta["hop_seconds"]))
    return SimilarResult(file, file, vectors.similar_to(query, k=settings.k, raw=settings.raw))


def _matching_model(folder: str, vectors: Vectors) -> Embedder:
    meta = vectors.meta
    embedder = load(folder)
    if embedder.fingerprint != meta["model_fingerprint"]:
        raise FingerprintError(
            f"{vectors.folder}: was made with model {meta['model_fingerprint']}, but {folder} is "
            f"{embedder.fingerprint}. Name the model that made the vectors, or export them again."
        )
    whitening = Whitening.load(vectors.folder / "whitening.safetensors") if meta["whiten"] else None
    if whitening is not None and whitening.fingerprint != meta["whitening_fingerprint"]:
        raise FingerprintError(
            f"{vectors.folder / 'whitening.safetensors'}: is not the one these vectors were made with. "
            "Export them again."
        )
    return embedder.with_pooling(layer=meta["layer"], pool=meta["pool"], whiten=whitening)


def _embed_like(embedder: Embedder, path: str, hop_seconds: float) -> NDArray[np.float32]:
    """Embed a file on the grid that the export walked, (dim,)."""
    mels, frames = embedder.mels_of_file(path), embedder.config.clip_frames
    hop = max(1, embedder.mel.frames_of(hop_seconds))
    total = np.zeros(embedder.dim)
    starts = clip_starts(len(mels), frames, hop).tolist()
    for start in starts:
        total += embedder.embed_mels(mels[None, start : start + frames])[0].float().cpu().numpy()
    return np.asarray(total / len(starts), dtype=np.float32)


def _name_of(vectors: Vectors, track: str) -> str:
    row = vectors.find(track)
    title, artist = (vectors.tracks[name][row].as_py() for name in ("title", "artist"))
    return f"{title or track} — {artist}" if artist else str(title or track)
