"""Sound as its users hold it (arrays, tensors, lists, any number type, stereo) → mono float32 waveforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from torch import Tensor

from audiomae.audio.decode import LOUDEST
from audiomae.audio.downmix import Downmix
from audiomae.audio.frames import BLOCK_VALUES
from audiomae.errors import ConfigError, DataError

__all__ = ["Channels", "Waveforms", "group_waveforms"]

Channels = Literal["none", "first", "last"]
"""Where the axis of channels stands in each sound; `none` says that there is none."""
Waveforms = npt.ArrayLike | Tensor | Sequence[npt.ArrayLike | Tensor]

INTEGERS = {"int8": 7, "int16": 15, "int32": 31}
"""Types of samples that are scaled, and the power of two that is full scale."""
MOST_CHANNELS = 8
"""A last axis of no more entries than this holds channels, not samples."""


class WaveformGroup(NamedTuple):
    """Waveforms of one length."""

    rows: npt.NDArray[np.int64]
    """Their places among all that were given."""
    sounds: npt.NDArray[np.float32]
    """The waveforms, (clips, samples), in [-1, 1]."""


def group_waveforms(waveforms: Waveforms, channels: Channels | None, sample_rate: int) -> list[WaveformGroup]:
    """Read what was given, scale it, mix channels as files are mixed, and put waveforms of one length together.

    Args:
        waveforms: (samples,), (clips, samples), or a sequence of waveforms of any lengths; with `channels`, each has
            that axis too.
        channels: Where each sound's channels are; None for mono, refused where two rows may as well be channels.
        sample_rate: Rate of the samples, in Hz.

    Returns:
        One group a length; every sound is in one of them.

    Raises:
        ConfigError: If there is no such place for channels.
        DataError: If the shape can be read in two ways, a type has no full scale, there are no samples, or some are
            not finite or far beyond [-1, 1].
    """
    if channels is not None and channels not in get_args(Channels):
        raise ConfigError(
            f"channels is {channels!r}; it must be one of {', '.join(get_args(Channels))}, or None."
        )
    if isinstance(waveforms, list | tuple) and not waveforms:
        raise DataError("embed was given no waveform.")
    if isinstance(waveforms, list | tuple) and _to_array(waveforms[0]).ndim:
        sounds = [_read_one(_to_array(one), channels, sample_rate) for one in waveforms]
        lengths = np.array([len(sound) for sound in sounds], np.int64)
        every = [np.flatnonzero(lengths == length) for length in dict.fromkeys(lengths.tolist())]
        return [WaveformGroup(rows, np.stack([sounds[row] for row in rows.tolist()])) for rows in every]
    sound = _read_many(_to_array(waveforms), channels, sample_rate)
    return [WaveformGroup(np.arange(len(sound)), sound)]


def _to_array(values: Any) -> npt.NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return np.asarray((values.float() if values.is_floating_point() else values).numpy())
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(
            "waveforms of several lengths lie in a list within a list; give one list of waveforms."
        ) from None


def _read_one(
    values: npt.NDArray[Any], channels: Channels | None, sample_rate: int
) -> npt.NDArray[np.float32]:
    """Return one sound of a list, (samples,)."""
    if values.ndim == 1 or (channels in ("first", "last") and values.ndim == 2):
        sound: npt.NDArray[np.float32] = _read_many(values, channels, sample_rate)[0]
        return sound
    raise DataError(
        f"waveforms in a list have shape {values.shape}; give (samples,) each, or say where the channels are: "
        "channels='first' or 'last'."
    )


def _read_many(
    values: npt.NDArray[Any], channels: Channels | None, sample_rate: int
) -> npt.NDArray[np.float32]:
    """Return the sounds of one array, (clips, samples)."""
    shape = values.shape
    if 0 in shape:
        raise DataError(f"waveforms have shape {shape}: no samples.")
    if channels in ("first", "last") and values.ndim in (2, 3):
        sound = _mono(_scaled(values), channels, sample_rate)
    elif values.ndim in (1, 2):
        if values.ndim == 2 and channels is None:
            _refuse_channels(shape)
        sound = _scaled(values)
    else:
        raise DataError(
            f"waveforms have shape {shape}; give (samples,) or (clips, samples), mono, or say where the channels are: "
            "channels='first' or 'last'."
        )
    return np.atleast_2d(sound)


def _mono(sounds: npt.NDArray[np.float32], channels: Channels, sample_rate: int) -> npt.NDArray[np.float32]:
    """Return sounds with an axis of channels as mono, by the rule of files (`Downmix`), block by block."""
    if channels == "last":
        sounds = np.swapaxes(sounds, -1, -2)
    if sounds.ndim == 3:
        return np.stack([_mono(sound, "first", sample_rate) for sound in sounds])
    downmix, block = Downmix(sample_rate), max(BLOCK_VALUES // len(sounds), 1)
    starts = range(0, sounds.shape[1], block)
    return np.concatenate([downmix.mono(np.ascontiguousarray(sounds[:, at : at + block])) for at in starts])


def _refuse_channels(shape: tuple[int, ...]) -> None:
    """Refuse a shape that a stereo sound has too: nobody should get two vectors for one sound without a word."""
    if 1 <= shape[1] <= MOST_CHANNELS:
        raise DataError(
            f"waveforms have shape {shape}, which looks like (samples, channels). Say channels='last', or give "
            "(clips, samples)."
        )
    if shape[0] == 2:
        raise DataError(
            f"waveforms have shape {shape}: two clips, or one stereo sound? Say channels='none' for two clips, or "
            "channels='first' for stereo."
        )


def _scaled(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return samples as float32 with full scale at 1."""
    kind = values.dtype
    if kind.name == "uint8":
        return (values.astype(np.float32) - 128) / np.float32(128)
    if kind.name in INTEGERS:
        return values.astype(np.float32) / np.float32(2 ** INTEGERS[kind.name])
    if kind.kind in "US":
        raise DataError(f"waveforms are {kind}, not samples; use embed_files for the paths of files.")
    if kind.kind != "f":
        raise DataError(
            f"waveforms are {kind}, whose full scale nobody knows; give int16 or int32, or float in [-1, 1]."
        )
    sound = values.astype(np.float32)
    if not np.isfinite(sound).all():
        raise DataError("waveforms hold samples that are not finite (NaN or infinite); clean them first.")
    if (peak := float(np.abs(sound).max(initial=0.0))) > LOUDEST:
        raise DataError(
            f"waveforms are float and reach {peak:g}, far beyond [-1, 1]; divide them by their full scale (32768 "
            "for 16-bit samples), or give them as int16."
        )
    return sound
