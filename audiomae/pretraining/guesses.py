"""What a rebuilt patch must beat: guesses that take no training."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["nearest_column_loss", "position_mean_loss"]


def position_mean_loss(
    target: Float[Tensor, "clips columns rows values"],
    masked: Bool[Tensor, "clips columns rows"],
    mean: Float[Tensor, "columns rows values"],
) -> float:
    """Return the mean squared error, over masked patches, of guessing each position's mean patch.

    Args:
        target: Normalised patches.
        masked: True where a patch must be guessed.
        mean: Mean normalised patch of each position, over training clips.
    """
    return float((target - mean)[masked].square().mean())


def nearest_column_loss(
    target: Float[Tensor, "clips columns rows values"], masked: Bool[Tensor, "clips columns rows"]
) -> float:
    """Return the mean squared error, over masked patches, of repeating the nearest visible one in time.

    The guess is the visible patch of the same row whose column is nearest (the earlier of two); a row with nothing
    visible is guessed as zero, the mean of a normalised patch.
    """
    clips, columns, rows, values = target.shape
    times = torch.arange(columns)
    far = (times[:, None] - times[None, :]).abs() * 2 + (times[None, :] > times[:, None])
    # cost[clip, row, asked column, candidate column]
    cost = far.expand(clips, rows, columns, columns).float()
    cost = cost.masked_fill(masked.transpose(1, 2)[:, :, None, :], float("inf"))
    best = cost.argmin(dim=3).transpose(1, 2)
    guess = target.gather(1, best[:, :, :, None].expand(clips, columns, rows, values))
    blind = masked.all(dim=1)[:, None, :, None]
    guess = guess.masked_fill(blind, 0.0)
    return float((target - guess)[masked].square().mean())
