"""The log-mel front end: how samples become the frames that a model sees.

The one file that imports torchaudio, whose wheel fits one torch alone.

Zeros are added around the *samples*, before the mel, so a padded edge is as quiet as silence and never
louder.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from audiomae.checks import require
from audiomae.errors import ConfigError

__all__ = ["LogMel", "MelSettings", "invert_log_mel", "log_mel_blocks", "mel_filters"]

FRAMES_AT_ONCE = 1024
"""Frames computed together when streaming; fixed, so that how the samples arrive changes nothing."""


@dataclass(frozen=True)
class MelSettings:
    """Settings of the log-mel front end.

    Attributes:
        sample_rate: Sample rate of the mono audio, in Hz.
        n_fft: Window and transform length, in samples.
        hop_samples: Step from frame to frame, in samples; 160 is 10 ms at 16 kHz.
        mels: Mel bands.
        low_hz: Lower edge of the lowest band, in Hz.
        high_hz: Upper edge of the highest band, in Hz.
        floor: Power added before the logarithm, so that silence is log(floor).

    Raises:
        ConfigError: If the values do not fit together.
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_samples: int = 160
    mels: int = 80
    low_hz: float = 50.0
    high_hz: float = 8_000.0
    floor: float = 1e-7

    def __post_init__(self) -> None:
        for name, least, most in (
            ("sample_rate", 1_000, 768_000),
            ("n_fft", 16, 1 << 16),
            ("hop_samples", 1, 1 << 16),
            ("mels", 1, 1024),
        ):
            require(f"mel.{name}", getattr(self, name), least=least, most=most)
        if self.n_fft % 2:
            raise ConfigError(f"mel.n_fft {self.n_fft} is odd. Use an even one, such as {self.n_fft + 1}.")
        if self.hop_samples > self.n_fft:
            raise ConfigError(
                f"mel.hop_samples {self.hop_samples} skips samples between windows of {self.n_fft}. "
                f"Use {self.n_fft} or less."
            )
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise ConfigError(
                f"mel.low_hz {self.low_hz:g} and mel.high_hz {self.high_hz:g} must rise within 0 to "
                f"{self.sample_rate / 2:g} Hz, half the sample rate. Lower mel.high_hz."
            )
        if not 1e-12 <= self.floor <= 1:
            raise ConfigError(f"mel.floor {self.floor:g} is outside 1e-12 to 1. Use the default, 1e-7.")

    def frames(self, samples: int) -> int:
        """Return how many frames `samples` samples give: one for each hop, and one more."""
        return samples // self.hop_samples + 1

    def frames_of(self, seconds: float) -> int:
        """Return the frames that a duration takes, to the nearest one.

        Example:
            >>> MelSettings().frames_of(5.0)
            500
        """
        return round(seconds * self.sample_rate / self.hop_samples)

    @overload
    def seconds_of(self, frames: int) -> float: ...

    @overload
    def seconds_of(self, frames: NDArray[np.int64]) -> NDArray[np.float64]: ...

    def seconds_of(self, frames: int | NDArray[np.int64]) -> float | NDArray[np.float64]:
        """Return how long frames last, or when they begin, in seconds.

        Example:
            >>> MelSettings().seconds_of(496)
            4.96
        """
        return frames * self.hop_samples / self.sample_rate


def mel_filters(config: MelSettings) -> Tensor:
    """Return the mel filterbank (n_fft // 2 + 1, mels): Slaney's scale, each band of area 1.

    Raises:
        ConfigError: If a band is so narrow that it holds no bin of the transform and would always be silent.
    """
    filters = melscale_fbanks_quietly(config)
    empty = int((filters.amax(dim=0) <= 0).sum())
    if empty:
        raise ConfigError(
            f"mel.n_fft {config.n_fft} leaves {empty} of {config.mels} mel bands without a bin. "
            f"Use mel.n_fft {2 * config.n_fft} or fewer mel.mels."
        )
    return filters


def melscale_fbanks_quietly(config: MelSettings) -> Tensor:
    """Build the filters without torchaudio's warning on empty ones: `mel_filters` refuses those."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filters: Tensor = melscale_fbanks(
            config.n_fft // 2 + 1,
            f_min=config.low_hz,
            f_max=config.high_hz,
            n_mels=config.mels,
            sample_rate=config.sample_rate,
            norm="slaney",
            mel_scale="slaney",
        )
    return filters


class LogMel(nn.Module):
    """Waveforms to log-mels, in float32 whatever autocast says.

    Shape: (clips, samples) to (clips, frames, mels), frames = samples // hop_samples + 1.

    The value is the natural log of (mel power + floor), so it is never below log(floor). Frame t is centred
    on sample t * hop_samples, with zeros beyond both ends. Equals `librosa.feature.melspectrogram` with
    `pad_mode="constant"`.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelSettings) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        self.register_buffer("filters", mel_filters(config), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        pad = self.config.n_fft // 2
        return self.without_padding(nn.functional.pad(waveforms.float(), (pad, pad)))

    def without_padding(self, waveforms: Tensor) -> Tensor:
        """Return the frames that lie wholly inside `waveforms` (clips, samples): (clips, frames, mels)."""
        with torch.autocast(waveforms.device.type, enabled=False):
            frames = waveforms.float().unfold(-1, self.config.n_fft, self.config.hop_samples)
            spectrum = torch.fft.rfft(frames * self.window)
            power = spectrum.real.square() + spectrum.imag.square()
            return torch.log(power @ self.filters + self.config.floor)


def log_mel_blocks(
    blocks: Iterable[NDArray[np.float32]], config: MelSettings
) -> Iterator[NDArray[np.float32]]:
    """Turn blocks of samples into blocks of log-mel frames; together they equal `LogMel` on the whole signal.

    Args:
        blocks: Mono float32 samples (samples,), in any lengths.
        config: Settings of the front end.

    Yields:
        Log-mels (frames, mels), float32; nothing if there are no samples.
    """
    log_mel = LogMel(config)
    pad, hop = config.n_fft // 2, config.hop_samples
    reach = (FRAMES_AT_ONCE - 1) * hop + config.n_fft
    waiting: list[NDArray[np.float32]] = [np.zeros(pad, dtype=np.float32)]
    held, samples = pad, 0

    def compute(signal: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return log_mel.without_padding(torch.from_numpy(signal)[None])[0].numpy()

    for block in blocks:
        waiting.append(block)
        held += len(block)
        samples += len(block)
        if held >= reach:
            signal = np.concatenate(waiting)
            start = 0
            while start + reach <= len(signal):
                yield compute(signal[start : start + reach])
                start += FRAMES_AT_ONCE * hop
            waiting = [signal[start:].copy()]
            held = len(signal) - start
    if samples:
        signal = np.concatenate([*waiting, np.zeros(pad, dtype=np.float32)])
        for start in range(0, len(signal) - config.n_fft + 1, FRAMES_AT_ONCE * hop):
            yield compute(signal[start : start + reach])


def invert_log_mel(
    log_mel: NDArray[np.floating], config: MelSettings, *, seed: int = 0, rounds: int = 32
) -> NDArray[np.float32]:
    """Rebuild a waveform from a log-mel, for listening: the phase is guessed.

    Args:
        log_mel: Natural-log mel power (frames, mels).
        config: Settings it was made with.
        seed: Seed of the first guess of the phase.
        rounds: Rounds of Griffin-Lim.

    Returns:
        Samples ((frames - 1) * hop_samples,), float32, in [-1, 1].

    Source: Griffin & Lim 1984, with the momentum of Perraudin et al. 2013.
    """
    frames = torch.from_numpy(np.ascontiguousarray(log_mel, dtype=np.float32))
    power = (frames.exp() - config.floor).clamp_min(0)
    filters = mel_filters(config)
    # Each bin takes the mean of its bands, weighted by their share in it: never negative, unlike the
    # pseudo-inverse.
    bins = (power / filters.sum(0)) @ (filters / filters.sum(1, keepdim=True).clamp_min(1e-12)).T
    magnitude = bins.clamp_min(0).sqrt().T
    generator = torch.Generator().manual_seed(seed)
    phase = torch.polar(
        torch.ones_like(magnitude), 2 * math.pi * torch.rand(magnitude.shape, generator=generator)
    )
    window = torch.hann_window(config.n_fft)
    stft = partial(torch.stft, n_fft=config.n_fft, hop_length=config.hop_samples, window=window)
    istft = partial(torch.istft, n_fft=config.n_fft, hop_length=config.hop_samples, window=window)
    samples = max(len(frames) - 1, 1) * config.hop_samples
    previous = torch.zeros_like(phase)
    for _ in range(rounds):
        signal = istft(magnitude * phase, length=samples)
        rebuilt = stft(signal, pad_mode="constant", return_complex=True)
        step = rebuilt - 0.99 / 1.99 * previous
        phase = step / step.abs().clamp_min(1e-12)
        previous = rebuilt
    signal = istft(magnitude * phase, length=samples)
    return np.asarray(signal.clamp(-1, 1).numpy(), dtype=np.float32)
