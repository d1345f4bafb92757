"""vectors → the songs most similar to a track of the collection, or to an audio file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomae.corpus.clips import clip_starts
from audiomae.errors import ConfigError, DataError, FingerprintError
from audiomae.model.embedder import Embedder, load
from audiomae.model.whitening import Whitening
from audiomae.progress import SILENT, Progress
from audiomae.vectors.search import Standardiser, nearest
from audiomae.vectors.vectors import Vectors

__all__ = ["SimilarResult", "SimilarSettings", "SimilarSong", "similar"]


@dataclass(frozen=True)
class SimilarSettings:
    """Settings of `audiomae similar`.

    Attributes:
        vectors: Folder made by `audiomae export`.
        track: Name (track_id) of the track to start from. Give this or file.
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
        if self.k < 1:
            raise ConfigError(f"k is {self.k}; it must be at least 1.")


@dataclass(frozen=True)
class SimilarSong:
    """A song found.

    Attributes:
        track_id: Its id.
        title: Its title, empty where unknown.
        artist: Its artist, empty where unknown.
        album: Its album, empty where unknown.
        genre: Its genre, empty where unknown.
        path: Where the song lay when it was prepared, empty where unknown.
        seconds: Its length.
        clips: Its clips.
        cosine: How near it is, in [-1, 1].
    """

    track_id: str
    title: str
    artist: str
    album: str
    genre: str
    path: str
    seconds: float
    clips: int
    cosine: float


@dataclass(frozen=True)
class SimilarResult:
    """What `similar` found.

    Attributes:
        query: Track id or file that was started from.
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
    known = vectors.track_vectors
    if not len(known):
        raise DataError(f"{settings.vectors}: holds no track.")
    if settings.track is not None:
        row = vectors.find(settings.track)
        query = known[row : row + 1]
    else:
        assert embedder is not None
        row = -1
        query = _embed_like(embedder, str(settings.file), float(vectors.meta["hop_seconds"]))
    if not settings.raw and not vectors.meta["whiten"]:
        standardise = Standardiser.fit(known)
        known, query = standardise(known), standardise(query)
    found = nearest(known, query, settings.k, names=vectors.track_ids, without=[row])
    rows = vectors.tracks.drop_columns(["vector"]).take(found.rows[0]).to_pylist()
    fields = set(SimilarSong.__dataclass_fields__)
    songs = [
        SimilarSong(**{name: value for name, value in row.items() if name in fields}, cosine=cosine)
        for row, cosine in zip(rows, np.round(found.cosines[0].astype(float), 6).tolist(), strict=True)
    ]
    return SimilarResult(settings.track or str(settings.file), _name_query(settings, vectors, row), songs)


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
    """Embed a file on the grid that the export walked, (1, dim)."""
    mels, frames = embedder.mels_of_file(path), embedder.config.clip_frames
    hop = max(1, round(hop_seconds * embedder.mel.sample_rate / embedder.mel.hop_samples))
    total = np.zeros(embedder.dim)
    starts = clip_starts(len(mels), frames, hop).tolist()
    for start in starts:
        total += embedder.embed_mels(mels[None, start : start + frames])[0].float().cpu().numpy()
    return np.asarray(total / len(starts), dtype=np.float32)[None]


def _name_query(settings: SimilarSettings, vectors: Vectors, row: int) -> str:
    if row < 0:
        return str(settings.file)
    title, artist = (vectors.tracks[name][row].as_py() for name in ("title", "artist"))
    return f"{title or settings.track} — {artist}" if artist else str(title or settings.track)
