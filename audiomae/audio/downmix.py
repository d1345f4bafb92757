"""From channels to mono: their mean, unless they cancel one another in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Downmix"]

CANCELS = 0.01
"""Power of the mean, as a share of the channels' power, below which they cancel: 20 dB."""
RETURNS = 0.1
"""Share above which the plain mean is taken again."""
AUDIBLE = 1e-9
"""Mean square of a channel below which nothing is decided, -90 dBFS."""
FADE_SECONDS = 0.01


class Downmix:
    """Mean over the channels, block by block.

    A stretch in which the mean nearly vanishes although the channels do not (left = -right, one plug turned
    over) would be lost as silence. There, channels that run against the loudest are turned over first, so a
    stereo stretch becomes half its difference, (left - right) / 2. The choice is made for each block
    of some seconds, and changes within 10 ms.

    Attributes:
        sample_rate: Rate of the samples, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.signs: NDArray[np.float32] | None = None

    def mono(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return samples (samples,) from (channels, samples)."""
        if len(channels) == 1:
            only: NDArray[np.float32] = channels[0]
            return only
        mean = mean_of(channels)
        before, self.signs = self.signs, self.choose(channels, mean)
        if before is None and self.signs is None:
            return mean
        now = mean if self.signs is None else mean_of(channels * self.signs[:, None])
        if not same_signs(before, self.signs):
            old = mean if before is None else mean_of(channels * before[:, None])
            fade = min(round(FADE_SECONDS * self.sample_rate), len(now))
            ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
            now[:fade] = ramp * now[:fade] + (1 - ramp) * old[:fade]
        return now

    def choose(self, channels: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the sign of each channel for a block; None for the plain mean."""
        powers = np.array([float(np.dot(channel, channel)) for channel in channels])
        power = float(powers.mean())
        if not power > AUDIBLE * len(mean):
            return self.signs
        share = float(np.dot(mean, mean)) / power
        if not share < (CANCELS if self.signs is None else RETURNS):
            return None
        loudest = channels[int(powers.argmax())]
        signs = np.array(
            [-1 if np.dot(channel, loudest) < 0 else 1 for channel in channels], dtype=np.float32
        )
        signs *= signs[0]  # the first channel stays as it is, whichever is the loudest in this block
        return signs


def mean_of(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over channels, in float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        total: NDArray[np.float32] = channels[0] + channels[1]
        for channel in channels[2:]:
            total += channel
        total /= len(channels)
    return total


def same_signs(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> bool:
    """Return whether two choices are the same; the first choice of a file fades from nothing."""
    return one is other if one is None or other is None else np.array_equal(one, other)
