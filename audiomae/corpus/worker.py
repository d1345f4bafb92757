"""What a worker does with one song: decode, measure, log-mel to a file of its own, tags."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomae.audio.decode import decode_blocks
from audiomae.audio.factors import FactorMeter
from audiomae.audio.mel import MelSettings, log_mel_blocks
from audiomae.audio.quiet import Loudness, gain_of
from audiomae.checks import require
from audiomae.corpus.tags import read_tags
from audiomae.errors import DecodeError

__all__ = ["Limits", "prepare_song"]

PASSING = frozenset(("fetch", "needs ffmpeg", "no memory", "time-out", "unreadable"))
"""Kinds of reasons that say nothing of the song itself; it is tried again at the next run."""
KILLED = "decoder crashed: SIGKILL"
"""What a system short of memory does to a worker."""
UNCHANGED = np.float32(1)


@dataclass(frozen=True)
class Limits:
    """What a song must reach to be kept.

    Attributes:
        shortest_seconds: Shortest song, in seconds.
        quietest_dbfs: Quietest song: RMS around its mean, in dB below full scale.
        most_hours: Longest song, in hours.
        song_minutes: Time that one song may take, in minutes; a decoder that hangs is ended then.

    Raises:
        ConfigError: If one is out of range.
    """

    shortest_seconds: float = 5.0
    quietest_dbfs: float = -80.0
    most_hours: float = 12.0
    song_minutes: float = 60.0

    def __post_init__(self) -> None:
        require("shortest_seconds", self.shortest_seconds, least=0, below=86_400, unit="s")
        require("quietest_dbfs", self.quietest_dbfs, least=-200, most=0, unit="dBFS")
        require("most_hours", self.most_hours, above=0, most=1_000, unit="h")
        require("song_minutes", self.song_minutes, above=0, most=100_000, unit="minutes")

    def reason(self, seconds: float, level: float) -> str:
        """Return why a song of these seconds and this level, in dBFS, is left out; empty if it is kept."""
        if seconds < self.shortest_seconds:
            return f"too short: {seconds:.2f} s {self.endings['too short']}"
        if level < self.quietest_dbfs:
            return f"silent: {level:.1f} dBFS {self.endings['silent']}"
        return ""

    def stale(self, reason: str) -> bool:
        """Return whether a song left out for `reason` might pass now: a passing fault, or other limits."""
        kind = reason.partition(": ")[0]
        if kind in PASSING or reason.startswith(KILLED):
            return True
        ending = self.endings.get(kind)
        return ending is not None and not reason.endswith(ending)

    @property
    def endings(self) -> dict[str, str]:
        """How the reasons end, by their kind."""
        return {
            "too short": f"is below {self.shortest_seconds:g} s",
            "silent": f"is below {self.quietest_dbfs:g} dBFS",
            "too long": f"is above {self.most_hours:g} h",
        }


@dataclass
class Measure(Loudness):
    """Passes mono blocks on and notes their length, level and content."""

    content: Any = field(default_factory=hashlib.sha256)

    def through(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield the blocks as they come."""
        for block in super().through(blocks):
            self.content.update(np.rint(np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
            yield block

    def seconds(self, mel: MelSettings) -> float:
        """Return the seconds that came through."""
        return self.samples / mel.sample_rate


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
    measure, notes = Measure(), list[str]()
    try:
        sums = write_mels(path, mels, mel, limits, measure, notes)
        if (gain := gain_of(measure.level)) != 1 and not limits.reason(measure.seconds(mel), measure.level):
            sums = write_mels(path, mels, mel, limits, None, [], gain)
    except DecodeError as error:
        return {"reason": str(error).removeprefix(f"{path}: ")}
    except MemoryError:
        return {"reason": "no memory: decoding it takes more than there is"}
    if reason := limits.reason(measure.seconds(mel), measure.level):
        return {"reason": reason}
    return {
        **read_tags(path),
        "seconds": measure.seconds(mel),
        **sums,
        "level": round(measure.level, 4),
        "content": measure.content.hexdigest(),
        "note": "; ".join(notes),
    }


def write_mels(
    path: Path,
    mels: Path,
    mel: MelSettings,
    limits: Limits,
    measure: Measure | None,
    notes: list[str],
    gain: np.float32 = UNCHANGED,
) -> dict[str, Any]:
    """Write a song's log-mels, its samples multiplied by `gain`; return their number and sums, and its factors."""
    meter, mel_sum, mel_square_sum = FactorMeter(mel), 0.0, 0.0
    frames = 0
    blocks = decode_blocks(path, mel.sample_rate, most_seconds=3600 * limits.most_hours, notes=notes)
    if measure is not None:
        blocks = measure.through(blocks)
    if gain != 1:
        blocks = (block * gain for block in blocks)
    with mels.open("wb", buffering=1 << 20) as file:
        for block in log_mel_blocks(meter.through(blocks), mel):
            stored = block.astype("<f2")
            wide = stored.astype(np.float32)
            mel_sum += float(wide.sum(dtype=np.float64))
            mel_square_sum += float(np.square(wide).sum(dtype=np.float64))
            frames += len(stored)
            meter.take_mels(wide)
            file.write(stored.tobytes())
    return {"frames": frames, "mel_sum": mel_sum, "mel_square_sum": mel_square_sum, **meter.measure()}
