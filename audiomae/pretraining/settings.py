"""Settings of what `pretrain` masks and compares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomae.checks import require
from audiomae.errors import ConfigError
from audiomae.model.config import ModelSettings
from audiomae.model.masking import MaskKind, draw_mask
from audiomae.model.readout import grid_seconds

__all__ = ["MaskSettings", "PairSettings"]


@dataclass(frozen=True)
class MaskSettings:
    """Which patches are masked: kind, share, longest span in columns."""

    kind: MaskKind
    ratio: float
    longest: int

    def draw(self, clips: int, sizes: ModelSettings, generator: torch.Generator) -> Tensor:
        """Draw masks, (clips, columns, rows)."""
        return draw_mask(
            self.kind,
            clips,
            sizes.columns,
            sizes.rows,
            ratio=self.ratio,
            longest=self.longest,
            generator=generator,
        )

    def check(self, sizes: ModelSettings) -> None:
        """Refuse settings that leave nothing to see or to rebuild.

        Raises:
            ConfigError: With the value, the limit and the way out.
        """
        try:
            self.draw(1, sizes, torch.Generator().manual_seed(0))
        except ValueError as error:
            raise ConfigError(str(error)) from None


@dataclass(frozen=True)
class PairSettings:
    """The clip-level term beside the reconstruction: two clips of a song against the clips of other songs.

    Attributes:
        weight: Weight of the term in the loss; 0 trains on reconstruction alone.
        temperature: Divisor of the cosines.
        nearest_seconds: Least distance between the starts of the two clips, in seconds; without it four fifths of a
            clip (4.0 for 5 s), at most `farthest_seconds`.
        farthest_seconds: Largest distance, in seconds.
    """

    weight: float = 0.3
    temperature: float = 0.1
    nearest_seconds: float | None = None
    farthest_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require("pairs.weight", self.weight, least=0)
        require("pairs.temperature", self.temperature, above=0)
        require("pairs.nearest_seconds", self.nearest_seconds or 0.0, least=0)
        require("pairs.farthest_seconds", self.farthest_seconds, least=self.nearest_seconds or 0.0)

    def with_nearest(self, clip_seconds: float) -> PairSettings:
        """Return these settings with the least distance that clips of this length have, where none is given.

        Example:
            >>> PairSettings().with_nearest(4.96).nearest_seconds
            4.0
        """
        if self.nearest_seconds is not None:
            return self
        return replace(self, nearest_seconds=min(0.8 * grid_seconds(clip_seconds), self.farthest_seconds))
