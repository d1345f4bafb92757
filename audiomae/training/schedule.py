"""The learning rate over a training."""

from __future__ import annotations

import math

__all__ = ["learning_rate_at"]


def learning_rate_at(progress: float, *, peak: float, warmup: float, floor: float = 0.01) -> float:
    """Return the learning rate: a straight rise to the peak, then half a cosine down.

    Args:
        progress: Share of the training that is done, in [0, 1].
        peak: Highest learning rate.
        warmup: Share of the training that rises, in [0, 1).
        floor: Last learning rate, as a share of the peak.

    Example:
        >>> [round(learning_rate_at(p, peak=1.0, warmup=0.1, floor=0.0), 2) for p in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return peak * min(1.0, max(progress, 1e-3) / warmup)
    fallen = min(1.0, (progress - warmup) / (1.0 - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fallen)))
