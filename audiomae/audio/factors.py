"""What a song sounds like in three cheap factors: timbre, rhythm and harmony, with its tempo and key.

They are gathered while a song is prepared, from the samples and the log-mels that pass by anyway. The learned vector
tells songs apart better than any of them; they tell *in what* two songs are alike. The formulas are those of librosa,
which the tests compare with: importing it would cost every worker seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.audio.mel import MelSettings

__all__ = ["FactorMeter"]

CEPSTRA = 13
"""Cepstral coefficients of a frame; mean and deviation of each make the timbre."""
CHROMA_SECONDS = 0.25
"""Window that pitch classes are counted in, the next beginning where it ends."""
BEATS_A_SECOND = 50.0
"""Rate of the onset curve, in Hz."""
LONGEST_LAG = 4.0
"""Longest time between two beats that is looked at, in seconds."""
RHYTHM_LAGS = 48
"""Entries of the rhythm: correlation of the onset curve with itself after 0.15 to 2.4 s, evenly on a log scale."""
KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
"""How strongly each pitch class belongs to a key on C (Krumhansl and Kessler 1982)."""


@dataclass
class FactorMeter:
    """Listens to a song as it passes: first its samples, then its log-mels.

    Args:
        mel: Settings of the log-mels.
    """

    mel: MelSettings
    _rest: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)
    _chroma: NDArray[np.float64] = field(default_factory=lambda: np.zeros(12), repr=False)
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, CEPSTRA)), repr=False)
    _frames: int = 0
    _onsets: list[NDArray[np.float32]] = field(default_factory=list, repr=False)
    _last: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Prepare the table that turns a spectrum into pitch classes."""
        rate = self.mel.sample_rate
        self.window = 1 << round(np.log2(rate * CHROMA_SECONDS))
        self.filters = _pitch_class_filters(rate, self.window)
        self.taper = np.hanning(self.window).astype(np.float32)
        bands = np.arange(self.mel.mels) + 0.5
        self.cosines = np.cos(np.pi / self.mel.mels * np.outer(bands, np.arange(CEPSTRA))).astype(np.float32)

    def through(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield mono blocks as they come, and count their pitch classes."""
        for block in blocks:
            joined = np.concatenate([self._rest, block])
            whole = len(joined) // self.window
            if whole:
                frames = joined[: whole * self.window].reshape(whole, self.window) * self.taper
                power = np.square(np.abs(np.fft.rfft(frames, axis=1))).astype(np.float32)
                chroma = power @ self.filters
                loudest = chroma.max(axis=1, keepdims=True)
                self._chroma += (chroma / np.maximum(loudest, 1e-12))[loudest[:, 0] > 1e-6].sum(
                    axis=0, dtype=np.float64
                )
            self._rest = joined[whole * self.window :]
            yield block

    def take_mels(self, mels: NDArray[np.float32]) -> None:
        """Take the next log-mels of the song, (frames, mels)."""
        if not len(mels):
            return
        cepstra = (mels @ self.cosines / self.mel.mels).astype(np.float64)
        self._sums += [cepstra.sum(axis=0), np.square(cepstra).sum(axis=0)]
        self._frames += len(mels)
        before = mels[:1] if self._last is None else self._last
        steps = np.diff(np.concatenate([before, mels]), axis=0)
        self._onsets.append(np.maximum(steps, 0).mean(axis=1))
        self._last = mels[-1:]

    def measure(self) -> dict[str, Any]:
        """Return tempo (beats a minute, 0 unknown), key ("" unknown), timbre, rhythm and harmony as lists."""
        tempo, rhythm = self._rhythm()
        chroma = self._chroma / max(self._chroma.sum(), 1e-12)
        return {
            "tempo": tempo,
            "key": _key(chroma) if self._chroma.any() else "",
            "timbre": self._timbre(),
            "rhythm": rhythm,
            "harmony": [*_rounded(chroma), *_rounded(np.abs(np.fft.rfft(chroma))[1:])],
        }

    def _timbre(self) -> list[float]:
        mean, squares = self._sums / max(self._frames, 1)
        return [*_rounded(mean), *_rounded(np.sqrt(np.maximum(squares - mean**2, 0)))]

    def _rhythm(self) -> tuple[float, list[float]]:
        """Return beats a minute, and how the onset curve resembles itself after some time."""
        rate = self.mel.sample_rate / self.mel.hop_samples
        step = max(1, round(rate / BEATS_A_SECOND))
        curve = np.concatenate(self._onsets) if self._onsets else np.zeros(0, np.float32)
        curve = curve[: len(curve) // step * step].reshape(-1, step).mean(axis=1)
        rate /= step
        lags = int(LONGEST_LAG * rate)
        if len(curve) < 1.1 * lags or not curve.std() > 1e-6:
            return 0.0, [0.0] * RHYTHM_LAGS
        spectrum = np.fft.rfft(curve - curve.mean(), 2 * len(curve))
        own = np.fft.irfft(np.square(np.abs(spectrum)))[:lags]
        own = np.maximum(own / own[0], 0.0)
        places = np.geomspace(0.15, 2.4, RHYTHM_LAGS) * rate
        return _tempo(own, rate), _rounded(np.interp(places, np.arange(lags), own))


def _pitch_class_filters(sample_rate: int, window: int) -> NDArray[np.float32]:
    """Return how much each bin of a spectrum belongs to each pitch class, (bins, 12), C first."""
    bins = np.arange(1, window // 2 + 1) * sample_rate / window
    pitch = 12 * np.log2(bins / 440.0) + 9
    width = np.maximum(np.gradient(pitch), 1.0)[:, None] / 2
    apart = (pitch[:, None] - np.arange(12) + 6) % 12 - 6
    belongs = np.exp(-0.5 * np.square(apart / width))
    belongs /= np.maximum(np.linalg.norm(belongs, axis=1, keepdims=True), 1e-12)
    octave = np.exp(-0.5 * np.square((np.log2(bins / 27.5) - 4.25) / 2))  # what is very low or high is noise
    return np.concatenate([np.zeros((1, 12)), belongs * octave[:, None]]).astype(np.float32)


def _tempo(own: NDArray[np.floating], rate: float) -> float:
    """Return beats a minute from a curve's correlation with itself, those near 120 preferred (Ellis 2007)."""
    lags = np.arange(1, len(own))
    tempi = 60 * rate / lags
    prior = -0.5 * np.square(np.log2(tempi / 120.0))
    strength = np.where((tempi >= 30) & (tempi <= 240), np.log1p(1e6 * own[1:]) + prior, -np.inf)
    best = int(np.argmax(strength)) + 1
    if own[best] < 0.01:
        return 0.0
    shift = 0.0
    if 1 <= best < len(own) - 1:  # the top of the parabola through three points
        before, here, after = own[best - 1 : best + 2].tolist()
        bend = before - 2 * here + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return round(60 * rate / (best + float(np.clip(shift, -0.5, 0.5))), 2)


def _key(chroma: NDArray[np.float64]) -> str:
    """Return the key whose profile the pitch classes follow best: "C", or "Am"."""
    fits = [
        (float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1]), f"{KEYS[tonic]}{ending}")
        for profile, ending in ((MAJOR, ""), (MINOR, "m"))
        for tonic in range(12)
    ]
    best = max(fits)
    return best[1] if np.isfinite(best[0]) else ""


def _rounded(values: NDArray[np.floating]) -> list[float]:
    return [round(value, 6) for value in values.astype(float).tolist()]
