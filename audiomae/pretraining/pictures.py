"""Pictures of log-mels: what was there, what the encoder saw, what the decoder made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import librosa.display
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from audiomae.disk.files import write_atomically

if TYPE_CHECKING:
    from audiomae.audio.mel import MelSettings

__all__ = ["draw_clip", "draw_reconstruction"]

DECIBELS_PER_NEPER = 10 / np.log(10)
"""A natural logarithm of power, times this, is in decibels."""


def draw_reconstruction(
    path: Path | str,
    original: NDArray[np.floating],
    masked: NDArray[np.floating],
    rebuilt: NDArray[np.floating],
    *,
    mel: MelSettings,
    title: str = "",
    start_seconds: float = 0.0,
) -> None:
    """Draw three log-mels below one another as a PNG, time in seconds and frequency in Hz.

    All three share the colour range of `original`, so a flat or noisy rebuild looks flat or noisy.

    Args:
        path: The PNG to write, atomically; the same arrays give the same bytes.
        original: Natural log-mel, (frames, mels).
        masked: The same, NaN where the encoder saw nothing: drawn grey. (frames, mels).
        rebuilt: What the decoder made of it, (frames, mels).
        mel: Settings of the log-mels, for the axes.
        title: A line above the picture.
        start_seconds: Where in the song the first frame lies.

    Raises:
        ValueError: If the three shapes differ or the mels are not those of `mel`.
        StorageError: If the disk refuses the picture.
    """
    shape = original.shape
    if original.ndim != 2 or masked.shape != shape or rebuilt.shape != shape or shape[1] != mel.mels:
        raise ValueError(
            f"shapes {shape}, {masked.shape} and {rebuilt.shape} must all be (frames, {mel.mels} mels)"
        )
    figure = FigureCanvasAgg(Figure(figsize=(9, 8), layout="constrained")).figure
    axes = figure.subplots(3, 1, sharex=True)
    low, high = (float(edge) for edge in np.nanpercentile(original, (1, 99.9)) * DECIBELS_PER_NEPER)
    colours = colormaps["magma"].with_extremes(bad="0.6")  # grey where the encoder saw nothing
    seconds = start_seconds + mel.seconds_of(np.arange(shape[0]))
    names = ("original", "masked: grey is what the encoder did not see", "rebuilt")
    for axis, name, values in zip(axes, names, (original, masked, rebuilt), strict=True):
        drawn = librosa.display.specshow(
            np.asarray(values, dtype=np.float32).T * DECIBELS_PER_NEPER,
            sr=mel.sample_rate,
            hop_length=mel.hop_samples,
            fmin=mel.low_hz,
            fmax=mel.high_hz,
            x_coords=seconds,
            x_axis="s",
            y_axis="mel",
            ax=axis,
            cmap=colours,
            vmin=low,
            vmax=max(high, low + 1.0),
        )
        axis.set(title=name, ylabel="Hz", xlabel="")
    axes[-1].set_xlabel("seconds")
    figure.colorbar(drawn, ax=list(axes), label="dB")
    if title:
        figure.suptitle(title)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})


def draw_clip(path: Path | str, log_mel: NDArray[np.floating], *, like: NDArray[np.floating]) -> None:
    """Draw one log-mel as a bare PNG, without axes: a pixel a frame and band, low bands below.

    Args:
        path: The PNG to write, atomically; the same arrays give the same bytes.
        log_mel: Natural log-mel, NaN where there is nothing to see: drawn grey. (frames, mels).
        like: The log-mel whose colour range it takes, (frames, mels).

    Raises:
        StorageError: If the disk refuses the picture.
    """
    low, high = (float(edge) for edge in np.nanpercentile(like, (1, 99.9)))
    colours = colormaps["magma"].with_extremes(bad="0.6")
    with write_atomically(path) as temporary:
        imsave(
            temporary,
            np.asarray(log_mel, dtype=np.float32).T,
            format="png",
            origin="lower",
            cmap=colours,
            vmin=low,
            vmax=max(high, low + 0.1),
            metadata={
                "Software": "audiomae"
            },  # in place of matplotlib's version: the same bytes from every one
        )
