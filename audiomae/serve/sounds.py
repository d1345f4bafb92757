"""What takes the model: vectors of files that are sent, pictures of songs, and what is masked rebuilt.

Imported late (it brings torch, whose import takes seconds); its functions are called in threads of the server.
"""

from __future__ import annotations

import base64
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomae.audio.mel import MelSettings
from audiomae.corpus.clips import clip_starts
from audiomae.errors import ConfigError, DataError, FingerprintError
from audiomae.model.config import ModelSettings
from audiomae.model.embedder import Embedder, load
from audiomae.model.whitening import Whitening
from audiomae.pretraining.pictures import draw_clip
from audiomae.serve.apart import Decoder
from audiomae.vectors.vectors import Vectors
from audiomae.verbs.reconstruct import rebuild_clip, wav_of

__all__ = [
    "Sounds",
]

KEPT_MELS = 8
"""Songs whose log-mels are kept for the next request."""
LEAST_SHARE = 0.5
"""Share of a patch that must lie in a span for it to be masked."""
Span = tuple[float, float]


class Sounds:
    """The model of a collection, at work for one request at a time.

    Args:
        name: Run folder of the model, or the name of one in the package.
        vectors: The collection; its vectors were made with it.
        decoder: What decodes files.
        device: Where it computes, as `load` takes it.

    Raises:
        FingerprintError: If the vectors were made with another model.
    """

    def __init__(self, name: str, vectors: Vectors, decoder: Decoder, device: str = "auto") -> None:
        self.embedder, self.decoder = _matching_model(name, vectors, device), decoder
        self.hop_frames = max(1, self.embedder.mel.frames_of(float(vectors.meta["hop_seconds"])))
        self.lock = threading.Lock()
        self.mels: OrderedDict[tuple[str, int], Tensor] = OrderedDict()

    def mels_of(self, path: Path, name: str) -> Tensor:
        """Return a file's log-mel, (frames, mels), decoded in a process of its own."""
        key = (str(path), path.stat().st_mtime_ns)
        with self.lock:
            if (known := self.mels.get(key)) is not None:
                self.mels.move_to_end(key)
                return known
        with tempfile.TemporaryDirectory(prefix="audiomae-serve-") as folder:
            wav = Path(folder) / "decoded.wav"
            self.decoder.decode(path, wav, self.embedder.sample_rate, name=name)
            try:
                mels = self.embedder.mels_of_file(wav)
            except DataError as error:
                raise DataError(str(error).replace(str(wav), name)) from None
        with self.lock:
            self.mels[key] = mels
            while len(self.mels) > KEPT_MELS:
                self.mels.popitem(last=False)
        return mels

    def embed(self, path: Path, name: str) -> tuple[float, NDArray[np.float32]]:
        """Return a file's length in seconds and its vector, (dim,), on the grid that the export walked."""
        mels, frames = self.mels_of(path, name), self.embedder.config.clip_frames
        starts = clip_starts(len(mels), frames, self.hop_frames).tolist()
        total = np.zeros(self.embedder.dim)
        with torch.inference_mode():
            for start in starts:
                clip = mels[None, start : start + frames]
                total += self.embedder.embed_mels(clip)[0].float().cpu().numpy()
        return self.embedder.mel.seconds_of(len(mels)), np.asarray(total / len(starts), np.float32)

    def picture(self, path: Path, name: str, start_seconds: float, seconds: float) -> bytes:
        """Return a part of a song's log-mel as a PNG, a pixel a frame and band."""
        mels, mel = self.mels_of(path, name), self.embedder.mel
        first = mel.frames_of(start_seconds)
        part = mels[first : first + max(1, mel.frames_of(seconds))].numpy()
        if not len(part):
            raise DataError(f"{name}: ends at {mel.seconds_of(len(mels)):.2f} s, before {start_seconds:g} s.")
        return _png(part, like=part)

    def rebuild(
        self,
        path: Path,
        name: str,
        start_seconds: float,
        spans: Sequence[Span],
        bands: Sequence[Span] | None,
        seed: int,
    ) -> dict[str, Any]:
        """Mask spans of time (in bands of frequency) of one clip of a song, and rebuild them.

        Raises:
            DataError: If the song is shorter than a clip.
            ConfigError: If nothing would be masked, or nothing visible.
        """
        mels, mel, sizes = self.mels_of(path, name), self.embedder.mel, self.embedder.config
        room = len(mels) - sizes.clip_frames
        if room < 0:
            raise DataError(
                f"{name}: {mel.seconds_of(len(mels)):.2f} s; a clip takes {mel.seconds_of(sizes.clip_frames):.2f} s."
            )
        start = min(room, mel.frames_of(start_seconds))
        clip = mels[start : start + sizes.clip_frames]
        made = rebuild_clip(self.embedder, clip, choose_patches(mel, sizes, spans, bands))
        parts = {"original": made.original, "masked": made.masked, "rebuilt": made.rebuilt}
        return {
            "clip_seconds": self.embedder.clip_seconds,
            "start_seconds": mel.seconds_of(start),
            "masked_share": made.masked_share,
            "error_db": made.error_db,
            "pictures": {
                part: _data_url("image/png", _png(values, like=made.original))
                for part, values in parts.items()
            },
            "sounds": {
                part: _data_url("audio/wav", wav_of(values, mel, seed=seed)) for part, values in parts.items()
            },
        }


def choose_patches(
    mel: MelSettings, sizes: ModelSettings, spans: Sequence[Span], bands: Sequence[Span] | None
) -> Tensor:
    """Return the mask of a clip that spans of time in bands of frequency ask for, (1, columns, rows).

    A patch is masked where at least half of it lies in a span and a band; of a span too short for that, the patch that
    it covers most of.

    Args:
        mel: Settings of the log-mels.
        sizes: Of the model.
        spans: From and to, in seconds within the clip.
        bands: From and to, in Hz; None for all.

    Raises:
        ConfigError: If nothing would be masked, or nothing visible.
    """
    seconds = mel.seconds_of(np.arange(sizes.clip_frames)) + mel.seconds_of(1) / 2
    # Centres of the bands, on the scale that the filters are made with.
    hertz = librosa.mel_frequencies(sizes.mels + 2, fmin=mel.low_hz, fmax=mel.high_hz)[1:-1]
    columns = _covered(seconds, spans, sizes.patch_frames)
    rows = np.ones(sizes.rows, bool) if bands is None else _covered(hertz, bands, sizes.patch_mels)
    mask = columns[:, None] & rows[None, :]
    if not mask.any():
        raise ConfigError(
            f"the spans cover nothing of the clip, which lasts {mel.seconds_of(sizes.clip_frames):.2f} s and reaches "
            f"from {mel.low_hz:g} to {mel.high_hz:g} Hz."
        )
    if mask.all():
        raise ConfigError("the spans cover the whole clip; the model must see at least one patch of it.")
    return torch.from_numpy(mask)[None]


def _covered(places: NDArray[np.floating], spans: Sequence[Span], patch: int) -> NDArray[np.bool_]:
    """Return which patches of so many places each lie in one of the spans."""
    chosen = np.zeros(len(places) // patch, bool)
    for first, last in spans:
        shares = ((places >= first) & (places < last)).reshape(-1, patch).mean(axis=1)
        if shares.any():
            chosen |= (shares >= LEAST_SHARE) | ((shares == shares.max()) & (shares.max() < LEAST_SHARE))
    return chosen


def _png(values: NDArray[np.floating], *, like: NDArray[np.floating]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="audiomae-serve-") as folder:
        draw_clip(Path(folder) / "mel.png", values, like=like)
        return (Path(folder) / "mel.png").read_bytes()


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _matching_model(name: str, vectors: Vectors, device: str) -> Embedder:
    """Return the model that the vectors were made with, reading as they were."""
    meta, folder = vectors.meta, vectors.folder
    embedder = load(name, device=device)
    if embedder.fingerprint != meta["model_fingerprint"]:
        raise FingerprintError(
            f"{folder}: was made with model {meta['model_fingerprint']}, but {name} is {embedder.fingerprint}. Name "
            "the model that made the vectors, or export them again."
        )
    whitening = Whitening.load(folder / "whitening.safetensors") if meta["whiten"] else None
    if whitening is not None and whitening.fingerprint != meta["whitening_fingerprint"]:
        raise FingerprintError(
            f"{folder}: its whitening is not the one the vectors were made with. Export again."
        )
    return embedder.with_pooling(layer=meta["layer"], pool=meta["pool"], whiten=whitening)
