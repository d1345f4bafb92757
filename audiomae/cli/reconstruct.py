"""model + song → original, blanked and rebuilt, to look at and to listen to.

The model predicts the shape of each blanked patch, normalised to mean 0 and variance 1. Its level and spread
are taken from the true patch: what is seen and heard is how well the shape was guessed, not the loudness.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from audiomae.audio.mel import invert_log_mel
from audiomae.disk.files import write_atomically
from audiomae.errors import ConfigError, DataError
from audiomae.model.embedder import Embedder, load
from audiomae.model.level import normalise_clips
from audiomae.model.masking import MaskKind, blank
from audiomae.pretraining.pictures import draw_reconstruction

__all__ = ["ReconstructSettings", "reconstruct"]


@dataclass(frozen=True)
class ReconstructSettings:
    """Settings of `audiomae reconstruct`.

    Attributes:
        model: Run folder of a model, or the name of one in the package (tiny).
        song: Audio file.
        out: Folder for the picture and the sounds.
        start_seconds: Where the clip starts in the song, in seconds; the middle of the song by default.
        mask: What is blanked: spans of time, one_span or single patches.
        ratio: Share of the patches that is blanked, in (0, 1).
        longest: Longest span, in columns of patches.
        seed: Key of the mask, and of the phase in the sounds.
    """

    model: str
    song: str
    out: str = "reconstruction"
    start_seconds: float | None = None
    mask: MaskKind = "spans"
    ratio: float = 0.7
    longest: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.start_seconds is not None and self.start_seconds < 0:
            raise ConfigError(f"start_seconds is {self.start_seconds}; it must be 0 or more.")


def reconstruct(config: ReconstructSettings) -> int:
    """Write reconstruction.png, original.wav, blanked.wav and rebuilt.wav.

    The sounds are all three made from their log-mels, so that they differ by what the model did alone. A
    blanked patch is silence in blanked.wav.

    Raises:
        DecodeError: If the song cannot be read.
        DataError: If the song is shorter than a clip, or the start lies too late.
    """
    embedder = load(config.model, device="cpu")
    mel, sizes, out = embedder.mel, embedder.config, Path(config.out)
    clip, start = _cut(embedder, config)
    try:
        mask = blank(
            config.mask,
            1,
            sizes.columns,
            sizes.rows,
            ratio=config.ratio,
            longest=config.longest,
            generator=torch.Generator().manual_seed(config.seed),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    normal = normalise_clips(clip[None], embedder.std)
    filled = embedder.autoencoder.rebuild(normal, mask)[0] * embedder.std + clip.mean()
    hidden = mask[0].repeat_interleave(sizes.patch_frames, 0).repeat_interleave(sizes.patch_mels, 1)
    original = clip.numpy()
    rebuilt = torch.where(hidden, filled.float(), clip).numpy()
    distance = float(np.sqrt(np.square(original - rebuilt)[hidden.numpy()].mean()))
    draw_reconstruction(
        out / "reconstruction.png",
        original,
        np.where(hidden.numpy(), np.nan, original),
        rebuilt,
        mel=mel,
        title=f"{Path(config.song).name}: level and spread of rebuilt patches are the original’s",
        start_seconds=start,
    )
    silence = np.where(hidden.numpy(), np.float32(np.log(mel.floor)), original)
    for name, values in (("original", original), ("blanked", silence), ("rebuilt", rebuilt)):
        _write_wav(out / f"{name}.wav", invert_log_mel(values, mel, seed=config.seed), mel.sample_rate)
    print(
        json.dumps(
            {"out": str(out), "start_seconds": start, "error_db": round(distance * 10 / np.log(10), 3)}
        )
    )
    return 0


def _cut(embedder: Embedder, config: ReconstructSettings) -> tuple[torch.Tensor, float]:
    """Return one clip of the song, (frames, mels), and where it starts, in seconds."""
    mels = embedder.mels_of_file(config.song)
    per_second = embedder.mel.sample_rate / embedder.mel.hop_samples
    frames = embedder.config.clip_frames
    room = len(mels) - frames
    if room < 0:
        raise DataError(
            f"{config.song}: {len(mels) / per_second:.2f} s; a clip takes {frames / per_second:.2f} s. "
            "Take a longer song."
        )
    start = room // 2 if config.start_seconds is None else round(config.start_seconds * per_second)
    if start > room:
        raise DataError(
            f"{config.song}: a clip from {config.start_seconds} s would reach beyond its end; "
            f"use --start_seconds {int(room / per_second * 100) / 100} or less."
        )
    return mels[start : start + frames], start / per_second


def _write_wav(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    wav = io.BytesIO()
    soundfile.write(wav, np.clip(samples, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    with write_atomically(path) as temporary:
        temporary.write_bytes(wav.getvalue())
