"""vectors → the songs most similar to a track of the collection, or to an audio file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from audiomae.corpus.clips import clip_starts
from audiomae.errors import ConfigError, DataError, FingerprintError
from audiomae.model.embedder import Embedder, load
from audiomae.model.whitening import Whitening
from audiomae.vectors.search import Standardiser, nearest
from audiomae.vectors.vectors import Vectors

__all__ = ["SimilarSettings", "similar"]


@dataclass(frozen=True)
class SimilarSettings:
    """Settings of `audiomae similar`.

    Attributes:
        vectors: Folder made by `audiomae export`.
        track: Name (track_id) of the track to start from. Give this or file.
        file: Audio file to start from; needs model.
        model: Run folder of the model that the vectors were made with.
        k: Songs to show.
        raw: Whether to take cosines of the vectors as they are. Otherwise each entry is first brought to
            mean 0 and deviation 1 over the collection, unless the vectors are whitened.
        json: Whether to print JSON instead of a table.
    """

    vectors: str
    track: str | None = None
    file: str | None = None
    model: str | None = None
    k: int = 10
    raw: bool = False
    json: bool = False

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


def similar(config: SimilarSettings) -> int:
    """Print the nearest songs, best first.

    Raises:
        DataError: If there is no such track.
        FingerprintError: If the vectors were made with another model than `model`.
    """
    vectors = Vectors.open(config.vectors)
    embedder = None if config.model is None else _matching_model(config.model, vectors)
    known = vectors.track_vectors
    if not len(known):
        raise DataError(f"{config.vectors}: holds no track.")
    if config.track is not None:
        row = vectors.find(config.track)
        query = known[row : row + 1]
    else:
        assert embedder is not None
        row = -1
        query = _embed_like(embedder, str(config.file), float(vectors.meta["hop_seconds"]))
    if not config.raw and not vectors.meta["whiten"]:
        standardise = Standardiser.fit(known)
        known, query = standardise(known), standardise(query)
    found = nearest(known, query, config.k, names=vectors.track_ids, without=[row])
    rows = vectors.tracks.drop_columns(["vector"]).take(found.rows[0]).to_pylist()
    results = [
        {**entry, "cosine": round(float(cosine), 6)}
        for entry, cosine in zip(rows, found.cosines[0], strict=True)
    ]
    if config.json:
        print(
            json.dumps(
                {"query": config.track or config.file, "similar": results}, indent=2, ensure_ascii=False
            )
        )
    else:
        _print_table(results, _name_query(config, vectors, row))
    return 0


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


def _name_query(config: SimilarSettings, vectors: Vectors, row: int) -> str:
    if row < 0:
        return str(config.file)
    title, artist = (vectors.tracks[name][row].as_py() for name in ("title", "artist"))
    return f"{title or config.track} — {artist}" if artist else str(title or config.track)


def _print_table(results: list[dict[str, Any]], query: str) -> None:
    table = Table(title=f"Most similar to {query}", title_justify="left")
    table.add_column("", justify="right")
    for name in ("title", "artist", "track_id"):
        table.add_column(name, overflow="fold")
    table.add_column("cosine", justify="right")
    for place, entry in enumerate(results, 1):
        shown = [str(entry[name]) for name in ("title", "artist", "track_id")]
        table.add_row(str(place), *shown, f"{entry['cosine']:.3f}")
    Console(markup=False, width=max(110, Console().width)).print(table)
