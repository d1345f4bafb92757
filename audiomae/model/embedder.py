"""A trained model as its users meet it: waveforms or files in, vectors out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from audiomae.audio.decode import decode_blocks
from audiomae.audio.mel import LogMel, MelSettings, log_mel_blocks
from audiomae.corpus.clips import clip_starts
from audiomae.disk.files import fingerprint_of, read_json, write_json
from audiomae.disk.tensors import read_tensors, write_tensors
from audiomae.errors import ConfigError, DataError, FingerprintError, MissingError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings
from audiomae.model.level import normalise_clips
from audiomae.model.pooling import Pool, pool_tokens, pooled_size
from audiomae.model.whitening import Whitening

__all__ = ["FORMAT", "Embedder", "load", "save", "untrained"]

FORMAT = "audiomae-model/1"

Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Embedder:
    """A masked autoencoder with all it takes to turn audio into vectors.

    Attributes:
        autoencoder: The network, in evaluation mode.
        mel: Settings of its log-mels.
        mean: Mean of the log-mels of the corpus it was trained on.
        std: Their standard deviation.
        layer: Encoder block that vectors are read from, 1 for the first.
        pool: How the tokens of a clip become one vector.
        whiten: A projection applied last, or None.
        fingerprint: What stands for the weights and settings; vectors carry it.

    Example:
        >>> model = untrained(ModelSettings(width=16, depth=1, heads=1, decoder_width=16, decoder_depth=1))
        >>> model.embed(np.zeros((2, 80_000), np.float32), 16_000).shape
        (2, 80)
    """

    autoencoder: Autoencoder
    mel: MelSettings
    mean: float
    std: float
    layer: int
    pool: Pool
    whiten: Whitening | None = None
    fingerprint: str = "untrained"

    @property
    def config(self) -> ModelSettings:
        """Sizes of the network."""
        return self.autoencoder.config

    @property
    def sample_rate(self) -> int:
        """Sample rate that the model hears, in Hz; other rates are resampled."""
        return self.mel.sample_rate

    @property
    def clip_seconds(self) -> float:
        """Length of the clips it was trained on, in seconds."""
        return self.config.clip_frames * self.mel.hop_samples / self.mel.sample_rate

    @property
    def dim(self) -> int:
        """Length of a vector."""
        if self.whiten is not None:
            return self.whiten.dims
        return pooled_size(self.config.width, self.config.rows, self.pool)

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.autoencoder.parameters()).device

    def to(self, device: torch.device | str) -> Embedder:
        """Move the network, in place, and return self."""
        self.autoencoder.to(device)
        return self

    def with_pooling(
        self, *, layer: int | None = None, pool: Pool | None = None, whiten: Whitening | None = None
    ) -> Embedder:
        """Return the same network read out in another way; None keeps the layer and the pooling.

        Raises:
            ConfigError: If there is no such layer, or the whitening takes vectors of another length.
        """
        changed = dataclasses.replace(self, layer=layer or self.layer, pool=pool or self.pool, whiten=None)
        if not 1 <= changed.layer <= self.config.depth:
            raise ConfigError(
                f"layer {changed.layer} is not one of 1 to {self.config.depth}, the encoder's blocks."
            )
        if whiten is not None and len(whiten.mean) != changed.dim:
            raise ConfigError(
                f"the whitening takes vectors of {len(whiten.mean)} values; layer {changed.layer} pooled by "
                f"{changed.pool} gives {changed.dim}. Fit another with --whiten."
            )
        return dataclasses.replace(changed, whiten=whiten)

    @torch.inference_mode()
    def embed_mels(self, log_mels: Float[Tensor, "clips frames mels"]) -> Float[Tensor, "clips values"]:
        """Embed clips given as natural log-mels.

        Args:
            log_mels: Up to a clip's frames, at least one patch; rests below a patch are left out.

        Raises:
            DataError: If the clips are longer than the model's, or hold other mel bands.
        """
        frames, mels = log_mels.shape[1:]
        if frames > self.config.clip_frames or mels != self.config.mels or frames < self.config.patch_frames:
            raise DataError(
                f"log-mels of {frames} frames x {mels} mels; this model takes {self.config.patch_frames} to "
                f"{self.config.clip_frames} frames x {self.config.mels} mels. Cut longer audio with Embedder.embed."
            )
        clips = normalise_clips(log_mels.to(self.device), self.std)
        vectors = pool_tokens(self.autoencoder.encode(clips, layer=self.layer), self.pool)
        if self.whiten is not None:
            vectors = torch.from_numpy(self.whiten.transform(vectors.cpu().numpy()))
        return vectors

    def embed(self, waveforms: npt.ArrayLike | Tensor, sample_rate: int, *, batch: int = 64) -> Vectors:
        """Embed waveforms.

        A waveform longer than a clip is cut every 5 s and its clips' vectors are averaged; a shorter one is one
        short clip. Level does not matter.

        Args:
            waveforms: (clips, samples) or (samples,), mono, in [-1, 1].
            sample_rate: Their rate, in Hz; resampled where it is not the model's.
            batch: Clips a forward pass.

        Returns:
            (clips, dim), float32.

        Raises:
            DataError: If there are no samples, or some are not finite.
        """
        sound = np.atleast_2d(np.asarray(waveforms, dtype=np.float32))
        if sound.ndim != 2 or sound.shape[1] == 0:
            raise DataError(f"waveforms have shape {sound.shape}; give (clips, samples) or (samples,), mono.")
        if not np.isfinite(sound).all():
            raise DataError("waveforms hold samples that are not finite (NaN or infinite); clean them first.")
        if sample_rate != self.sample_rate:
            sound = soxr.resample(sound.T, sample_rate, self.sample_rate, quality="HQ").T
        shortest = self.config.patch_frames * self.mel.hop_samples
        if sound.shape[1] < shortest:
            sound = np.pad(sound, ((0, 0), (0, shortest - sound.shape[1])))
        log_mel = LogMel(self.mel)
        rows = []
        for first in range(0, len(sound), batch):
            mels = log_mel(torch.from_numpy(np.ascontiguousarray(sound[first : first + batch])))
            rows.append(self._embed_long(mels, batch))
        return np.concatenate(rows)

    def embed_files(self, paths: Sequence[Path | str], *, batch: int = 64) -> Vectors:
        """Embed audio files, one vector each: the mean over its clips.

        Raises:
            DecodeError: If a file cannot be read.
        """
        if not paths:
            raise DataError("embed_files was given no path.")
        return np.concatenate([self._embed_long(self.mels_of_file(path)[None], batch) for path in paths])

    def mels_of_file(self, path: Path | str) -> Float[Tensor, "frames mels"]:
        """Read a file's log-mel as a corpus would hold it."""
        blocks: Iterable[npt.NDArray[np.float32]] = decode_blocks(path, self.sample_rate)
        parts = [part.astype(np.float16) for part in log_mel_blocks(blocks, self.mel)]
        mels = torch.from_numpy(np.concatenate(parts)).float()
        missing = self.config.patch_frames - len(mels)
        if missing > 0:
            raise DataError(
                f"{path}: {len(mels)} frames of 10 ms; an embedding needs {self.config.patch_frames}."
            )
        return mels

    def _embed_long(self, mels: Float[Tensor, "clips frames mels"], batch: int) -> Vectors:
        frames = self.config.clip_frames
        hop = round(5.0 * self.mel.sample_rate / self.mel.hop_samples)
        starts = clip_starts(mels.shape[1], frames, hop).tolist()
        mels = mels.half().float()
        windows = torch.cat([mels[:, start : start + frames] for start in starts])
        vectors = torch.cat([self.embed_mels(part) for part in torch.split(windows, batch)])
        return vectors.reshape(len(starts), len(mels), -1).mean(dim=0).cpu().numpy()


def save(embedder: Embedder, folder: Path | str, about: dict[str, Any]) -> str:
    """Write `config.json` and `model.safetensors`, all that inference needs, and return the fingerprint."""
    folder = Path(folder)
    tensors = embedder.autoencoder.state_dict()
    write_tensors(folder / "model.safetensors", tensors)
    description = {
        "model": dataclasses.asdict(embedder.config),
        "mel": dataclasses.asdict(embedder.mel),
        "statistics": {"mean": embedder.mean, "std": embedder.std},
        "readout": {"layer": embedder.layer, "pool": embedder.pool},
    }
    fingerprint = _fingerprint(description, tensors)
    write_json(folder / "config.json", {"format": FORMAT, "fingerprint": fingerprint, **description, **about})
    return fingerprint


def _fingerprint(description: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    raw = [value.detach().cpu().contiguous().numpy().tobytes() for _, value in sorted(tensors.items())]
    # The read-out is chosen anew by each export; what a vector depends on beyond it is here.
    return fingerprint_of({key: description[key] for key in ("model", "mel", "statistics")}, *raw)


def load(folder: Path | str) -> Embedder:
    """Load a trained model from its run folder.

    Args:
        folder: Where `config.json` and `model.safetensors` lie.

    Raises:
        MissingError: If a file is not there, cut short or damaged.
        DataError: If it names a pooling that there is not.
        FingerprintError: If the weights are not those the config was written with.

    Example:
        `model = audiomae.load("run/"); vectors = model.embed_files(["song.flac"])`
    """
    folder = Path(folder)
    described = read_json(folder / "config.json", format=FORMAT)
    if absent := {"model", "mel", "statistics", "readout"} - set(described):
        raise MissingError(f"{folder}/config.json: holds no {', '.join(sorted(absent))}. Take another copy.")
    if (pool := described["readout"].get("pool")) not in get_args(Pool):
        raise DataError(f"{folder}/config.json: pool {pool!r} is not one of {', '.join(get_args(Pool))}.")
    tensors = read_tensors(folder / "model.safetensors")
    if _fingerprint(described, tensors) != described.get("fingerprint"):
        raise FingerprintError(
            f"{folder}: model.safetensors is not the one config.json was written with. Export or copy both together."
        )
    autoencoder = Autoencoder(ModelSettings(**described["model"]))
    autoencoder.load_state_dict(tensors)
    return Embedder(
        autoencoder.eval(),
        mel=MelSettings(**described["mel"]),
        mean=described["statistics"]["mean"],
        std=described["statistics"]["std"],
        layer=described["readout"]["layer"],
        pool=described["readout"]["pool"],
        fingerprint=described["fingerprint"],
    )


def untrained(like: Embedder | ModelSettings, *, seed: int = 0) -> Embedder:
    """Return a model of the same sizes and settings with random weights: the baseline of every probe."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        autoencoder = Autoencoder(like if isinstance(like, ModelSettings) else like.config).eval()
    if isinstance(like, Embedder):
        return dataclasses.replace(
            like, autoencoder=autoencoder, whiten=None, fingerprint=f"untrained-{seed}"
        )
    return Embedder(
        autoencoder, MelSettings(mels=like.mels), mean=0.0, std=1.0, layer=like.depth, pool="freq_concat"
    )
