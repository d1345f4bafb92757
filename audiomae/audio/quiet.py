"""Songs so quiet that the log-mel's floor would swallow them are made louder first.

A log-mel is log(power + floor). Each clip's mean is taken out before the model sees it, so level does not matter
as long as the power lies well above the floor; below -45 dBFS it no longer does, and a quiet copy of a song drifts
away from it (`benchmarks/RESULTS.md`). Such a song is multiplied to -20 dBFS before the mel; one above is left as
it is, to the bit. What was rounded away when the file was written stays away: 16 bits hold nothing below -96 dBFS.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Loudness", "gain_of", "raise_quiet"]

QUIET_DBFS = -45.0
RAISED_DBFS = -20.0


@dataclass
class Loudness:
    """Passes mono blocks on and notes their number and level."""

    samples: int = 0
    total: float = 0.0
    squares: float = 0.0

    def through(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield the blocks as they come."""
        for block in blocks:
            self.samples += len(block)
            self.total += float(block.sum(dtype=np.float64))
            self.squares += float(np.square(block, dtype=np.float64).sum())
            yield block

    @property
    def level(self) -> float:
        """RMS around the mean, in dBFS; -inf for a constant."""
        mean = self.total / max(self.samples, 1)
        power = self.squares / max(self.samples, 1) - mean * mean
        return 10 * math.log10(power) if power > 1e-20 else -math.inf


def gain_of(level: float) -> np.float32:
    """Return by what to multiply a song of a level, in dBFS; 1 for all but quiet ones.

    Example:
        >>> float(gain_of(-30.0)), float(gain_of(-80.0))
        (1.0, 1000.0)
    """
    quiet = -math.inf < level < QUIET_DBFS
    return np.float32(10 ** ((RAISED_DBFS - level) / 20) if quiet else 1)


def raise_quiet(waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return waveforms (clips, samples), the quiet ones among them made louder."""
    powers = np.var(waveforms, axis=1, dtype=np.float64)
    gains = [gain_of(10 * math.log10(power) if power > 1e-20 else -math.inf) for power in powers]
    return waveforms if all(gain == 1 for gain in gains) else waveforms * np.array(gains)[:, None]
