"""What a model's config.json must say, as types: read before anything is built from it."""

from __future__ import annotations

from dataclasses import dataclass

from audiomae.audio.mel import MelSettings
from audiomae.checks import require
from audiomae.model.config import ModelSettings
from audiomae.model.pooling import Pool

__all__ = ["Description"]


@dataclass(frozen=True)
class Statistics:
    """Entry `statistics` of config.json: mean and standard deviation of the log-mels trained on."""

    mean: float
    std: float

    def __post_init__(self) -> None:
        require("statistics.std", self.std, least=0)


@dataclass(frozen=True)
class ReadoutEntry:
    """Entry `readout` of config.json: the block and the pooling that vectors are read with."""

    layer: int
    pool: Pool


@dataclass(frozen=True)
class Description:
    """What config.json must say of a model; what else it says is for people."""

    model: ModelSettings
    mel: MelSettings
    statistics: Statistics
    readout: ReadoutEntry
    fingerprint: str
