"""What corpus.json says, checked: nothing in it is a path, a size or a type to be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomae.audio.mel import MelSettings
from audiomae.disk.records import as_record
from audiomae.errors import DataError

__all__ = ["SHARD_NAME", "CorpusMeta", "mel_from_json", "shard_file"]

SHARD_NAME = r"mels/shard-[0-9]{5,7}\.npy"
"""What a shard's path inside the corpus looks like."""
LARGEST_SHARD = 10**6
"""Shards are numbered below; at 32 MB a shard that is 30 terabytes."""


@dataclass(frozen=True)
class Shard:
    """A shard as corpus.json tells of it.

    Attributes:
        shard: Its number.
        file: Its path in the corpus: always `shard_file(shard)`.
        bytes: Size of the file.
    """

    shard: int
    file: str
    bytes: int


@dataclass(frozen=True)
class CorpusMeta:
    """What corpus.json must say; what else it says is for people.

    Attributes:
        mel: Settings the log-mels were made with.
        mean: Mean of all log-mel values.
        std: Their standard deviation.
        shards: The shards.
        fingerprint: Stands for the mel settings and the content and order of the tracks.
        decoders: Versions of what decoded the songs.
    """

    mel: MelSettings
    mean: float
    std: float
    shards: tuple[Shard, ...]
    fingerprint: str
    decoders: tuple[dict[str, str], ...] = ()

    @classmethod
    def of(cls, meta: dict[str, Any], where: Path | str) -> CorpusMeta:
        """Check what was read, and that every shard has its own name.

        Raises:
            DataError: If an entry is missing, of another type or out of range, or a shard has another name.
        """
        read = as_record(meta, cls, where=where)
        as_record(
            meta["mel"], MelSettings, where=where, strict=True
        )  # an unknown one would change what is heard
        for shard in read.shards:
            if (
                not 0 <= shard.shard < LARGEST_SHARD
                or shard.file != shard_file(shard.shard)
                or shard.bytes < 0
            ):
                raise DataError(
                    f"{where}: names a shard {shard.file[:80]!r}, which no corpus holds. Take another copy."
                )
        return read


def shard_file(shard: int) -> str:
    """Return a shard's path inside the corpus."""
    return f"mels/shard-{shard:05d}.npy"


def mel_from_json(value: dict[str, Any]) -> MelSettings:
    """Read mel settings from a JSON object.

    Raises:
        DataError: If a setting is missing, unknown or out of range.
    """
    return as_record(value, MelSettings, where="mel settings", strict=True)
