"""A trained model as its users meet it: waveforms or files in, vectors out."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from audiomae.audio.decode import decode_blocks
from audiomae.audio.mel import LogMel, MelSettings, log_mel_blocks
from audiomae.audio.quiet import Loudness, gain_of, raise_quiet
from audiomae.checks import require
from audiomae.corpus.clips import clip_starts
from audiomae.disk.files import fingerprint_of, read_json, write_json
from audiomae.disk.records import as_record
from audiomae.disk.tensors import check_tensors, read_tensors, write_tensors
from audiomae.errors import AudiomaeError, ConfigError, DataError, FingerprintError
from audiomae.model.autoencoder import Autoencoder
from audiomae.model.config import ModelSettings
from audiomae.model.description import Description
from audiomae.model.devices import pick_device
from audiomae.model.readout import Readout
from audiomae.model.released import model_folder
from audiomae.model.waveforms import Channels, Waveforms, group_waveforms

__all__ = ["Embedder", "FileVector", "load", "save", "untrained"]

FORMAT = "audiomae-model/1"

log = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]
Paths = Path | str | Iterable[Path | str]


class FileVector(NamedTuple):
    """What became of one audio file."""

    path: Path | str
    """The file, as it was named."""
    vector: Vectors | None
    """(dim,), float32; None where the file cannot be used."""
    error: AudiomaeError | None
    """Why not; None where it can."""


@dataclasses.dataclass(frozen=True)
class Embedder(Readout):
    """A masked autoencoder with all it takes to turn sound into vectors; attributes as in `Readout`.

    Example:
        >>> model = untrained(ModelSettings(width=16, depth=1, heads=1, decoder_width=16, decoder_depth=1))
        >>> model.embed(np.zeros((3, 80_000), np.float32), 16_000).shape
        (3, 80)
    """

    def embed(
        self,
        waveforms: Waveforms,
        sample_rate: int,
        *,
        channels: Channels | None = None,
        batch: int = 64,
    ) -> Vectors:
        """Embed waveforms: NumPy arrays, torch tensors of any device, or lists.

        A waveform longer than a clip is cut every `hop_seconds` and its clips' vectors are averaged; a shorter one is
        one short clip. Level does not matter: quiet ones are made louder first (`audiomae/audio/quiet.py`).

        Args:
            waveforms: (samples,), (clips, samples), or a list of waveforms of any lengths. Floats lie in [-1, 1];
                integers of 8, 16 and 32 bits are scaled to it.
            sample_rate: Their rate, in Hz; resampled where it is not the model's.
            channels: Where the axis of channels stands in each sound: `first` takes (channels, samples) and (clips,
                channels, samples), `last` (samples, channels) and (clips, samples, channels). Channels are mixed as
                those of files are: their mean, unless they cancel one another (`audiomae/audio/downmix.py`).
                `none` says that (2, samples) are two clips. By default, shapes that stereo has too are refused.
            batch: Clips a forward pass.

        Returns:
            (clips, dim), float32.

        Raises:
            ConfigError: If `channels` or `batch` is out of range.
            DataError: If the shape can be read in two ways, a type has no full scale, there are no samples, or some
                are not finite or far beyond [-1, 1].
        """
        require("batch", batch, least=1)
        require("sample_rate", sample_rate, least=1, unit="Hz")
        groups = group_waveforms(waveforms, channels, sample_rate)
        out = np.empty((sum(len(group.rows) for group in groups), self.dim), np.float32)
        for group in groups:
            out[group.rows] = self._embed_equal(group.sounds, sample_rate, batch)
        return out

    def _embed_equal(
        self, sounds: Float[np.ndarray, "clips samples"], sample_rate: int, batch: int
    ) -> Vectors:
        """Embed mono waveforms of one length."""
        if sample_rate != self.sample_rate:
            sounds = soxr.resample(sounds.T, sample_rate, self.sample_rate, quality="HQ").T
        shortest = self.config.patch_frames * self.mel.hop_samples
        if sounds.shape[1] < shortest:
            sounds = np.pad(sounds, ((0, 0), (0, shortest - sounds.shape[1])))
        log_mel, sounds = LogMel(self.mel), raise_quiet(sounds)
        rows = []
        for first in range(0, len(sounds), batch):
            mels = log_mel(torch.from_numpy(np.ascontiguousarray(sounds[first : first + batch])))
            rows.append(self._embed_long(mels, batch))
        return np.concatenate(rows)

    def embed_files(
        self, paths: Paths, *, batch: int = 64, on_error: Literal["raise", "skip"] = "raise"
    ) -> Vectors:
        """Embed audio files, one vector each: the mean over its clips.

        Args:
            paths: One file, or several.
            batch: Clips a forward pass.
            on_error: What to do with a file that cannot be used: `raise` its error, or `skip` it with a warning in
                the log. `iter_files` says which file each vector is of.

        Returns:
            (files, dim), float32; of the files that were not skipped.

        Raises:
            DecodeError: If a file cannot be read.
            DataError: If a file is too short, or there is none.
            ConfigError: If `on_error` is something else.
        """
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"on_error is {on_error!r}; it must be raise or skip.")
        rows, skipped = [], 0
        for _, vector, error in self.iter_files(paths, batch=batch):
            if vector is not None:
                rows.append(vector)
            elif error is not None and on_error == "raise":
                raise error
            else:
                skipped += 1
                log.warning("left out %s", error)
        if not rows and not skipped:
            raise DataError("embed_files was given no path.")
        return np.stack(rows) if rows else np.empty((0, self.dim), np.float32)

    def iter_files(self, paths: Paths, *, batch: int = 64) -> Iterator[FileVector]:
        """Embed audio files one by one, in order; a file that cannot be used comes with its error.

        Args:
            paths: One file, or several.
            batch: Clips a forward pass.

        Yields:
            The file, its vector (dim,) or None, and the error or None.
        """
        require("batch", batch, least=1)
        for path in [paths] if isinstance(paths, str | Path) else paths:
            try:
                vector = self._embed_long(self.mels_of_file(path)[None], batch)[0]
            except AudiomaeError as error:
                yield FileVector(path, None, error)
            else:
                yield FileVector(path, vector, None)

    def mels_of_file(self, path: Path | str) -> Float[Tensor, "frames mels"]:
        """Read a file's log-mel as a corpus would hold it."""
        loudness = Loudness()
        blocks: Iterable[npt.NDArray[np.float32]] = loudness.through(decode_blocks(path, self.sample_rate))
        parts = [part.astype(np.float16) for part in log_mel_blocks(blocks, self.mel)]
        if (gain := gain_of(loudness.level)) != 1:
            blocks = (block * gain for block in decode_blocks(path, self.sample_rate))
            parts = [part.astype(np.float16) for part in log_mel_blocks(blocks, self.mel)]
        mels = torch.from_numpy(np.concatenate(parts)).float()
        if len(mels) < self.config.patch_frames:
            shortest = self.mel.seconds_of(self.config.patch_frames)
            raise DataError(
                f"{path}: {self.mel.seconds_of(len(mels)):.2f} s; an embedding needs {shortest:.2f} s. Take a longer "
                "song."
            )
        return mels

    def _embed_long(self, mels: Float[Tensor, "clips frames mels"], batch: int) -> Vectors:
        frames = self.config.clip_frames
        starts = clip_starts(mels.shape[1], frames, self.mel.frames_of(self.hop_seconds)).tolist()
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


def load(name: Path | str, *, device: torch.device | str = "auto") -> Embedder:
    """Load a trained model: one that comes with the package, by its name, or a run folder.

    Args:
        name: Such as `tiny`, or the folder where `config.json` and `model.safetensors` lie; an existing folder wins
            over a name.
        device: Where it computes: `auto`, a GPU if there is one; or such as `cpu` or `cuda:1`.

    Raises:
        ConfigError: If the device cannot be used.
        MissingError: If there is no such model, or a file is cut short or damaged.
        DataError: If an entry of the config is of another type or out of range, or the weights do not fit it.
        FingerprintError: If the weights are not those the config was written with.

    Example:
        `model = audiomae.load("tiny"); vectors = model.embed_files("song.flac")`
    """
    place, folder = pick_device(device), model_folder(name)
    described = read_json(folder / "config.json", format=FORMAT)
    model = as_record(described, Description, where=folder / "config.json")
    as_record(described["mel"], MelSettings, where=folder / "config.json", strict=True)
    as_record(described["model"], ModelSettings, where=folder / "config.json", strict=True)
    if not 1 <= model.readout.layer <= model.model.depth or model.mel.mels != model.model.mels:
        raise DataError(
            f"{folder / 'config.json'}: layer {model.readout.layer} of {model.model.depth}, {model.mel.mels} mel bands "
            f"of {model.model.mels}: its parts do not fit together. Take another copy."
        )
    tensors = read_tensors(folder / "model.safetensors")
    with torch.device("meta"):  # shapes without memory, so that what is built is no larger than the file
        wanted = Autoencoder(model.model).state_dict()
    check_tensors(folder / "model.safetensors", tensors, wanted)
    if _fingerprint(described, tensors) != model.fingerprint:
        raise FingerprintError(
            f"{folder}: model.safetensors is not the one config.json was written with. Export or copy both together."
        )
    autoencoder = Autoencoder(model.model)
    autoencoder.load_state_dict(tensors)
    return Embedder(
        autoencoder.eval(),
        mel=model.mel,
        mean=model.statistics.mean,
        std=model.statistics.std,
        layer=model.readout.layer,
        pool=model.readout.pool,
        fingerprint=model.fingerprint,
    ).to(place)


def untrained(like: Embedder | ModelSettings, *, seed: int = 0) -> Embedder:
    """Return a model of the same sizes and settings with random weights: the baseline of every probe."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        autoencoder = Autoencoder(like if isinstance(like, ModelSettings) else like.config).eval()
    if isinstance(like, Embedder):
        return dataclasses.replace(
            like, autoencoder=autoencoder.to(like.device), whiten=None, fingerprint=f"untrained-{seed}"
        )
    return Embedder(
        autoencoder, MelSettings(mels=like.mels), mean=0.0, std=1.0, layer=like.depth, pool="freq_concat"
    )
