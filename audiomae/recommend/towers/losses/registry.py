"""The losses by name."""

from __future__ import annotations

from audiomae.recommend.towers.losses.bce import BCE
from audiomae.recommend.towers.losses.loss import Loss
from audiomae.recommend.towers.losses.siglip import SIGLIP
from audiomae.recommend.towers.losses.softmax import SOFTMAX

__all__ = ["LOSSES"]

LOSSES: dict[str, Loss] = {"softmax": SOFTMAX, "bce": BCE, "siglip": SIGLIP}
"""What `--objective.loss` takes."""
