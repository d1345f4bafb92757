"""model + song → original, masked and rebuilt, to look at and to listen to.

The model predicts the shape of each masked patch, normalised to mean 0 and variance 1. Its level and spread
are taken from the true patch: what is seen and heard is how well the shape was guessed, not the loudness.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from audiomae.audio.mel import MelSettings, invert_log_mel
from audiomae.checks import require
from audiomae.disk.files import write_atomically
from audiomae.errors import ConfigError, DataError
from audiomae.model.embedder import Embedder, load
from audiomae.model.level import normalise_clips
from audiomae.model.masking import MaskKind, draw_mask
from audiomae.pretraining.pictures import draw_clip, draw_reconstruction
from audiomae.progress import SILENT, Progress

__all__ = [
    "ReconstructResult",
    "ReconstructSettings",
    "rebuild_clip",
    "reconstruct",
    "wav_of",
]


@dataclass(frozen=True)
class ReconstructSettings:
    """Settings of `audiomae reconstruct`.

    Attributes:
        model: Run folder of a model, or the name of one in the package (tiny).
        song: Audio file.
        out: Folder for the picture and the sounds.
        start_seconds: Where the clip starts in the song, in seconds; the middle of the song by default.
        mask: What is masked: spans of time, one_span or single patches.
        ratio: Share of the patches that is masked, in (0, 1).
        longest: Longest span, in columns of patches.
        seed: Key of the mask, and of the phase in the sounds.
        device: Where to compute, such as cpu or cuda:1; auto takes a GPU if there is one.
    """

    model: str
    song: str
    out: str = "reconstruction"
    start_seconds: float | None = None
    mask: MaskKind = "spans"
    ratio: float = 0.7
    longest: int = 4
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.start_seconds is not None:
            require("start_seconds", self.start_seconds, least=0)


@dataclass(frozen=True)
class ReconstructResult:
    """What `reconstruct` wrote.

    Attributes:
        picture: The three log-mels below one another, a PNG with axes.
        pictures: The original, the masked and the rebuilt log-mel, a bare PNG each.
        original: The clip as a sound, from its log-mel.
        masked: What the encoder saw of it; masked patches are silence.
        rebuilt: The clip with the model's guesses in the masked places.
        start_seconds: Where the clip starts in the song.
        clip_seconds: Its length.
        masked_share: Share of its patches that was masked.
        error_db: Root mean square error of the masked places, in dB.
    """

    picture: Path
    pictures: tuple[Path, Path, Path]
    original: Path
    masked: Path
    rebuilt: Path
    start_seconds: float
    clip_seconds: float
    masked_share: float
    error_db: float


def reconstruct(settings: ReconstructSettings, *, progress: Progress = SILENT) -> ReconstructResult:  # noqa: ARG001
    """Write reconstruction.png, and original, masked and rebuilt as .png and .wav.

    The sounds are all three made from their log-mels, so that they differ by what the model did alone.

    Raises:
        DecodeError: If the song cannot be read.
        DataError: If the song is shorter than a clip, or the start lies too late.
    """
    embedder = load(settings.model, device=settings.device)
    mel, sizes, out = embedder.mel, embedder.config, Path(settings.out)
    clip, start = _cut(embedder, settings)
    try:
        mask = draw_mask(
            settings.mask,
            1,
            sizes.columns,
            sizes.rows,
            ratio=settings.ratio,
            longest=settings.longest,
            generator=torch.Generator().manual_seed(settings.seed),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    made = rebuild_clip(embedder, clip, mask)
    draw_reconstruction(
        out / "reconstruction.png",
        made.original,
        made.masked,
        made.rebuilt,
        mel=mel,
        title=f"{Path(settings.song).name}: level and spread of rebuilt patches are the original’s",
        start_seconds=start,
    )
    for name, values in (("original", made.original), ("masked", made.masked), ("rebuilt", made.rebuilt)):
        draw_clip(out / f"{name}.png", values, like=made.original)
        with write_atomically(out / f"{name}.wav") as temporary:
            temporary.write_bytes(wav_of(values, mel, seed=settings.seed))
    return ReconstructResult(
        picture=out / "reconstruction.png",
        pictures=(out / "original.png", out / "masked.png", out / "rebuilt.png"),
        original=out / "original.wav",
        masked=out / "masked.wav",
        rebuilt=out / "rebuilt.wav",
        start_seconds=start,
        clip_seconds=embedder.clip_seconds,
        masked_share=made.masked_share,
        error_db=made.error_db,
    )


class RebuiltClip(NamedTuple):
    """A clip, and what the model made of it; natural log-mels, (frames, mels)."""

    original: NDArray[np.float32]
    """As it is."""
    masked: NDArray[np.float32]
    """What the encoder saw, NaN in the masked places."""
    rebuilt: NDArray[np.float32]
    """With the model's guesses in the masked places."""
    masked_share: float
    """Share of the patches that was masked."""
    error_db: float
    """Root mean square error of the masked places, in dB."""


def rebuild_clip(
    embedder: Embedder, clip: Float[Tensor, "frames mels"], mask: Bool[Tensor, "1 columns rows"]
) -> RebuiltClip:
    """Mask patches of a clip and let the model rebuild them.

    Args:
        embedder: The model.
        clip: Natural log-mel of one clip, as long as the model's.
        mask: True where a patch is masked; at least one is, and one is not.
    """
    sizes = embedder.config
    clip = clip.cpu()
    normal = normalise_clips(clip[None], embedder.std).to(embedder.device)
    filled = embedder.autoencoder.rebuild(normal, mask)[0].float().cpu() * embedder.std + clip.mean()
    masked = mask[0].repeat_interleave(sizes.patch_frames, 0).repeat_interleave(sizes.patch_mels, 1)
    original = clip.numpy()
    rebuilt = torch.where(masked, filled, clip).numpy()
    distance = float(np.sqrt(np.square(original - rebuilt)[masked.numpy()].mean()))
    seen = np.where(masked.numpy(), np.float32(np.nan), original)
    return RebuiltClip(
        original, seen, rebuilt, float(mask.float().mean()), round(distance * 10 / np.log(10), 3)
    )


def _cut(embedder: Embedder, settings: ReconstructSettings) -> tuple[torch.Tensor, float]:
    """Return one clip of the song, (frames, mels), and where it starts, in seconds."""
    mels = embedder.mels_of_file(settings.song)
    mel, frames = embedder.mel, embedder.config.clip_frames
    room = len(mels) - frames
    if room < 0:
        raise DataError(
            f"{settings.song}: {mel.seconds_of(len(mels)):.2f} s; a clip takes {mel.seconds_of(frames):.2f} s. "
            "Take a longer song."
        )
    start = room // 2 if settings.start_seconds is None else mel.frames_of(settings.start_seconds)
    if start > room:
        raise DataError(
            f"{settings.song}: a clip from {settings.start_seconds} s would reach beyond its end; "
            f"use --start_seconds {int(mel.seconds_of(room) * 100) / 100} or less."
        )
    return mels[start : start + frames], mel.seconds_of(start)


def wav_of(log_mel: NDArray[np.floating], mel: MelSettings, *, seed: int) -> bytes:
    """Return a log-mel as a 16-bit WAV file; what is NaN in it is silence.

    Args:
        log_mel: Natural log-mel, (frames, mels).
        mel: Settings it was made with.
        seed: Key of the guessed phase.
    """
    samples = invert_log_mel(np.nan_to_num(log_mel, nan=np.log(mel.floor)), mel, seed=seed)
    wav = io.BytesIO()
    soundfile.write(wav, np.clip(samples, -1, 1), mel.sample_rate, format="WAV", subtype="PCM_16")
    return wav.getvalue()
