"""What a worker does with one song: decode, measure, log-mel to a file of its own, tags."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.audio.decode import decode_blocks
from audiomae.audio.mel import MelSettings, log_mel_blocks
from audiomae.corpus.tags import read_tags
from audiomae.errors import ConfigError, DecodeError

__all__ = ["Limits", "prepare_song"]


@dataclass(frozen=True)
class Limits:
    """What a song must reach to be kept.

    Attributes:
        shortest_seconds: Shortest song, in seconds.
        quietest_dbfs: Quietest song: RMS around its mean, in dB below full scale.

    Raises:
        ConfigError: If one is out of range.
    """

    shortest_seconds: float = 5.0
    quietest_dbfs: float = -80.0

    def __post_init__(self) -> None:
        if not 0 <= self.shortest_seconds < 86_400:
            raise ConfigError(
                f"shortest_seconds {self.shortest_seconds:g} is outside 0 to 86400. Use the default, 5."
            )
        if not -200 <= self.quietest_dbfs <= 0:
            raise ConfigError(
                f"quietest_dbfs {self.quietest_dbfs:g} is outside -200 to 0. Use the default, -80."
            )

    def reason(self, seconds: float, level: float) -> str:
        """Return why a song of these seconds and this level, in dBFS, is left out; empty if it is kept."""
        if seconds < self.shortest_seconds:
            return f"too short: {seconds:.2f} s {self.endings['too short']}"
        if level < self.quietest_dbfs:
            return f"silent: {level:.1f} dBFS {self.endings['silent']}"
        return ""

    def stale(self, reason: str) -> bool:
        """Return whether `reason` was given under other limits, so that the song might pass now."""
        ending = self.endings.get(reason.partition(": ")[0])
        return ending is not None and not reason.endswith(ending)

    @property
    def endings(self) -> dict[str, str]:
        """How the reasons end, by their kind."""
        return {
            "too short": f"is below {self.shortest_seconds:g} s",
            "silent": f"is below {self.quietest_dbfs:g} dBFS",
        }


@dataclass
class Measure:
    """Passes mono blocks on and notes their length, level and content."""

    samples: int = 0
    total: float = 0.0
    squares: float = 0.0
    content: Any = field(default_factory=hashlib.sha256)

    def through(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield the blocks as they come."""
        for block in blocks:
            self.samples += len(block)
            self.total += float(block.sum(dtype=np.float64))
            self.squares += float(np.square(block, dtype=np.float64).sum())
            self.content.update(np.rint(np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
            yield block

    @property
    def level(self) -> float:
        """RMS around the mean, in dBFS; -inf for a constant."""
        mean = self.total / self.samples
        power = self.squares / self.samples - mean * mean
        return 10 * math.log10(power) if power > 1e-20 else -math.inf


def prepare_song(path: Path, mels: Path, mel: MelSettings, limits: Limits) -> dict[str, Any]:
    """Decode one song and write its log-mels.

    Args:
        path: Audio file.
        mels: File to write: raw float16 (frames, mels).
        mel: Settings of the log-mels.
        limits: What a song must reach.

    Returns:
        Columns of tracks.parquet that follow from the file; or `{"reason": "kind: detail"}` for a song left
        out.

    Raises:
        OSError: If `mels` cannot be written.
    """
    measure = Measure()
    mel_sum = mel_square_sum = 0.0
    frames = 0
    with mels.open("wb", buffering=1 << 20) as file:
        blocks = log_mel_blocks(measure.through(decode_blocks(path, mel.sample_rate)), mel)
        while True:
            try:
                block = next(blocks, None)
            except DecodeError as error:
                return {"reason": str(error).removeprefix(f"{path}: ")}
            except MemoryError:
                return {"reason": "damaged: decoding it takes more memory than there is"}
            if block is None:
                break
            stored = block.astype("<f2")
            wide = stored.astype(np.float32)
            mel_sum += float(wide.sum(dtype=np.float64))
            mel_square_sum += float(np.square(wide).sum(dtype=np.float64))
            frames += len(stored)
            file.write(stored.tobytes())
    seconds = measure.samples / mel.sample_rate
    if reason := limits.reason(seconds, measure.level):
        return {"reason": reason}
    return {
        **read_tags(path),
        "seconds": seconds,
        "frames": frames,
        "level": round(measure.level, 4),
        "content": measure.content.hexdigest(),
        "mel_sum": mel_sum,
        "mel_square_sum": mel_square_sum,
    }
