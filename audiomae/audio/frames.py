"""Small frames of a decoder gathered into blocks worth handling, in float32 and mono."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from audiomae.audio.container import PacketReader
from audiomae.audio.downmix import Downmix
from audiomae.errors import DecodeError

__all__ = ["BLOCK_VALUES", "Block", "gather"]

Block = NDArray[np.float32]
PLANES = 8
"""Planes of a frame that FFmpeg keeps in the frame itself."""
BLOCK_VALUES = 1 << 18
"""Samples times channels handled at once."""
RATES = (1_000, 768_000)
"""Sample rates taken at their word, in Hz; a flipped bit in a header asks for others."""


def gather(name: str, reader: PacketReader) -> Iterator[tuple[int, Block]]:
    """Yield rates in Hz and mono blocks of a fixed size, gathered from frames of any; the last ones are shorter.

    Frames of another rate or number of channels begin a new block.
    """
    kind: tuple[int, int, str] = (0, 0, "")
    waiting: list[NDArray[Any]] = []
    held = 0
    downmix, unpack = Downmix(0), Unpack()
    for frame in reader.frames():
        found = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if found != kind:
            if held:
                yield kind[0], downmix.mono(to_float(np.concatenate(waiting, axis=1)))
            waiting, held, kind = [], 0, found
            if not RATES[0] <= kind[0] <= RATES[1]:
                raise DecodeError(f"{name}: damaged: {kind[0]} Hz is outside {RATES[0]} to {RATES[1]} Hz")
            downmix, unpack = Downmix(kind[0]), Unpack()
        array = unpack.channels(frame)
        waiting.append(array)
        held += array.shape[1]
        size = max(BLOCK_VALUES // kind[1], 1)
        if held < size:
            continue
        whole = np.concatenate(waiting, axis=1)
        full = held - held % size
        for start in range(0, full, size):
            yield kind[0], downmix.mono(to_float(whole[:, start : start + size]))
        waiting, held = [whole[:, full:].copy()], held - full
    if held:
        yield kind[0], downmix.mono(to_float(np.concatenate(waiting, axis=1)))


class Unpack:
    """Reads the samples of frames of one kind.

    PyAV counts the planes of a frame up to an empty one, which from eight on there is not: it would read past
    them (18.1; a crash). Such frames are made to hold their channels sample by sample first.
    """

    def __init__(self) -> None:
        self.packer: Any = None

    def channels(self, frame: Any) -> NDArray[Any]:
        """Return samples (channels, samples), in the frame's own type."""
        channels = frame.layout.nb_channels
        if not frame.format.is_planar:
            return self.packed(frame, channels)
        if channels < PLANES:
            planes: NDArray[Any] = frame.to_ndarray()
            return planes
        if self.packer is None:
            self.packer = av.AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate)
        frame.pts = None
        return np.concatenate([self.packed(one, channels) for one in self.packer.resample(frame)], axis=1)

    def packed(self, frame: Any, channels: int) -> NDArray[Any]:
        """Return the samples of a frame that holds its channels sample by sample."""
        samples: NDArray[Any] = frame.to_ndarray().reshape(-1, channels).T
        return samples


def to_float(samples: NDArray[Any]) -> Block:
    """Return samples of any of FFmpeg's formats as float32 in [-1, 1]."""
    floats = np.ascontiguousarray(samples, dtype=np.float32)
    if samples.dtype.kind == "f":
        return floats
    if samples.dtype.kind == "u":
        return (floats - np.float32(128)) / np.float32(128)
    return floats * np.float32(2.0 ** -(8 * samples.dtype.itemsize - 1))
